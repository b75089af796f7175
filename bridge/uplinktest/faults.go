package uplinktest

import (
	"strings"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
)

// survivesFaults runs a forwarder against each way to misbehave, then against a cloud that has come to
// its senses, and checks that nothing is missing or out of order.
func (m MQTT) survivesFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults cloudsim.Faults
		until  func(bridge.State) bool // what the page must come to say
	}{
		{"silent", cloudsim.Faults{Silent: true}, func(s bridge.State) bool {
			return strings.Contains(s.LastError, "acknowledges nothing") || strings.Contains(s.LastError, "no answer")
		}},
		{"refuses the login", cloudsim.Faults{RefuseLogin: m.Login[notAuthorised]}, func(s bridge.State) bool {
			return s.State != bridge.Online && strings.Contains(s.LastError, notAuthorised)
		}},
		{"acknowledges nothing", cloudsim.Faults{NoAck: true}, func(s bridge.State) bool { return s.Stalls > 0 }},
		{"acknowledges late", cloudsim.Faults{AckDelay: 50 * time.Millisecond}, func(s bridge.State) bool { return s.Sent > m.AckedLate }},
		{"cuts at a message", cloudsim.Faults{DropAt: 37}, func(s bridge.State) bool { return s.Repeated > 0 }},
		{"cuts before the acknowledgement", cloudsim.Faults{DropBeforeAck: 37}, func(s bridge.State) bool { return s.Repeated > 0 }},
		{"is slow", cloudsim.Faults{BytesPerSecond: 2000}, func(s bridge.State) bool { return s.InFlight > 90 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var check cloudsim.Checker
			cloud := StartCloud(t, cloudsim.Options{Checker: &check, Record: t.TempDir() + "/taken"})
			u := m.Open(t, MQTTOptions{Address: "tcp://" + cloud.Addr().String(), ConnectTimeout: time.Second})
			var source Readings
			f := Forward(t, u, &source, func(f *bridge.Forwarder) { f.Stall = 500 * time.Millisecond })
			source.Advance(t, m.Load)
			cloud.SetFaults(c.faults)
			if c.faults.RefuseLogin != 0 || c.faults.DropAt != 0 || c.faults.DropBeforeAck != 0 {
				cloud.SetUp(false) // these only show on a new connection
				cloud.SetUp(true)
			}
			Eventually(t, "the fault shows", func() bool { return c.until(f.State()) })
			cloud.SetFaults(cloudsim.Faults{})
			source.Advance(t, m.Load)
			last := source.Finish(t)
			r := check.Report()
			// Counted from each step back: two breaks in a row repeat the same messages twice.
			if r.Gaps != 0 || r.Reordered != 0 || len(r.Streams) != 1 || r.Streams[0].LongestRepeat > 100 ||
				r.Streams[0].First != 1 || r.Streams[0].Last != last {
				t.Errorf("the cloud has %+v, want 1 to %d without gaps", r, last)
			}
			if s := f.State(); s.State != bridge.Online || s.LastError != "" {
				t.Errorf("at the end the state is %+v", s)
			}
		})
	}
}
