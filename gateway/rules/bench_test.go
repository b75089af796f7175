package rules

import (
	"fmt"
	"testing"

	"sluice/gateway/config"
	"sluice/gateway/message"
)

// BenchmarkReading is what a reading of 20 points costs: with none of its points watched, with a rule about
// one, with a rule about each, and about a device that no rule is about.
func BenchmarkReading(b *testing.B) {
	payload := []byte(`{"gateway":"g","device":"press","epoch":1795345665221,"seq":42,"ts":1795345665221,"values":{`)
	for i := range 20 {
		payload = fmt.Appendf(payload, `"point_%d":%d.%d,`, i, 20+i, i)
	}
	payload = append(payload[:len(payload)-1], "}}"...)
	for _, c := range []struct {
		name  string
		rules []config.Alarm
	}{
		{"of another device", []config.Alarm{about("oven", "point_3")}},
		{"one point", []config.Alarm{about("press", "point_3")}},
		{"every point", []config.Alarm{about("*", "*")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			core := newCore("g", c.rules)
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			at := int64(1795345665221)
			for b.Loop() {
				at++
				core.position++
				core.take("press", payload, at)
			}
		})
	}
}

func about(device, point string) config.Alarm {
	a := above("hot", 80)
	a.Device, a.Point = device, point
	return a
}

func BenchmarkSave(b *testing.B) {
	core := newCore("g", []config.Alarm{about("*", "*")})
	payload := []byte(`{"values":{"p":81}}`)
	for i := range maxActive {
		core.position++
		core.take(fmt.Sprint("device-", i), payload, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		known := saved{Version: savedVersion, States: core.save()}
		b.SetBytes(int64(len(known.encode())))
	}
}

func TestTheBoundsHold(t *testing.T) {
	core := newCore("g", []config.Alarm{about("*", "*")})
	for i := range maxStates + 5 {
		core.position = message.Position(i + 1)
		core.take(fmt.Sprint("device-", i), []byte(`{"values":{"p":81}}`), 1)
		core.out = core.out[:0]
	}
	if len(core.open) != maxActive || len(core.states) != maxStates || core.excess == 0 {
		t.Errorf("%d are raised of %d, %d in excess", len(core.open), len(core.states), core.excess)
	}
}
