package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// fakeDevices has press, which takes any value, and valve, which refuses.
type fakeDevices struct{}

func (fakeDevices) Try(_ context.Context, wanted TrialRequest) (Trial, error) {
	var device struct {
		Address string `json:"address"`
		Points  []any  `json:"points"`
	}
	if err := json.Unmarshal(wanted.Device, &device); err != nil {
		return Trial{}, err
	}
	switch device.Address {
	case "":
		return Trial{}, &SectionError{[]SectionProblem{{Path: []string{"device", "address"}, Text: "missing; write a text"}, {Path: []string{"device", "points"}, Text: "missing"}}}
	case "busy":
		return Trial{}, fmt.Errorf("%w at busy", ErrTrying)
	}
	return Trial{Took: 12.5, Points: []TriedPoint{{Name: "temperature", Unit: "°C", Value: 21.5, Raw: "00D7"}}, Problems: []SectionProblem{}}, nil
}

func (fakeDevices) Write(_ context.Context, device, _ string, values json.RawMessage) (Written, error) {
	switch device {
	case "press":
		return Written{OK: true, Values: values, Before: map[string]any{"setpoint": 40.5, "other": 1}}, nil
	case "valve":
		return Written{Values: json.RawMessage("{}"), Error: "point open is read-only"}, nil
	}
	return Written{}, fmt.Errorf("%w: device %q", ErrUnknown, device)
}

func TestADeviceIsTriedOut(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	try := func(body string) int {
		return ask(s, "POST", tryPath, body, "Authorization", "Bearer "+tokenOf(s)).Code
	}
	trial := decode[Trial](t, ask(s, "POST", tryPath, `{"device":{"driver":"modbus","address":"tcp://10.0.0.9"}}`, "Authorization", "Bearer "+tokenOf(s)))
	if len(trial.Points) != 1 || trial.Points[0].Raw != "00D7" || trial.Points[0].Value != 21.5 {
		t.Errorf("the trial gave %+v", trial)
	}
	wrong := wantProblem(t, ask(s, "POST", tryPath, `{"device":{}}`, "Authorization", "Bearer "+tokenOf(s)), http.StatusUnprocessableEntity)
	if wrong.Status != http.StatusUnprocessableEntity || wrong.Field != "device.address" || len(wrong.Problems) != 2 {
		t.Errorf("a section that cannot be is answered with %+v", wrong)
	}
	for body, want := range map[string]int{
		`{"device":{"address":"busy"}}`:      http.StatusConflict,
		`{}`:                                 http.StatusUnprocessableEntity,
		`null`:                               http.StatusUnprocessableEntity,
		`{"device":null}`:                    http.StatusUnprocessableEntity,
		`{"device":[1]}`:                     http.StatusUnprocessableEntity,
		`{"device":{"address":"x"},"bus":7}`: http.StatusUnprocessableEntity,
		`{"devices":{}}`:                     http.StatusBadRequest,
		`{"device":{"address":"` + strings.Repeat("x", maxTry) + `"}}`: http.StatusRequestEntityTooLarge,
	} {
		if got := try(body); got != want {
			t.Errorf("%.40s is answered with %d, want %d", body, got, want)
		}
	}
}

func TestADeviceIsWritten(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	write := func(body string) *http.Response {
		return ask(s, "POST", "/api/v1/devices/write", body, "Authorization", "Bearer "+tokenOf(s)).Result()
	}
	done := decode[Written](t, ask(s, "POST", "/api/v1/devices/write", `{"device":"press","values":{"setpoint":42}}`, "Authorization", "Bearer "+tokenOf(s)))
	if !done.OK || string(done.Values) != `{"setpoint":42}` {
		t.Errorf("the device was written with %+v", done)
	}
	done = decode[Written](t, ask(s, "POST", "/api/v1/devices/write", `{"device":"valve","values":{"open":true}}`, "Authorization", "Bearer "+tokenOf(s)))
	if done.OK || done.Error == "" {
		t.Errorf("a device that refuses is answered with %+v", done)
	}
	for body, want := range map[string]int{
		`{"device":"press","values":{}}`:       http.StatusUnprocessableEntity,
		`{"device":"press","values":null}`:     http.StatusUnprocessableEntity,
		`{"device":"press","values":[1]}`:      http.StatusUnprocessableEntity,
		`{"device":"press"}`:                   http.StatusUnprocessableEntity,
		`{"device":7,"values":{"a":1}}`:        http.StatusBadRequest,
		`{"device":"nobody","values":{"a":1}}`: http.StatusNotFound,
	} {
		if got := write(body); got.StatusCode != want {
			t.Errorf("%s is answered with %d, want %d", body, got.StatusCode, want)
		}
	}
	audits, err := gateway.keeper.Audits(0, 10)
	if err != nil || len(audits) != 2 || audits[1].Subject != `press {"setpoint":42}` || !strings.Contains(audits[0].Subject, "read-only") {
		t.Errorf("the audit says %+v, %v", audits, err)
	}
	if audits[1].Before != `{"setpoint":40.5}` || audits[1].After != `{"setpoint":42}` || audits[0].Before != "" || audits[0].After != "" {
		t.Errorf("the audit says before and after %+v", audits)
	}
	viewer := s.sessions.open("zoe", viewerRole)
	for _, path := range []string{"/api/v1/devices/write", tryPath} {
		wantProblem(t, ask(s, "POST", path, `{"device":{}}`, "Authorization", "Bearer "+viewer), http.StatusForbidden)
	}
}
