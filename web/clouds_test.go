package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeClouds recognises a broker, whatever is pasted, but for "nothing".
type fakeClouds struct{}

func (fakeClouds) Recognise(text string) (Recognised, error) {
	if text == "nothing" {
		return Recognised{}, &UplinkError{Field: "text", Problem: "nothing is recognised"}
	}
	return Recognised{
		Uplink: json.RawMessage(`{"name":"cloud","driver":"mqtt","address":"ssl://broker.example.com:8883","username":"line3","forward":[{"from":"readings/{gateway}/+","to":"{topic}"}]}`),
		Kind:   "mqtt", Said: BusText{English: "An MQTT broker at broker.example.com:8883, with TLS.", Chinese: "MQTT 服务器 broker.example.com:8883，TLS 加密。"},
		Secrets: []RecognisedSecret{{Path: []string{"password_file"}, Name: "cloud-password", Value: "s3cret"}},
	}, nil
}

func (fakeClouds) TryUplink(_ context.Context, section json.RawMessage, report func(TestStep)) error {
	if strings.Contains(string(section), `"heap"`) {
		return &UplinkError{Field: "uplink.driver", Problem: "there is no such driver"}
	}
	report(TestStep{Step: "name resolved", Took: 12})
	report(TestStep{Step: "port open", Error: "nobody listens there"})
	return errors.New("nobody listens there")
}

func (fakeClouds) Examples(context.Context, json.RawMessage) ([]RouteExample, error) {
	return []RouteExample{{From: "readings/{gateway}/+", Topic: "readings/line-3/press", To: "plants/readings/line-3/press", Payload: string(fakeReading), Bytes: len(fakeReading), Made: 1}}, nil
}

func (fakeClouds) KeepSecret(name, _ string) (string, error) {
	return "/var/lib/sluice/secrets/" + name, nil
}

// fakeOutages has one uplink, cloud, that can be cut.
type fakeOutages struct {
	mu  sync.Mutex // guards what follows
	cut *Outage
}

func (f *fakeOutages) Cut(uplink string, d time.Duration) (Outage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if uplink != "cloud" {
		return Outage{}, ErrUnknown
	}
	if f.cut != nil {
		return Outage{}, ErrCut
	}
	now := time.Now()
	until := now.Add(d)
	f.cut = &Outage{Active: true, Started: &now, Until: &until, Verdict: "running"}
	return *f.cut, nil
}

func (f *fakeOutages) Restore(uplink string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = nil
	return nil
}

func (f *fakeOutages) Outage(uplink string) (Outage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case uplink != "cloud":
		return Outage{}, ErrUnknown
	case f.cut == nil:
		return Outage{Verdict: "none"}, nil
	}
	return *f.cut, nil
}

// fakeTracer has one device, press, whose readings are acknowledged at once.
type fakeTracer struct{}

func (fakeTracer) Trace(_ context.Context, device string, report func(TraceStep)) (bool, error) {
	switch device {
	case "press":
	case "busy":
		return false, ErrTracing
	default:
		return false, ErrUnknown
	}
	report(TraceStep{Step: "polled", At: fakeBorn, Device: device, Seq: 18, Value: map[string]any{"temperature": 21.5}})
	report(TraceStep{Step: "acknowledged", At: fakeBorn, Device: device, Seq: 18, Uplink: "cloud"})
	return true, nil
}

func TestAPastedTextIsRecognised(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	token := s.sessions.open("ada", adminRole)
	got := ask(s, "POST", "/api/v1/uplinks/recognise", `{"text":"mqtts://line3:s3cret@broker.example.com"}`, "Authorization", "Bearer "+token)
	if found := decode[Recognised](t, got); found.Kind != "mqtt" || found.Needs == nil || len(found.Secrets) != 1 {
		t.Errorf("it is %+v", found)
	}
	if got.Header().Get("Cache-Control") != "no-store" {
		t.Error("a password may stay in a cache")
	}
	if p := wantProblem(t, ask(s, "POST", "/api/v1/uplinks/recognise", `{"text":"nothing"}`, "Authorization", "Bearer "+token), 422); p.Field != "text" {
		t.Errorf("what is nothing answers %+v", p)
	}
	for _, body := range []string{``, `[]`, `{"text":7}`, `{"texts":""}`} {
		wantProblem(t, ask(s, "POST", "/api/v1/uplinks/recognise", body, "Authorization", "Bearer "+token), 400)
	}
	viewer := s.sessions.open("zoe", viewerRole)
	for _, path := range []string{"/uplinks/recognise", "/uplinks/test", "/secrets", "/uplinks/cloud/outage"} {
		wantProblem(t, ask(s, "POST", "/api/v1"+path, `{}`, "Authorization", "Bearer "+viewer), 403)
		wantProblem(t, ask(s, "POST", "/api/v1"+path, `{}`), 401)
	}
	wantProblem(t, ask(s, "DELETE", "/api/v1/uplinks/cloud/outage", "", "Authorization", "Bearer "+viewer), 403)
}

func TestAnUplinkIsTriedStepByStep(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	token := s.sessions.open("ada", adminRole)
	got := ask(s, "POST", "/api/v1/uplinks/test", `{"uplink":{"driver":"mqtt"}}`, "Authorization", "Bearer "+token)
	if got.Code != http.StatusOK || strings.Count(got.Body.String(), "\n") != 3 || !strings.Contains(got.Body.String(), `{"ok":false,"error":"nobody listens there"}`) {
		t.Errorf("it answers %d %s", got.Code, got.Body)
	}
	if p := wantProblem(t, ask(s, "POST", "/api/v1/uplinks/test", `{"uplink":{"driver":"heap"}}`, "Authorization", "Bearer "+token), 422); p.Field != "uplink.driver" {
		t.Errorf("a driver that is none answers %+v", p)
	}
}

func TestAReadingsWayIsAStreamOfEvents(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	token := s.sessions.open("ada", adminRole)
	got := ask(s, "GET", "/api/v1/trace?device=press", "", "Authorization", "Bearer "+token)
	want := "event: step\ndata: {\"step\":\"polled\""
	if got.Header().Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(got.Body.String(), want) || !strings.HasSuffix(got.Body.String(), "event: end\ndata: {\"complete\":true}\n\n") {
		t.Errorf("the events are %s", got.Body)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/trace?device=none", "", "Authorization", "Bearer "+token), 404)
	wantProblem(t, ask(s, "GET", "/api/v1/trace?device=busy", "", "Authorization", "Bearer "+token), 503)
}
