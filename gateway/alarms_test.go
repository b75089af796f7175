package gateway

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/web"
)

const alarmRules = `
alarms:
  - {name: hot, device: press, point: temperature, when: above, limit: 80, severity: critical}
  - {name: every, device: "*", point: "*", when: above, limit: 1000, severity: info}
`

// startGateway runs a gateway until the function that it gives is called.
func startGateway(t *testing.T, file string) (*Gateway, func()) {
	t.Helper()
	c, err := config.Load(file, Kinds())
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler), AdminPassword: "a long password"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return g, func() { cancel(); running.Wait() }
}

func alarmFile(t *testing.T, dir, alarms string) string {
	t.Helper()
	file := filepath.Join(dir, "sluice.yaml")
	text := "gateway: {name: line-3}\nstore: {dir: data, limit: 64MiB}\nweb: {listen: \"\"}\n" + alarms
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func tellReading(t *testing.T, g *Gateway, device, payload string) {
	t.Helper()
	heard := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { heard <- err })
	m := message.Message{Topic: "readings/line-3/" + device, Payload: []byte(payload), QoS: 1}
	if err := g.broker.Publish(t.Context(), &m, ack, 0); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; err != nil {
		t.Fatal(err)
	}
}

func TestAnAlarmLivesThroughARestart(t *testing.T) {
	dir := t.TempDir()
	file := alarmFile(t, dir, alarmRules)
	g, stop := startGateway(t, file)
	until(t, "the rules have a place in the log", func() bool {
		_, err := os.Stat(filepath.Join(dir, "data", "alarms", "rules.json"))
		return err == nil
	})
	tellReading(t, g, "press", `{"values":{"temperature":81.5,"counter":2000}}`)
	until(t, "two alarms are raised", func() bool { return g.Status().Alarms.Active == 2 })
	list := alarms{g}.Active()
	if list[0].Alarm != "hot" || list[0].Severity != "critical" || list[1].Point != "counter" {
		t.Errorf("raised are %+v", list)
	}
	if _, err := (alarms{g}).Acknowledge(t.Context(), list[0].ID, "li", "on my way"); err != nil {
		t.Error(err)
	}
	if _, err := (alarms{g}).Acknowledge(t.Context(), "nobody", "li", ""); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("acknowledging what is not there: %v", err)
	}
	stop()

	g, stop = startGateway(t, file)
	until(t, "both are there again", func() bool { return g.Status().Alarms.Active == 2 })
	if again := (alarms{g}).Active(); again[0].ID != list[0].ID || again[0].Acknowledged == nil {
		t.Errorf("after a restart there is %+v", again[0])
	}
	tellReading(t, g, "press", `{"values":{"temperature":20}}`)
	until(t, "it has ended", func() bool { return g.Status().Alarms.Active == 1 })
	var told []string
	until(t, "the log tells all of it", func() bool {
		past, next, err := alarms{g}.Past(t.Context(), web.PastAlarms{Limit: 3})
		if err != nil || len(past) != 3 || next == 0 {
			return false
		}
		rest, next, err := alarms{g}.Past(t.Context(), web.PastAlarms{Limit: 3, Before: next})
		if err != nil || next != 0 {
			return false
		}
		told = nil
		for _, e := range append(past, rest...) {
			told = append(told, e.State+" "+e.Alarm)
		}
		return len(told) == 4
	})
	if got := strings.Join(told, ", "); got != "cleared hot, acknowledged hot, raised every, raised hot" {
		t.Errorf("the log tells %q", got)
	}

	c, err := config.Load(alarmFile(t, dir, ""), Kinds())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Apply(c, ByFile); err != nil {
		t.Fatal(err)
	}
	until(t, "what no rule wants any more has ended", func() bool {
		past, _, err := alarms{g}.Past(t.Context(), web.PastAlarms{Limit: 1})
		return err == nil && len(past) == 1 && past[0].State == "cleared" && past[0].Alarm == "every"
	})
	until(t, "nothing is kept of it", func() bool {
		_, err := os.Stat(filepath.Join(dir, "data", "alarms", "rules.json"))
		return errors.Is(err, os.ErrNotExist)
	})
	stop()
}

func TestAShelfIsReplacedAsAWhole(t *testing.T) {
	s := shelf(filepath.Join(t.TempDir(), "alarms", "rules.json"))
	for _, text := range []string{"", "one", "", "two"} {
		var want []byte
		if text != "" {
			want = []byte(text)
		}
		if err := s.Put(want); err != nil && text != "" {
			t.Fatal(err)
		}
		if got, err := s.Get(); err != nil || string(got) != text {
			t.Errorf("it keeps %q, %v, want %q", got, err, text)
		}
	}
}

func TestAlarmsOnWhatIsNotThereAreFound(t *testing.T) {
	dir := t.TempDir()
	device := `
devices:
  - name: press
    driver: modbus
    address: tcp://127.0.0.1:5020
    points: [{name: temperature, address: "holding:2", type: float32}]
alarms:
  - `
	for rule, want := range map[string]string{
		`{name: a, device: press, point: temprature, when: above, limit: 1}`:                          `press has no point "temprature"`,
		`{name: a, device: press, point: temperature, when: above}`:                                   "limit: missing",
		`{name: a, device: press, point: temperature, when: outside, low: 5, high: 1}`:                "every value would be an alarm",
		`{name: a, device: press, point: temperature, when: outside, low: 0, high: 1, hysteresis: 1}`: "would never end",
		`{name: a, device: press, point: temperature, when: above, limit: 1, hysteresis: -1}`:         "hysteresis: -1",
		`{name: a, device: press, point: temperature, when: equals, value: 1, hysteresis: 1}`:         "does not go with when: equals",
		`{name: a, device: press, when: silence}`:                                                     "how long nothing may come",
		`{name: a, device: press, when: above, limit: 1}`:                                             "name the point",
		`{name: a, device: press, point: temperature, when: state}`:                                   "a state is the device's",
		`{name: a, device: press, point: temperature, when: changes, notify: [nobody]}`:               "no notification is called",
		`{name: a, device: press, point: temperature, when: changes, text: "{unit}"}`:                 "nobody fills in {unit}",
	} {
		_, err := config.Load(alarmFile(t, dir, device+rule+"\n"), Kinds())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", rule, err, want)
		}
	}
	c, err := config.Load(alarmFile(t, dir, device+"{name: a, device: pres, point: temperature, when: changes}\n"), Kinds())
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, `did you mean "press"`) {
		t.Errorf("another device: %v, %v", c, err)
	}
}
