package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeAlarms has two alarms, of which one was acknowledged, and a notification whose server is away.
type fakeAlarms struct {
	mu   sync.Mutex // guards what follows
	seen *AlarmNote
}

var fakeSince = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func (f *fakeAlarms) Active() []Alarm {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []Alarm{
		{ID: "a1", Alarm: "hot", Severity: "critical", Device: "press", Point: "temperature", Value: 91.5, Text: BusText{"press is hot", "press 过热"}, Since: fakeSince, Acknowledged: f.seen},
		{ID: "a2", Alarm: "away", Severity: "warning", Device: "conveyor", Text: BusText{"conveyor is offline", "conveyor 离线"}, Since: fakeSince, Acknowledged: &AlarmNote{By: "li", Time: fakeSince}},
	}
}

func (f *fakeAlarms) Counts() AlarmCount {
	return AlarmCount{Active: 2, Critical: 1, Warning: 1, Unacknowledged: 1}
}

func (f *fakeAlarms) Past(_ context.Context, wanted PastAlarms) (list []AlarmEvent, next uint64, err error) {
	for at := uint64(9); at > 0; at-- {
		e := AlarmEvent{Position: at, ID: "a1", Alarm: "hot", State: "raised", Severity: "critical", Device: "press", Time: fakeSince, Since: fakeSince}
		if at%2 == 0 {
			e.State = "cleared"
		}
		if (wanted.Before == 0 || at < wanted.Before) && wanted.Lets(&e) {
			if len(list) == wanted.Limit {
				return list, list[len(list)-1].Position, nil
			}
			list = append(list, e)
		}
	}
	return list, 0, nil
}

func (f *fakeAlarms) Acknowledge(_ context.Context, id, user, note string) (Alarm, error) {
	if id != "a1" {
		return Alarm{}, ErrUnknown
	}
	f.mu.Lock()
	f.seen = &AlarmNote{By: user, Note: note, Time: fakeSince}
	f.mu.Unlock()
	return f.Active()[0], nil
}

func (f *fakeAlarms) Notifications() []Notification {
	return []Notification{{Name: "shift", Kind: "email", To: []string{"shift@example.com"}, Waiting: 3, LastError: "no route to host"}}
}

func (f *fakeAlarms) TestNotification(_ context.Context, name string) error {
	switch name {
	case "shift":
		return nil
	case "away":
		return errors.New("no route to host")
	}
	return ErrUnknown
}

func TestAlarmsAreListedAndAcknowledged(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	auth := bearer(s)
	list := decode[alarmList](t, ask(s, "GET", "/api/v1/alarms?acknowledged=false", "", auth...))
	if list.Total != 1 || list.Items[0].ID != "a1" || list.Counts.Active != 2 || len(list.Notifications) != 1 {
		t.Errorf("listed %+v", list)
	}
	done := decode[Alarm](t, ask(s, "POST", "/api/v1/alarms/a1/acknowledge", `{"note":"on my way"}`, auth...))
	if done.Acknowledged == nil || done.Acknowledged.By != "admin" || done.Acknowledged.Note != "on my way" {
		t.Errorf("acknowledged %+v", done)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/alarms/a9/acknowledge", `{}`, auth...), http.StatusNotFound)
	long := wantProblem(t, ask(s, "POST", "/api/v1/alarms/a1/acknowledge", `{"note":"`+strings.Repeat("啊", 501)+`"}`, auth...), http.StatusUnprocessableEntity)
	if long.Field != "note" {
		t.Errorf("the field is %q", long.Field)
	}
	for _, body := range []string{`{"note":1e99}`, `[]`, `{"nota":""}`, ``} {
		wantProblem(t, ask(s, "POST", "/api/v1/alarms/a1/acknowledge", body, auth...), http.StatusBadRequest)
	}
	if got := ask(s, "POST", "/api/v1/alarms/a1/acknowledge", `null`, auth...); got.Code != http.StatusOK {
		t.Errorf("no note gives %d", got.Code)
	}
}

func TestPastAlarmsHavePages(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	auth := bearer(s)
	first := decode[alarmPage](t, ask(s, "GET", "/api/v1/alarms/past?limit=4", "", auth...))
	second := decode[alarmPage](t, ask(s, "GET", "/api/v1/alarms/past?limit=9&before=6", "", auth...))
	if len(first.Items) != 4 || first.Next != 6 || len(second.Items) != 5 || second.Next != 0 {
		t.Errorf("pages are %+v and %+v", first, second)
	}
	if only := decode[alarmPage](t, ask(s, "GET", "/api/v1/alarms/past?state=cleared", "", auth...)); len(only.Items) != 4 {
		t.Errorf("of those that ended there are %d", len(only.Items))
	}
	for query, field := range map[string]string{"before=0": "before", "before=x": "before", "limit=0": "limit", "severity=bad": "severity", "state=x": "state"} {
		if p := wantProblem(t, ask(s, "GET", "/api/v1/alarms/past?"+query, "", auth...), http.StatusUnprocessableEntity); p.Field != field {
			t.Errorf("%s blames %q", query, p.Field)
		}
	}
}

func TestANotificationIsTestedByAdministratorsOnly(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	auth := bearer(s)
	if got := ask(s, "POST", "/api/v1/alarms/notify/shift/test", "", auth...); got.Code != http.StatusNoContent {
		t.Errorf("a test gives %d", got.Code)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/alarms/notify/away/test", "", auth...), http.StatusBadGateway)
	wantProblem(t, ask(s, "POST", "/api/v1/alarms/notify/nobody/test", "", auth...), http.StatusNotFound)
	for role, want := range map[string][2]int{viewerRole: {http.StatusForbidden, http.StatusForbidden}, operatorRole: {http.StatusOK, http.StatusForbidden}} {
		header := []string{"Authorization", "Bearer " + s.sessions.open("li", role)}
		if got := ask(s, "POST", "/api/v1/alarms/a1/acknowledge", `{}`, header...); got.Code != want[0] {
			t.Errorf("a %s who acknowledges gets %d", role, got.Code)
		}
		if got := ask(s, "POST", "/api/v1/alarms/notify/shift/test", "", header...); got.Code != want[1] {
			t.Errorf("a %s who tests gets %d", role, got.Code)
		}
	}
}
