package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/collectors/bus/pty"
	"sluice/collectors/modbus/modbussim"
	"sluice/web"
)

func try(t *testing.T, g *Gateway, device, bus string) (web.Trial, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	wanted := web.TrialRequest{Device: json.RawMessage(device)}
	if bus != "" {
		wanted.Bus = json.RawMessage(bus)
	}
	return fieldDevices{g}.Try(ctx, wanted)
}

// checkTried wants one good point of that raw form and value, as JSON.
func checkTried(t *testing.T, trial web.Trial, err error, raw, value string) {
	t.Helper()
	if err != nil || trial.Error != "" || len(trial.Points) == 0 {
		t.Fatalf("the trial gave %+v, %v", trial, err)
	}
	p := trial.Points[0]
	if got, _ := json.Marshal(p.Value); p.Raw != raw || string(got) != value || p.Error != "" || trial.Took <= 0 {
		t.Errorf("the trial gave %+v, want %s from %q", trial, value, raw)
	}
}

// A device that nobody has saved is asked over TCP: on a connection of its own, and on that of a device
// that runs, whose polls go on.
func TestADeviceIsTriedOverTCP(t *testing.T) {
	plc := startPLC(t)
	plc.Set(modbussim.Holdings, 7, 0x41AC, 0x0000, 0x00D7)
	g := newGateway(t, parse(t, t.TempDir(), "web: {listen: ''}\n"))
	start(t, g.Run)
	device := fmt.Sprintf(`{"driver":"modbus","address":"tcp://%s","points":[
		{"name":"t","address":"holding:7","type":"float32","unit":"°C"},{"name":"u","address":"holding:9","scale":0.1},
		{"name":"c","address":"coil:0"},{"name":"on","address":"holding:9.0"}],"derived":[{"name":"sum","expression":"t + u","unit":"K"}]}`, plc.Addr())
	trial, err := try(t, g, device, "")
	checkTried(t, trial, err, "41AC 0000", "21.5")
	if len(trial.Points) != 5 || trial.Points[0].Unit != "°C" || trial.Points[1].Raw != "00D7" || trial.Points[2].Raw != "0" || trial.Points[3].Raw != "00D7" {
		t.Errorf("the points are %+v", trial.Points)
	}
	if sum := trial.Points[4]; sum.Name != "sum" || sum.Error != "" || sum.Unit != "K" || fmt.Sprint(sum.Value) != "43" {
		t.Errorf("what is derived is %+v", sum)
	}
	if ports := g.buses.Ports(); len(ports) != 0 {
		t.Errorf("the trial left %d lines behind", len(ports))
	}
	if list, err := g.admin.Revisions(0, 10); err != nil || len(list) != 1 {
		t.Errorf("there are %d revisions, %v; a trial makes none", len(list), err)
	}

	next := parse(t, t.TempDir(), "web: {listen: ''}\ndevices:\n"+deviceYAML("press", plc.Addr(), 20*time.Millisecond))
	next.Store = g.Config().Store
	if err := g.Apply(next, "test"); err != nil {
		t.Fatal(err)
	}
	until(t, "the device is polled", func() bool { return deviceNamed(g, "press").poller.State().Polls > 1 })
	trial, err = try(t, g, device, "")
	checkTried(t, trial, err, "41AC 0000", "21.5")
	if ports := g.buses.Ports(); len(ports) != 1 {
		t.Errorf("there are %d lines; a device that runs shares its own", len(ports))
	}
	before := deviceNamed(g, "press").poller.State()
	until(t, "the polls go on", func() bool { return deviceNamed(g, "press").poller.State().Polls > before.Polls+1 })
	if now := deviceNamed(g, "press").poller.State(); now.Failures != before.Failures {
		t.Errorf("%d polls failed since the trial", now.Failures-before.Failures)
	}
}

func TestADeviceIsTriedOnSerialLines(t *testing.T) {
	line, _ := hall(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`web: {listen: ''}
buses: [{name: rs485, serial: %s}]
devices:
  - {name: first, driver: modbus, address: "rtu://rs485", unit: 5, interval: 50ms, points: [{name: a, address: "holding:0"}]}
`, line.Path())))
	start(t, g.Run)
	until(t, "the line runs", func() bool { return deviceNamed(g, "first").poller.State().Readings > 0 })
	device := `{"driver":"modbus","address":"rtu://%s","unit":3,"points":[{"name":"a","address":"40008"}]}`

	trial, err := try(t, g, fmt.Sprintf(device, "rs485"), "")
	checkTried(t, trial, err, "1267", "4711")
	trial, err = try(t, g, fmt.Sprintf(device, "rs485"), fmt.Sprintf(`{"name":"rs485","serial":%q}`, line.Path()))
	checkTried(t, trial, err, "1267", "4711")

	free, _ := hall(t)
	trial, err = try(t, g, fmt.Sprintf(device, "new"), fmt.Sprintf(`{"name":"new","serial":%q}`, free.Path()))
	checkTried(t, trial, err, "1267", "4711")

	for bus, want := range map[string]string{
		fmt.Sprintf(`{"name":"new","serial":%q}`, line.Path()):                "bus.serial: it belongs to the line rs485: choose that",
		fmt.Sprintf(`{"name":"rs485","serial":%q,"baud":19200}`, line.Path()): "bus.name: the line rs485 runs with other settings; save those of the line first",
	} {
		address := "new"
		if strings.Contains(bus, "rs485\"") {
			address = "rs485"
		}
		if _, err := try(t, g, fmt.Sprintf(device, address), bus); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", bus, err, want)
		}
	}
	trial, err = try(t, g, fmt.Sprintf(strings.Replace(device, `"unit":3`, `"unit":9,"timeout":"100ms"`, 1), "rs485"), "")
	if err != nil || trial.Error == "" || len(trial.Points) != 0 {
		t.Errorf("a device that is silent gave %+v, %v", trial, err)
	}
	gone, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	path := gone.Path()
	gone.Close()
	trial, err = try(t, g, fmt.Sprintf(device, "new"), fmt.Sprintf(`{"name":"new","serial":%q}`, path))
	if err != nil || trial.Error == "" {
		t.Errorf("a port that is not there gave %+v, %v", trial, err)
	}
}

func TestASectionThatCannotBeIsRefusedWithItsPlaces(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "web: {listen: ''}\n"))
	start(t, g.Run)
	for device, want := range map[string]string{
		`{}`:                           "device.driver",
		`{"driver":"nobody"}`:          "device.driver",
		`{"profile":"nobody/nothing"}`: "device.profile",
		`{"driver":"modbus","address":"tcp://h","points":[{"name":"a","address":"holding:0"},{"name":"b","address":"5x"}]}`:                 "device.points.1.address",
		`{"driver":"modbus","address":"rtu://gone","points":[{"name":"a","address":"holding:0"}]}`:                                          "device.address",
		`{"driver":"modbus","address":"tcp://h","points":[{"name":"a","address":"holding:0","group":"fast"}]}`:                              "device.points.0.group",
		`{"driver":"modbus","address":"tcp://h","points":[{"name":"a","address":"holding:0"}],"derived":[{"name":"d","expression":"a +"}]}`: "device.derived.0.expression",
		`{"driver":"modbus","address":{"x":1e999},"unit":99999999999999999999999999,"points":"many"}`:                                       "device.address",
	} {
		_, err := try(t, g, device, "")
		wrong, ok := errors.AsType[*web.SectionError](err)
		if !ok || !slices.ContainsFunc(wrong.Problems, func(p web.SectionProblem) bool { return strings.Join(p.Path, ".") == want }) {
			t.Errorf("%s: %v, want a problem at %s", device, err, want)
		}
	}
	if _, err := try(t, g, `{"driver":"modbus","address":"rtu://new","points":[{"name":"a","address":"holding:0"}]}`, `{"name":"new","serial":"/dev/null","baud":7}`); err == nil || !strings.HasPrefix(err.Error(), "bus.baud") {
		t.Errorf("a line that cannot be: %v", err)
	}
}

func TestTrialsAreFewAndBounded(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "web: {listen: ''}\n"))
	start(t, g.Run)
	silent := &modbussim.Server{}
	if err := silent.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	start(t, silent.Run)
	silent.Always(modbussim.Fault{Kind: modbussim.Silence})
	device := func(host string) string {
		return fmt.Sprintf(`{"driver":"modbus","address":"tcp://%s","timeout":"30s","points":[{"name":"a","address":"holding:0"}]}`, host)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan web.Trial, 1)
	go func() {
		trial, _ := fieldDevices{g}.Try(ctx, web.TrialRequest{Device: json.RawMessage(device(silent.Addr()))})
		ended <- trial
	}()
	until(t, "a trial runs", func() bool { g.trials.mu.Lock(); defer g.trials.mu.Unlock(); return len(g.trials.busy) == 1 })
	if _, err := try(t, g, device(silent.Addr()), ""); !errors.Is(err, web.ErrTrying) {
		t.Errorf("a second one on the line: %v", err)
	}
	cancel()
	if trial := <-ended; trial.Error == "" {
		t.Errorf("a trial that was given up gave %+v", trial)
	}
	for i := range trialsAtOnce {
		end, err := g.trials.begin(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		defer end()
	}
	if _, err := try(t, g, device("127.0.0.1:9"), ""); !errors.Is(err, web.ErrTrying) {
		t.Errorf("one more than there may be: %v", err)
	}
}

func TestALargeDeviceIsTriedInPart(t *testing.T) {
	plc := startPLC(t)
	g := newGateway(t, parse(t, t.TempDir(), "web: {listen: ''}\n"))
	start(t, g.Run)
	var points []string
	for i := range 700 {
		points = append(points, fmt.Sprintf(`{"name":"p%d","address":"holding:%d"}`, i, i))
	}
	trial, err := try(t, g, fmt.Sprintf(`{"driver":"modbus","address":"tcp://%s","points":[%s]}`, plc.Addr(), strings.Join(points, ",")), "")
	if err != nil || len(trial.Points) != mostTried || trial.More != 200 {
		t.Errorf("%d points and %d more, %v %s", len(trial.Points), trial.More, err, trial.Error)
	}
	if asked := plc.Counts().Requests[3]; asked > 5 {
		t.Errorf("%d requests for 500 points", asked)
	}
}

func TestAValueIsWrittenAndReadBack(t *testing.T) {
	plc := startPLC(t)
	g := newGateway(t, commandConfig(t, t.TempDir(), plc.Addr()))
	start(t, g.Run)
	write := func(values string) web.Written {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		done, err := fieldDevices{g}.Write(ctx, "press", "admin", json.RawMessage(values))
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	until(t, "the setpoint was read", func() bool { return fieldDevices{g}.lastValues("press")["setpoint"] == 0.0 })
	if before := write(`{"setpoint":41}`).Before; before["setpoint"] != 0.0 {
		t.Errorf("before it was written the setpoint was %v", before)
	}
	if done := write(`{"setpoint":42}`); !done.OK || string(done.Values) != `{"setpoint":42}` || done.Error != "" {
		t.Errorf("the device was written with %+v", done)
	}
	if done := write(`{"counter":1}`); done.OK || !strings.Contains(done.Error, "read-only") || string(done.Values) != "{}" {
		t.Errorf("a point that cannot be written: %+v", done)
	}
	if done := write(`{"setpoint":43,"setpoint":44}`); done.OK && string(done.Values) == "{}" {
		t.Errorf("the same point twice: %+v", done)
	}
	if _, err := (fieldDevices{g}).Write(t.Context(), "nobody", "admin", json.RawMessage(`{"a":1}`)); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("a device that is not there: %v", err)
	}
	var clients []string
	records, _, err := g.store.ReadMatching(nil, g.store.Head(), 100, []string{"commands/#"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		clients = append(clients, r.Client)
	}
	if !slices.Contains(clients, "page/admin") {
		t.Errorf("the commands came from %q", clients)
	}
}

func TestLampsShowHowFarItIs(t *testing.T) {
	plc := startPLC(t)
	plc.Remove(modbussim.Holdings, 90, 1)
	closed := freePort(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`web: {listen: ''}
devices:
  - {name: well, driver: modbus, address: 'tcp://%[1]s', interval: 20ms, points: [{name: a, address: "holding:0"}]}
  - {name: gap, driver: modbus, address: 'tcp://%[1]s', interval: 20ms, points: [{name: a, address: "holding:0"}, {name: b, address: "holding:90"}]}
  - {name: mute, driver: modbus, address: 'tcp://%[1]s', unit: 7, timeout: 50ms, interval: 20ms, points: [{name: a, address: "holding:0"}]}
  - {name: away, driver: modbus, address: 'tcp://%[2]s', interval: 20ms, points: [{name: a, address: "holding:0"}]}
`, plc.Addr(), closed)))
	plc.Unit = 1
	start(t, g.Run)
	want := map[string]web.Lamps{
		"well": {Port: good, Frames: good, Values: good},
		"gap":  {Port: good, Frames: good, Values: bad},
		"mute": {Port: good, Frames: bad, Values: unknown},
		"away": {Port: bad, Frames: unknown, Values: unknown},
	}
	until(t, "each lamp shows what it should, with advice where there is trouble", func() bool {
		for _, d := range g.Status().Devices {
			if d.Lamps != want[d.Name] || d.Interval != 20 || d.Line == "" {
				return false
			}
			if d.Name == "mute" || d.Name == "away" {
				if d.Advice == nil || d.Advice.Chinese == "" || d.Advice.English == "" {
					return false
				}
			}
			if d.Name == "well" && d.Advice != nil {
				return false
			}
		}
		return true
	})
}
