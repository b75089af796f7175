package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// fakeFirmware keeps what it was sent.
type fakeFirmware struct {
	mu       sync.Mutex // guards what follows
	state    FirmwareState
	err      error
	got      string
	restarts int
}

func (f *fakeFirmware) FirmwareState() FirmwareState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *fakeFirmware) Upload(_ context.Context, from io.Reader, _ int64, name, by string) error {
	body, err := io.ReadAll(from)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = by + " sent " + name + ": " + string(body)
	return errors.Join(err, f.err)
}

func (f *fakeFirmware) Stream(url, by string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = by + " named " + url
	return f.err
}

func (f *fakeFirmware) CancelUpload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fakeFirmware) RestartMachine(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.restarts++
	}
	return f.err
}

func TestFirmwareIsInstalled(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	administrator := asRole(s, "administrator")
	bundle := append([]string{"Content-Type", "application/octet-stream"}, administrator...)
	named := append([]string{"Content-Type", "application/json"}, administrator...)

	large := strings.Repeat("x", 2*maxBody) // other bodies are bounded, this one by the disk
	if got := ask(s, "POST", "/api/v1/firmware?name=sluice-2.raucb", large, bundle...); got.Code != http.StatusAccepted || gateway.firmware.got != "administrator sent sluice-2.raucb: "+large {
		t.Errorf("an upload: %d, %.80s", got.Code, gateway.firmware.got)
	}
	if got := ask(s, "POST", "/api/v1/firmware", `{"url":"https://example.com/2.raucb"}`, named...); got.Code != http.StatusAccepted || gateway.firmware.got != "administrator named https://example.com/2.raucb" {
		t.Errorf("an address: %d, %s", got.Code, gateway.firmware.got)
	}
	for _, body := range []string{`{}`, `null`, `{"url":""}`, `{"url":"/etc/passwd"}`, `{"url":"file:///etc/passwd"}`, `{"url":"https://user:pass@example.com/x"}`, `{"url":"http://"}`, `{"url":"ftp://example.com/x"}`} {
		if p := wantProblem(t, ask(s, "POST", "/api/v1/firmware", body, named...), http.StatusUnprocessableEntity); p.Field != "url" {
			t.Errorf("%s: %+v, want the field named", body, p)
		}
	}
	wantProblem(t, ask(s, "POST", "/api/v1/firmware", `{"url":7}`, named...), http.StatusBadRequest)
	wantProblem(t, ask(s, "POST", "/api/v1/firmware", `{"url":"`+large+`"}`, named...), http.StatusRequestEntityTooLarge)
	wantProblem(t, ask(s, "POST", "/api/v1/firmware", "x", append([]string{"Content-Type", "text/plain"}, administrator...)...), http.StatusUnsupportedMediaType)

	if got := ask(s, "POST", "/api/v1/firmware/restart", "", administrator...); got.Code != http.StatusAccepted || gateway.firmware.restarts != 1 {
		t.Errorf("restart: %d, %d", got.Code, gateway.firmware.restarts)
	}
	if got := ask(s, "DELETE", "/api/v1/firmware/install", "", administrator...); got.Code != http.StatusNoContent {
		t.Errorf("cancelling: %d", got.Code)
	}
}

func TestWhyFirmwareIsRefused(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	administrator := asRole(s, "administrator")
	for _, c := range []struct {
		err                     error
		install, cancel, reboot int
	}{
		{&UpdateError{"board", "it is for another board"}, 422, 500, 502},
		{ErrInstalling, 409, 409, 409},
		{ErrOnTrial, 409, 500, 502},
		{ErrNoSlots, 409, 500, 409},
		{ErrNoSpace, 507, 500, 502},
		{ErrBundleSize, 413, 500, 502},
		{ErrUploadEnded, 400, 500, 502},
		{ErrUnknown, 500, 404, 502},
		{errors.New("it broke"), 500, 500, 502},
	} {
		gateway.firmware.err = c.err
		p := wantProblem(t, ask(s, "POST", "/api/v1/firmware", "x", append([]string{"Content-Type", "application/octet-stream"}, administrator...)...), c.install)
		if c.install == 422 && (p.Field != "board" || p.Detail != "it is for another board") {
			t.Errorf("%+v, want the kind and the words", p)
		}
		wantProblem(t, ask(s, "DELETE", "/api/v1/firmware/install", "", administrator...), c.cancel)
		wantProblem(t, ask(s, "POST", "/api/v1/firmware/restart", "", administrator...), c.reboot)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/firmware", "", asRole(s, "viewer")...), http.StatusForbidden)
	wantProblem(t, ask(s, "POST", "/api/v1/firmware", "x", asRole(s, "operator")...), http.StatusForbidden)
	if got := ask(s, "GET", "/api/v1/firmware", "", asRole(s, "operator")...); got.Code != http.StatusOK {
		t.Errorf("an operator's look: %d", got.Code)
	}
}
