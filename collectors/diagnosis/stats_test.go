package diagnosis

import (
	"slices"
	"testing"
	"time"

	"sluice/collectors/bus"
)

func TestStatisticsBecomeEvidence(t *testing.T) {
	before := bus.Stats{Place: "/dev/ttyS1", Open: true, Clients: []bus.ClientStats{
		{Device: "a", Exchanges: 1000, NoReply: 900}, {Device: "b", Exchanges: 1000}, {Device: "new", Exchanges: 500, NoReply: 500}}}
	now := bus.Stats{Place: "/dev/ttyS1", Open: true, Busy: 0.5, Clients: []bus.ClientStats{
		{Device: "a", Exchanges: 1100, NoReply: 900, Mean: time.Millisecond, Slowest: 2 * time.Millisecond},
		{Device: "b", Exchanges: 1100, NoReply: 100}, {Device: "new", Exchanges: 40, NoReply: 10, Garbled: 10}}}
	e := Between(&before, &now)
	want := []Device{
		{Name: "a", Exchanges: 100, Answers: 100, RTTMean: time.Millisecond, RTTMax: 2 * time.Millisecond},
		{Name: "b", Exchanges: 100, Silent: 100},
		{Name: "new", Exchanges: 40, Silent: 10, Garbled: 10, Answers: 20},
	}
	if e.Kind != Serial || e.Problem != NoProblem || e.Busy != 0.5 || len(e.Devices) != 3 {
		t.Fatalf("the evidence is %+v", e)
	}
	for i := range want {
		if got := e.Devices[i]; got.Name != want[i].Name || got.Exchanges != want[i].Exchanges || got.Silent != want[i].Silent ||
			got.Garbled != want[i].Garbled || got.Answers != want[i].Answers || got.RTTMax != want[i].RTTMax || got.RTTMean != want[i].RTTMean {
			t.Errorf("device %d is %+v, want %+v", i, got, want[i])
		}
	}
	if got := found(Diagnose(&e)); !slices.Equal(got, []string{"one-silent:b", "some-damaged", "answers-missing:new"}) {
		t.Errorf("found %q", got)
	}
}

func TestReasonWhyALineIsNotOpenIsRecognised(t *testing.T) {
	for text, want := range map[string]OpenProblem{
		"open /dev/ttyUSB0: no such file or directory":             Missing,
		"open /dev/ttyS1: permission denied":                       Forbidden,
		"open /dev/ttyS1: the port is in use by another program":   Taken,
		"cannot connect to 10.0.0.9:502: connection refused":       Refused,
		"cannot connect to 10.0.0.9:502: no connection within 5s":  Unreachable,
		"no device has connected: a DTU has not come to :9000 yet": NobodyCame,
		"set /dev/ttyS1: inappropriate ioctl for device":           NotOpen,
	} {
		e := Between(&bus.Stats{}, &bus.Stats{Place: "x", LastError: text})
		if e.Problem != want || e.OpenText != text {
			t.Errorf("%q is taken for %v", text, e.Problem)
		}
	}
}
