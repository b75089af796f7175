package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeUplinks has one uplink, cloud, that has set three messages aside.
type fakeUplinks struct {
	mu     sync.Mutex // guards what follows
	broken error      // of the test's third step
	hold   chan struct{}
	begun  chan struct{}
	stays  time.Duration // at each step
}

func (f *fakeUplinks) Test(ctx context.Context, name string, report func(TestStep)) error {
	f.mu.Lock()
	broken, hold, begun, stays := f.broken, f.hold, f.begun, f.stays
	f.mu.Unlock()
	switch name {
	case "cloud":
	case "heap":
		return fmt.Errorf("%w: an uplink of this kind cannot be tested", ErrNotAllowed)
	default:
		return ErrUnknown
	}
	for i, step := range []TestStep{
		{Step: "name resolved", Detail: "iot.example.com is 203.0.113.7", Took: 12.5},
		{Step: "port open", Detail: "203.0.113.7:8883 from 192.168.10.2", Took: 31},
		{Step: "certificate valid", Detail: "until 2027-03-01, from Example CA, for iot.example.com", Took: 64.2},
		{Step: "logged in", Took: 40},
		{Step: "published", Detail: "61 bytes to sluice/test/line-3", Took: 0.4},
		{Step: "acknowledged", Took: 29.8},
	} {
		if stays > 0 {
			select {
			case <-time.After(stays):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if i == 2 && broken != nil {
			report(TestStep{Step: step.Step, Took: step.Took, Error: broken.Error()})
			return broken
		}
		report(step)
		if i == 0 && hold != nil {
			close(begun)
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (f *fakeUplinks) Aside(_ context.Context, name string, from uint64, limit int) (list []Aside, next uint64, err error) {
	if name != "cloud" {
		return nil, 0, fmt.Errorf("%w: uplink %s", ErrUnknown, name)
	}
	all := []Aside{
		{Position: 2, Topic: "orders/a", Stored: fakeBorn, Bytes: len(fakeReading), Reason: "the payload is not valid", Tries: 1, Origin: 1},
		{Position: 3, Topic: "orders/held", Stored: fakeBorn, Bytes: len(fakeReading), Reason: "not authorised", Tries: 10, Origin: 2},
		{Position: fakeAside, Topic: "readings/line-3/press", Stored: fakeBorn, Bytes: 312_000, Reason: "the message is too large for the cloud, which takes 262144 bytes", Tries: 1, Origin: 6},
	}
	for i, a := range all {
		if a.Position < from {
			continue
		}
		if list = append(list, a); len(list) == limit && i < len(all)-1 {
			return list, a.Position + 1, nil
		}
	}
	return list, 0, nil
}

func TestAnUplinkIsTestedStepByStep(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	got := ask(s, "POST", "/api/v1/uplinks/cloud/test", "", bearer(s)...)
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("answers %d %q: %s", got.Code, got.Header().Get("Content-Type"), got.Body)
	}
	lines := strings.Split(strings.TrimSpace(got.Body.String()), "\n")
	if len(lines) != 7 || !strings.Contains(lines[2], `"step":"certificate valid","detail":"until 2027-03-01, from Example CA, for iot.example.com","took_ms":64.2`) || lines[6] != `{"ok":true}` {
		t.Errorf("answers\n%s", got.Body)
	}

	gateway.uplinks.broken = errors.New("the certificate expired on 2026-10-01")
	got = ask(s, "POST", "/api/v1/uplinks/cloud/test", "", bearer(s)...)
	lines = strings.Split(strings.TrimSpace(got.Body.String()), "\n")
	if len(lines) != 4 || lines[2] != `{"step":"certificate valid","took_ms":64.2,"error":"the certificate expired on 2026-10-01"}` ||
		lines[3] != `{"ok":false,"error":"the certificate expired on 2026-10-01"}` {
		t.Errorf("a test that fails answers\n%s", got.Body)
	}
	list, _ := gateway.keeper.Audits(0, 10)
	if len(list) != 2 || list[1].Action != "uplink tested" || list[1].Subject != "cloud: passed" || list[0].Subject != "cloud: failed" {
		t.Errorf("audit records %+v", list)
	}

	wantProblem(t, ask(s, "POST", "/api/v1/uplinks/none/test", "", bearer(s)...), http.StatusNotFound)
	wantProblem(t, ask(s, "POST", "/api/v1/uplinks/heap/test", "", bearer(s)...), http.StatusConflict)
	viewer := s.sessions.open("zoe", "viewer")
	wantProblem(t, ask(s, "POST", "/api/v1/uplinks/cloud/test", ""), http.StatusUnauthorized)
	wantProblem(t, ask(s, "POST", "/api/v1/uplinks/cloud/test", "", "Authorization", "Bearer "+viewer), http.StatusForbidden)
}

func TestOneUplinkIsTestedAtATime(t *testing.T) {
	gateway := newFakeGateway()
	gateway.uplinks.hold, gateway.uplinks.begun = make(chan struct{}), make(chan struct{})
	s := newServer(t, gateway, signedUp(t))
	var first sync.WaitGroup
	first.Go(func() { ask(s, "POST", "/api/v1/uplinks/cloud/test", "", bearer(s)...) })
	<-gateway.uplinks.begun
	wantProblem(t, ask(s, "POST", "/api/v1/uplinks/cloud/test", "", bearer(s)...), http.StatusConflict)
	close(gateway.uplinks.hold)
	first.Wait()
	gateway.uplinks.mu.Lock()
	gateway.uplinks.hold = nil
	gateway.uplinks.mu.Unlock()
	if got := ask(s, "POST", "/api/v1/uplinks/cloud/test", "", bearer(s)...); got.Code != http.StatusOK {
		t.Errorf("after the first test: %d %s", got.Code, got.Body)
	}
}

func TestATestDoesNotOutliveTheServer(t *testing.T) {
	gateway := newFakeGateway()
	gateway.uplinks.hold, gateway.uplinks.begun = make(chan struct{}), make(chan struct{})
	s := newServer(t, gateway, signedUp(t))
	var test sync.WaitGroup
	var body string
	test.Go(func() { body = ask(s, "POST", "/api/v1/uplinks/cloud/test", "", bearer(s)...).Body.String() })
	<-gateway.uplinks.begun
	s.stopOnce.Do(func() { close(s.stopping) })
	test.Wait()
	if !strings.HasSuffix(strings.TrimSpace(body), `{"ok":false,"error":"context canceled"}`) {
		t.Errorf("the answer ends with %s", body)
	}
}

func TestWhatWasSetAsideIsListed(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	page := decode[asidePage](t, ask(s, "GET", "/api/v1/uplinks/cloud/aside?limit=2", "", bearer(s)...))
	if len(page.Items) != 2 || page.Items[1].Reason != "not authorised" || page.Next != 4 {
		t.Errorf("the first page is %+v", page)
	}
	page = decode[asidePage](t, ask(s, "GET", "/api/v1/uplinks/cloud/aside?limit=2&next=4", "", bearer(s)...))
	if len(page.Items) != 1 || page.Items[0].Position != fakeAside || page.Next != 0 {
		t.Errorf("the last page is %+v", page)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/uplinks/none/aside", "", bearer(s)...), http.StatusNotFound)
	wantProblem(t, ask(s, "GET", "/api/v1/uplinks/cloud/aside?next=x", "", bearer(s)...), http.StatusUnprocessableEntity)
	wantProblem(t, ask(s, "GET", "/api/v1/uplinks/cloud/aside?limit=999", "", bearer(s)...), http.StatusUnprocessableEntity)
	wantProblem(t, ask(s, "GET", "/api/v1/uplinks/cloud/aside", ""), http.StatusUnauthorized)
}
