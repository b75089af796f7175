package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakePoints has one device that can be looked at, press, and one that cannot, meter. Its registers hold
// 350 as a float with the low word first.
type fakePoints struct {
	mu   sync.Mutex // guards what follows
	held chan struct{}
	in   chan struct{}
	seen PointFileOptions
	took int
}

var errSilent = errors.New("tcp://192.168.10.21:502 unit 1: no answer within 1s")

func knownDevice(name string) error {
	switch name {
	case "press":
		return nil
	case "meter":
		return &FieldError{"device", "the driver dlt645 does not say what it asks"}
	}
	return fmt.Errorf("%w: device %q", ErrUnknown, name)
}

func (f *fakePoints) Plan(device string) (Plan, error) {
	if err := knownDevice(device); err != nil {
		return Plan{}, err
	}
	gap := &BusText{"gap of 70 holding registers; at most 64 are read along", "中间隔着 70 个保持寄存器，最多只顺带读 64 个"}
	return Plan{
		Device: device, Summary: "2 requests for 3 points every 1s; group fast: 1 request for 1 point every 50ms",
		Groups: []PlanGroup{{Interval: 1000, Requests: 2, Points: 3}, {Group: "fast", Interval: 50, Requests: 1, Points: 1}},
		Requests: []PlanRequest{
			{Area: "holding", Function: 3, Address: 0, Count: 4, Points: []string{"counter", "temperature"}, Reason: gap},
			{Area: "holding", Function: 3, Address: 74, Count: 1, Points: []string{"level"}, Refused: &BusText{"exception 2: illegal data address", "异常码 2：非法数据地址"}},
			{Group: "fast", Area: "coil", Function: 1, Address: 7, Count: 1, Points: []string{"running"}},
		},
		Learned: []string{"holding register 74 is refused with exception 2: illegal data address"},
		Lessons: []PlanLesson{{Text: BusText{"holding register 74 is refused with exception 2: illegal data address", "设备拒绝读取保持寄存器 74（异常码 2：非法数据地址）"}, Since: fakeBorn}},
	}, nil
}

func (f *fakePoints) Registers(ctx context.Context, device, area string, address, count int) (Registers, error) {
	if err := knownDevice(device); err != nil {
		return Registers{}, err
	}
	if count < 1 || count > maxWords || address < 0 {
		return Registers{}, &FieldError{"count", "that is no span"}
	}
	f.mu.Lock()
	held, in := f.held, f.in
	f.mu.Unlock()
	if held != nil {
		in <- struct{}{}
		select {
		case <-held:
		case <-ctx.Done():
			return Registers{}, ctx.Err()
		}
	}
	switch {
	case area != "holding":
		return Registers{}, &FieldError{"area", fmt.Sprintf("%q is not an area", area)}
	case address == 600:
		return Registers{}, errSilent
	}
	found := f.Interpret(make([]uint16, count))
	found.Device, found.Area, found.Address, found.At = device, area, address, &fakeBorn
	return found, nil
}

func (f *fakePoints) Interpret(words []uint16) Registers {
	shown := Registers{Words: []string{}, Interpretations: []Interpretation{
		{Type: "float32", Order: "CDAB", Registers: 2, Value: 350.0, Text: "350", Plausible: true},
		{Type: "float32", Order: "ABCD", Registers: 2, Value: nil, Text: fmt.Sprint(math.NaN())},
		{Type: "uint64", Order: "ABCD", Registers: 4, Value: uint64(9007199254740993), Text: "9007199254740993"},
	}}
	for _, w := range words {
		shown.Words = append(shown.Words, fmt.Sprintf("%04X", w))
	}
	return shown
}

func (f *fakePoints) Import(data []byte, how PointFileOptions) (PointFile, error) {
	f.mu.Lock()
	f.seen, f.took = how, len(data)
	f.mu.Unlock()
	if len(data) == 0 {
		return PointFile{}, &FieldError{"body", "there is nothing in the file"}
	}
	return PointFile{
		Format: "neuron", File: "csv", Rows: 3, Stations: []string{"1"},
		Columns:  []PointColumn{{"NAME", "name"}, {"ADDRESS", "address"}, {"colour", ""}},
		Points:   []map[string]any{{"row": 2, "name": "power", "address": "400001", "type": "float32", "station": "1"}},
		Problems: []PointProblem{{Row: 3, Column: "ADDRESS", Cell: "1!500001", Text: "5 is not the digit of an area"}, {Row: 4, Column: "TYPE", Text: "the order is a guess", Warning: true}},
		YAML:     "points:\n  - {name: power, address: \"400001\", type: float32}\n",
	}, nil
}

func (f *fakePoints) Export(device, format string, to io.Writer) ([]PointProblem, error) {
	if err := knownDevice(device); err != nil {
		return nil, err
	}
	if pointForms[format].media == "" {
		return nil, &FieldError{"format", fmt.Sprintf("%q is not a form", format)}
	}
	_, err := io.WriteString(to, "points of "+device+" as "+format)
	return []PointProblem{{Column: "state", Text: "enum fits in no cell", Warning: true}}, err
}

func (f *fakePoints) File(device string) ([]byte, error) {
	return []byte("devices:\n  - name: " + device + "\n"), knownDevice(device)
}

func (f *fakePoints) Profiles() ([]Profile, error) {
	return []Profile{
		{Name: "eastron-sdm630", Kind: "modbus", Category: "power-meter", Title: "Eastron SDM630-Modbus V2", Vendor: "Eastron", Summary: BusText{"Three-phase meter", "三相电表"}, Line: "9600 8N1", Points: 42, Sources: []string{"https://example.com/sdm630"}},
		{Name: "growatt-v120", Kind: "modbus", Category: "inverter", Title: "Growatt MIN", Vendor: "Growatt", Summary: BusText{"String inverter", "组串式逆变器"}, Points: 30, Sources: []string{"https://example.com/growatt"}},
	}, nil
}

func (f *fakePoints) ProfileFile(name string) ([]byte, error) {
	if name != "eastron-sdm630" {
		return nil, fmt.Errorf("%w: profile %q", ErrUnknown, name)
	}
	return []byte("name: eastron-sdm630\n"), nil
}

func TestProfilesAreFoundByWords(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for query, want := range map[string]int{"": 2, "?q=eastron+THREE": 1, "?q=modbus": 2, "?q=%E4%B8%89%E7%9B%B8": 1, "?q=eastron+inverter": 0, "?q=inverter": 1} {
		if list := decode[profileList](t, ask(s, "GET", "/api/v1/profiles"+query, "", bearer(s)...)).Items; len(list) != want {
			t.Errorf("%q finds %+v, want %d", query, list, want)
		}
	}
	file := ask(s, "GET", "/api/v1/profiles/file?name=eastron-sdm630", "", bearer(s)...)
	if file.Body.String() != "name: eastron-sdm630\n" || file.Header().Get("Content-Disposition") != "attachment; filename=eastron-sdm630.yaml" || !strings.HasPrefix(file.Header().Get("Content-Type"), "application/yaml") {
		t.Errorf("the file is %q with %v", file.Body, file.Header())
	}
	wantProblem(t, ask(s, "GET", "/api/v1/profiles/file?name=none", "", bearer(s)...), http.StatusNotFound)
}

func TestThePlanOfADeviceIsShown(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	plan := decode[Plan](t, ask(s, "GET", "/api/v1/devices/plan?device=press", "", bearer(s)...))
	if len(plan.Requests) != 3 || plan.Requests[2].Group != "fast" || plan.Requests[0].Reason.Chinese == "" || len(plan.Learned) != 1 {
		t.Errorf("the plan is %+v", plan)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/devices/plan?device=none", "", bearer(s)...), http.StatusNotFound)
	if p := wantProblem(t, ask(s, "GET", "/api/v1/devices/plan?device=meter", "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != "device" || !strings.Contains(p.Detail, "dlt645") {
		t.Errorf("a driver without a plan: %+v", p)
	}
}

func TestRegistersAreReadOrDecoded(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	const path = "/api/v1/registers"
	read := decode[Registers](t, ask(s, "POST", path, `{"device":"press","area":"holding","address":10,"count":2}`, bearer(s)...))
	if read.Device != "press" || read.Address != 10 || read.At == nil || !slices.Equal(read.Words, []string{"0000", "0000"}) || len(read.Interpretations) != 3 {
		t.Errorf("read %+v", read)
	}
	decoded := decode[Registers](t, ask(s, "POST", path, `{"words":["43AF","0x0102"," ff "]}`, bearer(s)...))
	if !slices.Equal(decoded.Words, []string{"43AF", "0102", "00FF"}) || decoded.At != nil {
		t.Errorf("decoded %+v", decoded)
	}
	many := `{"words":["1"` + strings.Repeat(`,"1"`, maxWords) + `]}`
	for _, c := range []struct {
		body   string
		status int
		field  string
	}{
		{`{"device":"none","area":"holding","count":1}`, http.StatusNotFound, ""},
		{`{"device":"meter","area":"holding","count":1}`, http.StatusUnprocessableEntity, "device"},
		{`{"device":"press","area":"x","count":1}`, http.StatusUnprocessableEntity, "area"},
		{`{"device":"press","area":"holding","address":600,"count":1}`, http.StatusBadGateway, ""},
		{`{"device":"press","area":"holding","address":"x"}`, http.StatusBadRequest, "address"},
		{`{}`, http.StatusUnprocessableEntity, "device"},
		{`{"words":["12345"]}`, http.StatusUnprocessableEntity, "words"},
		{`{"words":["xyz"]}`, http.StatusUnprocessableEntity, "words"},
		{many, http.StatusUnprocessableEntity, "words"},
	} {
		if p := wantProblem(t, ask(s, "POST", path, c.body, bearer(s)...), c.status); p.Field != c.field {
			t.Errorf("%.60s names field %q, want %q", c.body, p.Field, c.field)
		}
	}
}

func TestFewDevicesAreLookedAtAtOnce(t *testing.T) {
	gateway := newFakeGateway()
	gateway.points.held, gateway.points.in = make(chan struct{}), make(chan struct{})
	s := newServer(t, gateway, signedUp(t))
	const body = `{"device":"press","area":"holding","count":1}`
	var looking sync.WaitGroup
	for range maxInspected {
		looking.Go(func() {
			if got := ask(s, "POST", "/api/v1/registers", body, bearer(s)...); got.Code != http.StatusOK {
				t.Errorf("one of the first got %d %s", got.Code, got.Body)
			}
		})
		<-gateway.points.in
	}
	wantProblem(t, ask(s, "POST", "/api/v1/registers", body, bearer(s)...), http.StatusServiceUnavailable)
	close(gateway.points.held)
	looking.Wait()
}

func TestPointsLeaveAsFiles(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for format, name := range map[string]string{"csv": "press-points.csv", "xlsx": "press-points.xlsx", "neuron": "press-points.xlsx", "kepware": "press-points.csv"} {
		file := ask(s, "GET", "/api/v1/devices/points?device=press&format="+format, "", bearer(s)...)
		if file.Code != http.StatusOK || file.Body.String() != "points of press as "+format || file.Header().Get("Content-Disposition") != "attachment; filename="+name {
			t.Errorf("%s is %d %q with %v", format, file.Code, file.Body, file.Header())
		}
	}
	if list := decode[problemList](t, ask(s, "GET", "/api/v1/devices/points?device=press&problems=true", "", bearer(s)...)); len(list.Problems) != 1 || !list.Problems[0].Warning {
		t.Errorf("what does not fit is %+v", list)
	}
	if p := wantProblem(t, ask(s, "GET", "/api/v1/devices/points?device=press&format=pdf", "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != "format" {
		t.Errorf("another form: %+v", p)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/devices/points?device=none", "", bearer(s)...), http.StatusNotFound)
	file := ask(s, "GET", "/api/v1/devices/file?device=press", "", bearer(s)...)
	if file.Code != http.StatusOK || !strings.Contains(file.Body.String(), "name: press") || file.Header().Get("Content-Disposition") != "attachment; filename=press.yaml" {
		t.Errorf("the device's file is %d %q with %v", file.Code, file.Body, file.Header())
	}
	wantProblem(t, ask(s, "GET", "/api/v1/devices/file?device=none", "", bearer(s)...), http.StatusNotFound)
}

func TestAFileWithPointsIsRead(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	found := decode[PointFile](t, ask(s, "POST", importPath+"?station=2&device=press&layout=neuron&base=1&order=CDAB&column=address:3&column=scale:-1", strings.Repeat("x", 100_000), bearer(s)...))
	if found.Format != "neuron" || len(found.Columns) != 3 || len(found.Problems) != 2 || found.Points[0]["name"] != "power" || !strings.HasPrefix(found.YAML, "points:") {
		t.Errorf("found %+v", found)
	}
	seen := gateway.points.seen
	if seen.Station == nil || *seen.Station != "2" || seen.Device != "press" || seen.Layout != "neuron" || seen.Base != 1 || seen.Order != "CDAB" ||
		seen.Columns["address"] != 3 || seen.Columns["scale"] != -1 || gateway.points.took != 100_000 {
		t.Errorf("%d bytes were read with %+v", gateway.points.took, seen)
	}
	decode[PointFile](t, ask(s, "POST", importPath, strings.Repeat("x", maxImport), bearer(s)...))
	if gateway.points.seen.Station != nil || gateway.points.took != maxImport {
		t.Errorf("%d bytes were read with %+v", gateway.points.took, gateway.points.seen)
	}
	wantProblem(t, ask(s, "POST", importPath, strings.Repeat("x", maxImport+1), bearer(s)...), http.StatusRequestEntityTooLarge)
	for query, field := range map[string]string{"?layout=x": "layout", "?base=2": "base", "?order=ACBD": "order", "?column=address": "column", "?column=address:-2": "column", "": "body"} {
		if p := wantProblem(t, ask(s, "POST", importPath+query, "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != field {
			t.Errorf("%q names field %q, want %q", query, p.Field, field)
		}
	}
	s.imports <- struct{}{}
	wantProblem(t, ask(s, "POST", importPath, "x", bearer(s)...), http.StatusServiceUnavailable)
}

func TestPointsAreForThoseWhoAreSignedIn(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for _, c := range [][2]string{
		{"GET", "/api/v1/profiles"}, {"GET", "/api/v1/profiles/file?name=eastron-sdm630"}, {"GET", "/api/v1/devices/plan?device=press"},
		{"GET", "/api/v1/devices/points?device=press"}, {"GET", "/api/v1/devices/file?device=press"}, {"POST", "/api/v1/registers"}, {"POST", importPath},
	} {
		wantProblem(t, ask(s, c[0], c[1], ""), http.StatusUnauthorized)
	}
}
