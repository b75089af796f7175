package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// fakeSearches finds one meter on rs485-1.
type fakeSearches struct {
	mu   sync.Mutex // guards what follows
	list []DeviceSearch
}

func (*fakeSearches) Options() SearchOptions {
	return SearchOptions{
		Lines: []SearchLine{{Bus: "rs485-1", Place: "/dev/ttyS1"}}, Serials: []string{"/dev/ttyUSB0"}, Networks: []string{"192.168.1.0/24"},
		Protocols: []SearchProtocol{{Name: "modbus-rtu", Title: "Modbus RTU", Line: true, Network: true}, {Name: "dlt645", Title: "DL/T 645", Line: true}},
		Bauds:     []int{2400, 9600},
	}
}

func (f *fakeSearches) List() []DeviceSearch {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]DeviceSearch{}, f.list...)
}

func (f *fakeSearches) Find(id string) (DeviceSearch, error) {
	for _, s := range f.List() {
		if s.ID == id {
			return s, nil
		}
	}
	return DeviceSearch{}, ErrUnknown
}

func (f *fakeSearches) Start(wanted SearchRequest) (DeviceSearch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case wanted.Units == "x":
		return DeviceSearch{}, &SearchError{Field: "units", Problem: `"x" is no unit`}
	case len(f.list) == 2:
		return DeviceSearch{}, fmt.Errorf("%w: 2 run already", ErrSearching)
	case wanted.Kind == "":
		return DeviceSearch{}, errors.New("the gateway does not run")
	}
	s := DeviceSearch{
		ID: fmt.Sprintf("s%d", len(f.list)+1), Kind: wanted.Kind, State: "running", Place: "bus://" + wanted.Bus, Started: fakeBorn,
		Done: 17, All: 2964, Now: "modbus-rtu, 9600 8N1, unit 17", Left: 183.5,
		Found: []FoundDevice{{
			Place: "bus://" + wanted.Bus, Protocol: "modbus-rtu", Settings: "9600 8N1", Unit: "3", Answer: "holding:0 = 230", Raw: "03030200e68180",
			Guesses: []DeviceGuess{{Profile: "eastron-sdm630", Title: "Eastron SDM630-Modbus V2, SDM630MCT", Score: 0.97, Why: "frequency at input:70 is 50.02 Hz"}},
			YAML:    "devices:\n  - name: eastron-sdm630-3\n    profile: eastron-sdm630\n    address: \"rtu://rs485-1\"\n    unit: 3\n    interval: 5s\n",
		}},
	}
	f.list = append([]DeviceSearch{s}, f.list...)
	return s, nil
}

func (f *fakeSearches) Stop(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		if f.list[i].ID == id {
			f.list[i].State = "cancelled"
			return nil
		}
	}
	return ErrUnknown
}

func TestASearchIsBegunShownAndCancelled(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	auth := bearer(s)
	begun := ask(s, "POST", "/api/v1/searches", `{"kind":"line","bus":"rs485-1","bauds":[9600]}`, auth...)
	if begun.Code != http.StatusCreated || !strings.Contains(begun.Body.String(), `"left_seconds":183.5`) {
		t.Errorf("begun: %d %s", begun.Code, begun.Body)
	}
	if list := decode[searchList](t, ask(s, "GET", "/api/v1/searches", "", auth...)).Items; len(list) != 1 || list[0].Found[0].Guesses[0].Profile != "eastron-sdm630" {
		t.Errorf("searches %+v", list)
	}
	if gone := ask(s, "DELETE", "/api/v1/searches/s1", "", auth...); gone.Code != http.StatusNoContent {
		t.Errorf("cancelled: %d %s", gone.Code, gone.Body)
	}
	if one := decode[DeviceSearch](t, ask(s, "GET", "/api/v1/searches/s1", "", auth...)); one.State != "cancelled" {
		t.Errorf("the search is %+v", one)
	}
	if o := decode[SearchOptions](t, ask(s, "GET", "/api/v1/searches/options", "", auth...)); len(o.Lines) != 1 || o.Protocols[1].Name != "dlt645" {
		t.Errorf("options %+v", o)
	}
	if len(gateway.keeper.audit) != 2 || gateway.keeper.audit[1].Subject != "bus://rs485-1" || gateway.keeper.audit[0].Action != "search ended" {
		t.Errorf("audit %+v", gateway.keeper.audit)
	}
}

func TestSearchesThatCannotBeAreRefused(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	auth := bearer(s)
	if p := wantProblem(t, ask(s, "POST", "/api/v1/searches", `{"kind":"line","units":"x"}`, auth...), http.StatusUnprocessableEntity); p.Field != "units" {
		t.Errorf("refused with %+v", p)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/searches", `{"kind":"line","speed":3}`, auth...), http.StatusBadRequest)
	wantProblem(t, ask(s, "POST", "/api/v1/searches", `{}`, auth...), http.StatusInternalServerError)
	for range 2 {
		ask(s, "POST", "/api/v1/searches", `{"kind":"line","bus":"a"}`, auth...)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/searches", `{"kind":"line","bus":"b"}`, auth...), http.StatusConflict)
	wantProblem(t, ask(s, "GET", "/api/v1/searches/s9", "", auth...), http.StatusNotFound)
	wantProblem(t, ask(s, "DELETE", "/api/v1/searches/s9", "", auth...), http.StatusNotFound)
	for _, path := range []string{"GET /api/v1/searches", "POST /api/v1/searches", "GET /api/v1/searches/options", "GET /api/v1/searches/s1", "DELETE /api/v1/searches/s1"} {
		method, path, _ := strings.Cut(path, " ")
		wantProblem(t, ask(s, method, path, ""), http.StatusUnauthorized)
	}
}
