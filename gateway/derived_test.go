package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/config"
)

// A device with a scan group and a derived point, from its registers to the log.
func TestDerivedPointsReachTheLog(t *testing.T) {
	server := &modbussim.Server{}
	if err := server.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	start(t, server.Run)
	server.Set(modbussim.Holdings, 0, 230, 4)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`web: {listen: ''}
devices:
  - name: pump
    driver: modbus
    address: tcp://%s
    interval: 50ms
    groups: [{name: slow, interval: 100ms}]
    points:
      - {name: volts, address: "holding:0"}
      - {name: "line current", address: "holding:1", group: slow}
    derived:
      - {name: power, expression: 'volts * $env["line current"] / 1000', unit: kW}
      - {name: idle, expression: power < 0.1, group: slow}
`, server.Addr())))
	start(t, g.Run)
	whole := func(name string) (all []map[string]any) {
		records, err := g.store.Read(nil, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			var reading struct{ Values map[string]any }
			if r.Device == "" {
				continue
			}
			if err := json.Unmarshal(r.Payload, &reading); err != nil {
				t.Fatal(err)
			}
			if _, has := reading.Values[name]; has {
				all = append(all, reading.Values)
			}
		}
		return all
	}
	until(t, "both groups are read", func() bool { return len(whole("power")) > 0 && len(whole("idle")) > 0 })
	if got := fmt.Sprint(whole("power")[0]); got != "map[power:0.92 volts:230]" {
		t.Errorf("the device's own group is %s", got)
	}
	if got := fmt.Sprint(whole("idle")[0]); got != "map[idle:false line current:4]" {
		t.Errorf("the slow group is %s", got)
	}
}

func TestMistakesBetweenPointsAreFoundInTheFile(t *testing.T) {
	text := `devices:
  - name: pump
    driver: modbus
    address: tcp://127.0.0.1:502
    groups: [{name: fast, interval: 50ms}]
    points:
      - {name: a, address: "holding:0", group: fsat}
    derived:
      - {name: b, expression: a *}
  - name: other
    driver: modbus
    address: tcp://127.0.0.1:502
    points: [{name: a, address: "holding:0"}]
    derived:
      - {name: a, expression: a + c}
`
	_, err := config.Parse("f.yaml", []byte(text), Kinds())
	for _, want := range []string{
		`f.yaml:9:`, `devices[0].derived[0].expression: `,
		`f.yaml:15:`, `devices[1].derived[0].expression: `,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "a *}", "a * 2}"), "a + c", "a")
	_, err = config.Parse("f.yaml", []byte(text), Kinds())
	for _, want := range []string{
		`f.yaml:7:`, `devices[0].points[0].group: "fsat" is not one of the device's groups`,
		`f.yaml:15:`, `devices[1].derived[0].name: "a" is the name of an earlier point too`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}
