package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/gateway/message"
)

// fakeMessages has one topic with three messages, one of them dead, and one group.
type fakeMessages struct {
	mu        sync.Mutex // guards what follows
	asked     []Search
	resent    []string
	reset     []string
	broken    error
	looked    int // how often queues were looked into
	published []NewMessage
	news      chan TailNews // what Follow tells; nil: nothing but silence
	many      int           // more topics, without messages
}

var fakeBorn = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func (f *fakeMessages) Topics() ([]Topic, error) {
	list := []Topic{{Name: "%RETRY%billing", Permission: "rw", WriteQueues: 1, Internal: true, Queues: []Queue{{}}}}
	for i := range f.many {
		list = append(list, Topic{Name: fmt.Sprintf("line-%05d", i), Permission: "rw", WriteQueues: 1, Queues: []Queue{{}}})
	}
	return append(list, Topic{Name: "orders", Permission: "rw", WriteQueues: 1, Queues: []Queue{{Number: 0, Next: 3}}}), f.err()
}

func (f *fakeMessages) TopicsWithoutQueues() ([]Topic, error) {
	list, err := f.Topics()
	for i := range list {
		list[i].Queues = nil
	}
	return list, err
}

func (f *fakeMessages) QueuesOf(topic string) ([]Queue, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked++
	if topic == "orders" {
		return []Queue{{Number: 0, Next: 3}}, f.broken
	}
	return []Queue{{}}, f.broken
}

func (f *fakeMessages) Groups() ([]Group, error) {
	two := 2
	return []Group{
		{Name: "archive", MaxRetries: 16, Queues: []GroupQueue{}},
		{Name: "billing", Lag: 2, MaxRetries: 16, Clients: &two, Mode: "clustering", Queues: []GroupQueue{{Topic: "orders", Next: 1, End: 3, Lag: 2}}},
	}, f.err()
}

func (f *fakeMessages) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

const fakeReading = `{"gateway":"line-3","device":"press","epoch":1,"seq":42,"ts":1795345665221,"values":{"counter":7},"errors":{"pressure":"exception 2"}}`

// fakeAside is the position of a message that an uplink has set aside.
const fakeAside = 7

func fakeHead(position uint64) MessageHead {
	return MessageHead{Position: position, Topic: "orders", MQTTTopic: "orders/a", Offset: position - 1, Stored: fakeBorn, Bytes: len(fakeReading), Keys: "k1"}
}

func (f *fakeMessages) Search(_ context.Context, wanted Search) (found []MessageHead, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, wanted)
	if wanted.Key != "" && wanted.Key != "k1" || wanted.Topic != "" && wanted.Topic != "orders" {
		return nil, f.broken
	}
	for at := uint64(1); at <= 3 && len(found) < wanted.Limit; at++ {
		found = append(found, fakeHead(at))
	}
	if wanted.Key != "" {
		slices.Reverse(found) // as long as the limit takes all
	}
	return found, f.broken
}

func (f *fakeMessages) Newest(_ context.Context, wanted Search, before uint64) (found []MessageHead, err error) {
	for at := uint64(3); at > 0 && wanted.Topic == "orders" && len(found) < wanted.Limit; at-- {
		if before == 0 || at < before {
			found = append(found, fakeHead(at))
		}
	}
	return found, f.err()
}

func (f *fakeMessages) PositionOf(id string) (uint64, error) {
	if id != "0A" {
		return 0, ErrUnknown
	}
	return 2, nil
}

func (f *fakeMessages) Message(position uint64) (Message, error) {
	if position == fakeAside {
		shown := Message{MessageHead: fakeHead(position), Born: fakeBorn, Text: fakeReading, Track: []Track{}, Properties: []MessageProperty{
			{"sluice-uplink", "cloud"}, {"sluice-reason", "not authorised"}, {"sluice-tries", "10"}, {"sluice-position", "8"}}}
		shown.Topic, shown.MQTTTopic, shown.Queue, shown.Offset = "$dead", "$dead/cloud/readings/line-3/press", -1, 0
		return shown, f.err()
	}
	if position > 3 {
		return Message{}, fmt.Errorf("%w: no message at %d", ErrUnknown, position)
	}
	return Message{MessageHead: fakeHead(position), Born: fakeBorn, Properties: []MessageProperty{{"KEYS", "k1"}}, Text: fakeReading,
		Track: []Track{{Group: "billing", State: "waiting", Next: 1}}}, f.err()
}

func (f *fakeMessages) Resend(_ context.Context, position uint64, group string) (Resent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case position == fakeAside:
		f.resent = append(f.resent, fmt.Sprint(position, group))
		return Resent{Topic: "readings/line-3/press", Queue: 2, Offset: 40, Position: 2}, f.broken
	case position > 3:
		return Resent{}, ErrUnknown
	case position == 3:
		return Resent{}, fmt.Errorf("%w: it waits for its producer", ErrNotAllowed)
	}
	f.resent = append(f.resent, fmt.Sprint(position, group))
	return Resent{Topic: "orders", Position: 9}, f.broken
}

func (f *fakeMessages) Reset(_ context.Context, group, topic string, to time.Time) ([]Reset, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if group == "nobody" {
		return nil, ErrUnknown
	}
	f.reset = append(f.reset, group+" "+topic+" "+to.UTC().Format(time.RFC3339))
	return []Reset{{Queue: 0, After: 2}}, f.broken
}

func TestMessagesAreFound(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	for query, want := range map[string]int{"key=k1&limit=2": 2, "topic=orders&from=2026-11-23T08:00:00Z&to=2026-11-23T09:00:00%2B01:00": 3, "id=0A": 1, "id=0B": 0} {
		page := decode[listPage[MessageHead]](t, ask(s, "GET", "/api/v1/messages?"+query, "", bearer(s)...))
		if page.Items == nil || len(page.Items) != want {
			t.Errorf("%s finds %+v, want %d", query, page.Items, want)
		}
	}
	wanted := []Search{{Key: "k1", Limit: 2}, {Topic: "orders", From: fakeBorn, To: fakeBorn, Limit: 50}}
	for _, search := range wanted {
		if !slices.ContainsFunc(gateway.messages.asked, func(got Search) bool {
			return got.Key == search.Key && got.Topic == search.Topic && got.Limit == search.Limit && got.From.Equal(search.From) && got.To.Equal(search.To)
		}) {
			t.Errorf("%+v was not asked for, but %+v", search, gateway.messages.asked)
		}
	}
	for query, field := range map[string]string{"": "key", "key=a&limit=0": "limit", "key=a&from=yesterday": "from", "key=a&to=1": "to"} {
		if p := wantProblem(t, ask(s, "GET", "/api/v1/messages?"+query, "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != field {
			t.Errorf("%q: the refusal names %q", query, p.Field)
		}
	}
	if m := decode[Message](t, ask(s, "GET", "/api/v1/messages/2", "", bearer(s)...)); m.Position != 2 || m.Text != fakeReading || len(m.Track) != 1 {
		t.Errorf("the message is %+v", m)
	}
	for _, path := range []string{"4", "0", "x", "-1"} {
		wantProblem(t, ask(s, "GET", "/api/v1/messages/"+path, "", bearer(s)...), http.StatusNotFound)
	}
}

func TestTopicsAndGroupsAreListed(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	if page := decode[listPage[Topic]](t, ask(s, "GET", "/api/v1/topics", "", bearer(s)...)); len(page.Items) != 2 || page.Items[1].Queues[0].Next != 3 {
		t.Errorf("topics are %+v", page)
	}
	if page := decode[listPage[Group]](t, ask(s, "GET", "/api/v1/groups", "", bearer(s)...)); len(page.Items) != 2 || page.Items[1].Lag != 2 {
		t.Errorf("groups are %+v", page)
	}
	gateway.messages.broken = errors.New("disk is gone")
	for _, path := range []string{"topics", "topics/orders", "groups", "groups/billing", "messages?key=a", "messages?topic=orders&order=newest", "messages/1"} {
		wantProblem(t, ask(s, "GET", "/api/v1/"+path, "", bearer(s)...), http.StatusInternalServerError)
	}
}

func TestOnlyAdministratorsChangeWhatIsConsumed(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	viewer := s.sessions.open("zoe", "viewer")
	for _, path := range []string{"topics", "groups", "messages?key=a", "messages/1"} {
		wantProblem(t, ask(s, "GET", "/api/v1/"+path, ""), http.StatusUnauthorized)
		if got := ask(s, "GET", "/api/v1/"+path, "", "Authorization", "Bearer "+viewer); got.Code != http.StatusOK {
			t.Errorf("a viewer gets %d for %s", got.Code, path)
		}
	}
	cookie := cookieName + "=" + tokenOf(s)
	for path, body := range map[string]string{"messages/1/resend": `{}`, "groups/billing/reset": `{"topic":"orders","to":"2026-11-23T08:00:00Z"}`} {
		wantProblem(t, ask(s, "POST", "/api/v1/"+path, body), http.StatusUnauthorized)
		wantProblem(t, ask(s, "POST", "/api/v1/"+path, body, "Authorization", "Bearer "+viewer), http.StatusForbidden)
		wantProblem(t, ask(s, "POST", "/api/v1/"+path, body, "Cookie", cookie), http.StatusForbidden)
	}
	if n := len(gateway.messages.resent) + len(gateway.messages.reset); n > 0 {
		t.Errorf("%d changes were made", n)
	}
}

func TestMessagesAreSentAgain(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	for _, body := range []string{`{}`, `{"group":"billing"}`} {
		if sent := decode[Resent](t, ask(s, "POST", "/api/v1/messages/2/resend", body, bearer(s)...)); sent.Position != 9 {
			t.Errorf("%s: %+v", body, sent)
		}
	}
	if want := []string{"2", "2billing"}; !slices.Equal(gateway.messages.resent, want) {
		t.Errorf("sent again %v, want %v", gateway.messages.resent, want)
	}
	if list, _ := gateway.keeper.Audits(0, 10); len(list) != 2 || list[0].Action != "message resent" || list[0].Subject != "2 to orders" || list[0].User != administrator {
		t.Errorf("audit records %+v", list)
	}
	for path, want := range map[string]int{"3": http.StatusConflict, "4": http.StatusNotFound, "x": http.StatusNotFound} {
		wantProblem(t, ask(s, "POST", "/api/v1/messages/"+path+"/resend", `{}`, bearer(s)...), want)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/messages/1/resend", `{"to":"x"}`, bearer(s)...), http.StatusBadRequest)
	gateway.messages.broken = message.ErrFull
	if got := ask(s, "POST", "/api/v1/messages/1/resend", `{}`, bearer(s)...); got.Header().Get("Retry-After") == "" {
		t.Errorf("a full log answers %v", got.Header())
	} else {
		wantProblem(t, got, http.StatusServiceUnavailable)
	}
	if list, _ := gateway.keeper.Audits(0, 10); len(list) != 2 {
		t.Errorf("what was refused is recorded: %+v", list)
	}
}

func TestGroupsAreReset(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	page := decode[listPage[Reset]](t, ask(s, "POST", "/api/v1/groups/%25RETRY%25a/reset", `{"topic":"orders","to":"2026-11-23T09:00:00+01:00"}`, bearer(s)...))
	if len(page.Items) != 1 || page.Items[0].After != 2 || page.Items[0].Before != nil {
		t.Errorf("reset gives %+v", page)
	}
	if want := []string{"%RETRY%a orders 2026-11-23T08:00:00Z"}; !slices.Equal(gateway.messages.reset, want) {
		t.Errorf("reset %v, want %v", gateway.messages.reset, want)
	}
	if list, _ := gateway.keeper.Audits(0, 10); len(list) != 1 || list[0].Action != "group reset" || list[0].Subject != "%RETRY%a in orders to 2026-11-23T08:00:00Z" {
		t.Errorf("audit records %+v", list)
	}
	for body, field := range map[string]string{`{"topic":"orders"}`: "to", `{"to":"2026-11-23T08:00:00Z"}`: "topic"} {
		if p := wantProblem(t, ask(s, "POST", "/api/v1/groups/billing/reset", body, bearer(s)...), http.StatusUnprocessableEntity); p.Field != field {
			t.Errorf("%s: the refusal names %q", body, p.Field)
		}
	}
	wantProblem(t, ask(s, "POST", "/api/v1/groups/billing/reset", `{"topic":"orders","to":"noon"}`, bearer(s)...), http.StatusBadRequest)
	wantProblem(t, ask(s, "POST", "/api/v1/groups/nobody/reset", `{"topic":"orders","to":"2026-11-23T08:00:00Z"}`, bearer(s)...), http.StatusNotFound)
}
