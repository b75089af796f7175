package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"sluice/gateway/network"
)

// fakeNetwork has one cable, and a change that waits when there was one.
type fakeNetwork struct {
	mu      sync.Mutex // guards what follows
	err     error
	applied []network.Connection
	pending *network.Pending
}

func (f *fakeNetwork) State(context.Context) (network.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return network.State{ETag: fakeTag, Available: true, Devices: []network.Device{}, Connections: []network.Connection{}, Pending: f.pending}, nil
}

func (f *fakeNetwork) Apply(_ context.Context, all []network.Connection, etag string) (network.Applied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return network.Applied{}, f.err
	case f.pending != nil:
		return network.Applied{}, network.ErrPending
	case etag != fakeTag:
		return network.Applied{}, network.ErrChanged
	}
	f.applied, f.pending = all, &network.Pending{ID: "p"}
	return network.Applied{ETag: fakeTag, Pending: f.pending, Warnings: []string{}}, nil
}

func (f *fakeNetwork) Confirm(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pending == nil || f.pending.ID != id {
		return network.ErrUnknown
	}
	f.pending = nil
	return nil
}

func (f *fakeNetwork) RollBack(ctx context.Context) error { return f.Confirm(ctx, "p") }

func (f *fakeNetwork) Scan(_ context.Context, name string) ([]network.AccessPoint, error) {
	if name != "wlan0" {
		return nil, &network.FieldError{Field: "interface", Text: "there is no such device"}
	}
	return []network.AccessPoint{{SSID: "plant", Signal: 70, Security: "sae", In: "5"}}, nil
}

const cable = `{"id":"","name":"office","kind":"ethernet","interface":"eth0","auto":true,"metric":null,
	"ipv4":{"method":"auto","addresses":[],"gateway":"","dns":[],"never_default":false},"ipv6":{"method":"auto","addresses":[],"gateway":"","dns":[],"never_default":false}}`

func TestTheNetworkIsChangedByWhoHasSeenIt(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	put := func(body, tag string) (code int, got problem) {
		headers := bearer(s)
		if tag != "" {
			headers = append(headers, "If-Match", `"`+tag+`"`)
		}
		r := ask(s, "PUT", networkPath, body, headers...)
		_ = json.Unmarshal(r.Body.Bytes(), &got)
		return r.Code, got
	}
	one := `{"connections":[` + cable + `]}`
	for _, c := range []struct {
		body, tag, field string
		code             int
	}{
		{one, "", "If-Match", http.StatusPreconditionRequired},
		{one, "old", "If-Match", http.StatusPreconditionFailed},
		{`{}`, fakeTag, "connections", http.StatusUnprocessableEntity},
		{`null`, fakeTag, "connections", http.StatusUnprocessableEntity},
		{strings.Replace(one, `"auto",`, `"magic",`, 1), fakeTag, "connections.0.ipv4.method", http.StatusUnprocessableEntity},
		{strings.Replace(one, `"metric":null`, `"metric":1e99`, 1), fakeTag, "connections.metric", http.StatusBadRequest},
		{one, fakeTag, "", http.StatusOK},
		{one, fakeTag, "", http.StatusConflict},
	} {
		if code, got := put(c.body, c.tag); code != c.code || got.Field != c.field {
			t.Errorf("%.40s… with %q: %d %+v, want %d for %q", c.body, c.tag, code, got, c.code, c.field)
		}
	}
	if len(gateway.network.applied) != 1 || gateway.network.applied[0].Interface != "eth0" {
		t.Errorf("applied is %+v", gateway.network.applied)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/network/confirm", `{"id":"other"}`, bearer(s)...), http.StatusNotFound)
	if got := ask(s, "POST", "/api/v1/network/confirm", `{"id":"p"}`, bearer(s)...); got.Code != http.StatusNoContent {
		t.Errorf("to confirm: %d %s", got.Code, got.Body)
	}
	wantProblem(t, ask(s, "DELETE", "/api/v1/network/pending", "", bearer(s)...), http.StatusNotFound)
	gateway.network.err = network.ErrDenied
	if code, _ := put(one, fakeTag); code != http.StatusConflict {
		t.Errorf("where the gateway may not: %d", code)
	}
}

func TestTheAirIsAskedOfOneRadio(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	if air := decode[networkAir](t, ask(s, "POST", "/api/v1/network/scan", `{"interface":"wlan0"}`, bearer(s)...)); len(air.Items) != 1 {
		t.Errorf("in the air are %+v", air)
	}
	if p := wantProblem(t, ask(s, "POST", "/api/v1/network/scan", `{"interface":"eth0"}`, bearer(s)...), http.StatusUnprocessableEntity); p.Field != "interface" {
		t.Errorf("the refusal names %q", p.Field)
	}
}

func TestAResetWantsThePasswordAgain(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	for _, body := range []string{`{"password":"wrong-password"}`, `{}`, `null`} {
		if p := wantProblem(t, ask(s, "POST", "/api/v1/reset", body, bearer(s)...), http.StatusForbidden); p.Field != "password" {
			t.Errorf("%s: the refusal names %q", body, p.Field)
		}
	}
	if gateway.system.resets != 0 {
		t.Error("it was reset nevertheless")
	}
	if got := ask(s, "POST", "/api/v1/reset", `{"password":"`+testPassword+`"}`, bearer(s)...); got.Code != http.StatusAccepted || gateway.system.resets != 1 {
		t.Errorf("with the password: %d %s, %d resets", got.Code, got.Body, gateway.system.resets)
	}
	gateway.system.err = ErrNoRestart
	wantProblem(t, ask(s, "POST", "/api/v1/reset", `{"password":"`+testPassword+`"}`, bearer(s)...), http.StatusConflict)
}

func TestSecretsOfTheNetworkAreInNoRecord(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	modem := strings.Replace(cable, `"kind":"ethernet"`, `"modem":{"apn":"net","user":"u","password":"pass-4711-word","pin":"4711"},"kind":"modem"`, 1)
	tunnel := strings.Replace(cable, `"kind":"ethernet"`, `"wireguard":{"private_key":"yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=","peers":[]},"kind":"wireguard"`, 1)
	tunnel = strings.ReplaceAll(tunnel, `"method":"auto"`, `"method":"disabled"`)
	if got := ask(s, "PUT", networkPath, `{"connections":[`+modem+`,`+tunnel+`]}`, append(bearer(s), "If-Match", fakeTag)...); got.Code != http.StatusOK {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	records, err := gateway.keeper.Audits(0, 10)
	if err != nil || len(records) != 1 || !strings.Contains(records[0].After, `"apn":"net"`) {
		t.Fatalf("%+v, %v", records, err)
	}
	for _, secret := range []string{"4711", "yAnz5TF"} {
		if strings.Contains(records[0].After, secret) {
			t.Errorf("the record has %s: %s", secret, records[0].After)
		}
	}
}
