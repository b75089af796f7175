package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeFirstRun keeps the checklist in memory.
type fakeFirstRun struct {
	mu    sync.Mutex // guards what follows
	list  Checklist
	given bool // the password came from the environment
	err   error
}

func (f *fakeFirstRun) Checklist() (Checklist, error) { return f.Keep(ChecklistChange{}) }

func (f *fakeFirstRun) Keep(change ChecklistChange) (Checklist, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list.Password, f.list.Device, f.list.Uplink, f.list.Start = !f.given, true, true, true
	if change.Done != nil {
		f.list.Time = slices.Contains(*change.Done, "time")
	}
	if f.list.Skipped == nil || change.Skipped != nil {
		f.list.Skipped = []string{}
	}
	if change.Skipped != nil {
		f.list.Skipped = *change.Skipped
	}
	if change.Dismissed != nil {
		f.list.Dismissed = *change.Dismissed
	}
	if change.Draft != nil {
		f.list.Draft = change.Draft
	}
	return f.list, f.err
}

// fakeClock is a clock that may be set, or that somebody else has to set.
type fakeClock struct {
	mu     sync.Mutex // guards what follows
	now    time.Time
	zone   string
	byHand bool
}

func (f *fakeClock) Time() Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now.IsZero() {
		return Time{Now: time.Now(), Zone: "UTC", Synchronised: true, Source: "ntp", CanSet: !f.byHand}
	}
	return Time{Now: f.now, Zone: f.zone, Source: "page", CanSet: !f.byHand}
}

func (f *fakeClock) SetTime(now time.Time, zone string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byHand {
		return &ByHandError{Why: "the gateway may not", Command: "timedatectl set-timezone " + zone}
	}
	if zone == "Mars/Olympus" {
		return &FieldError{Field: "zone", Text: "there is no such zone"}
	}
	f.now, f.zone = now, zone
	return nil
}

func TestTheFirstRunGoesOnWhereItWas(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	stranger := decode[setupState](t, ask(s, "GET", "/api/v1/setup", ""))
	if stranger.Needed || stranger.Checklist != nil {
		t.Errorf("a stranger is told %+v", stranger)
	}
	body := `{"done":["time"],"skipped":["uplink"],"draft":{"devices":[{"name":"press"}]}}`
	kept := decode[Checklist](t, ask(s, "PUT", "/api/v1/setup/checklist", body, bearer(s)...))
	again := decode[setupState](t, ask(s, "GET", "/api/v1/setup", "", bearer(s)...))
	for _, list := range []Checklist{kept, *again.Checklist} {
		if !list.Time || !slices.Equal(list.Skipped, []string{"uplink"}) || string(list.Draft) != `{"devices":[{"name":"press"}]}` {
			t.Errorf("kept is %+v with the draft %s", list, list.Draft)
		}
	}
	for body, want := range map[string]int{
		`{"done":["tiem"]}`: http.StatusUnprocessableEntity,
		`{"done":"time"}`:   http.StatusBadRequest,
		`{"skipped":[4]}`:   http.StatusBadRequest,
		`{"nothing":1}`:     http.StatusBadRequest,
		`{"draft":` + "}":   http.StatusBadRequest,
		`[]`:                http.StatusBadRequest,
		`{"draft":"` + strings.Repeat("x", MaxDraft) + `"}`:   http.StatusRequestEntityTooLarge,
		`{"draft":"` + strings.Repeat("x", 2*MaxDraft) + `"}`: http.StatusRequestEntityTooLarge,
	} {
		wantProblem(t, ask(s, "PUT", "/api/v1/setup/checklist", body, bearer(s)...), want)
	}
	if got := ask(s, "PUT", "/api/v1/setup/checklist", "null", bearer(s)...); got.Code != http.StatusOK {
		t.Errorf("null changes nothing and answers %d", got.Code)
	}
	wantProblem(t, ask(s, "PUT", "/api/v1/setup/checklist", "{}"), http.StatusUnauthorized)
	gateway.firstRun.err = errors.New("disk is gone")
	wantProblem(t, ask(s, "GET", "/api/v1/setup", "", bearer(s)...), http.StatusInternalServerError)
	wantProblem(t, ask(s, "PUT", "/api/v1/setup/checklist", "{}", bearer(s)...), http.StatusInternalServerError)
}

func TestTheClockIsSet(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	wantProblem(t, ask(s, "GET", "/api/v1/time", ""), http.StatusUnauthorized)
	if now := decode[Time](t, ask(s, "GET", "/api/v1/time", "", bearer(s)...)); !now.Synchronised || now.Source != "ntp" {
		t.Errorf("the clock is %+v", now)
	}
	set := decode[Time](t, ask(s, "PUT", "/api/v1/time", `{"now":"2026-11-23T20:00:00Z","zone":"Asia/Shanghai"}`, bearer(s)...))
	if set.Now.Unix() != 1795464000 || set.Zone != "Asia/Shanghai" || set.Source != "page" {
		t.Errorf("after it was set the clock is %+v", set)
	}
	records, _ := gateway.keeper.Audits(0, 1)
	var before, after clockState
	if json.Unmarshal([]byte(records[0].Before), &before) != nil || json.Unmarshal([]byte(records[0].After), &after) != nil ||
		before.Zone != "UTC" || time.Since(before.Now).Abs() > time.Hour || after.Zone != "Asia/Shanghai" || after.Now.Unix() != 1795464000 {
		t.Errorf("the audit log has %+v", records[0])
	}
	for body, want := range map[string]int{
		`null`:                           http.StatusUnprocessableEntity,
		`{}`:                             http.StatusUnprocessableEntity,
		`{"now":"soon"}`:                 http.StatusBadRequest,
		`{"now":17}`:                     http.StatusBadRequest,
		`{"now":"1970-01-01T00:00:00Z"}`: http.StatusUnprocessableEntity,
		`{"now":"9999-01-01T00:00:00Z"}`: http.StatusUnprocessableEntity,
		`{"zone":"Mars/Olympus"}`:        http.StatusUnprocessableEntity,
		`{"zone":4}`:                     http.StatusBadRequest,
	} {
		wantProblem(t, ask(s, "PUT", "/api/v1/time", body, bearer(s)...), want)
	}
	gateway.clock.byHand = true
	refused := wantProblem(t, ask(s, "PUT", "/api/v1/time", `{"zone":"Asia/Shanghai"}`, bearer(s)...), http.StatusConflict)
	if !strings.Contains(refused.Detail, "timedatectl set-timezone Asia/Shanghai") {
		t.Errorf("the refusal does not say what to type: %s", refused.Detail)
	}
}
