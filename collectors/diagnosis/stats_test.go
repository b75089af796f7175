package diagnosis

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"sluice/collectors/bus"
)

func TestStatisticsBecomeEvidence(t *testing.T) {
	before := bus.Stats{Place: "/dev/ttyS1", Open: true, Clients: []bus.ClientStats{
		{Device: "a", Exchanges: 1000, NoReply: 900, Answers: 100}, {Device: "b", Exchanges: 1000, Answers: 1000}, {Device: "new", Exchanges: 500, NoReply: 500}}}
	now := bus.Stats{Place: "/dev/ttyS1", Open: true, Busy: 0.5, Clients: []bus.ClientStats{
		{Device: "a", Exchanges: 1100, NoReply: 900, Answers: 200, Mean: time.Millisecond, Slowest: 2 * time.Millisecond},
		{Device: "b", Exchanges: 1100, NoReply: 100, Answers: 1000}, {Device: "new", Exchanges: 40, NoReply: 10, Garbled: 10, Answers: 20}}}
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

// Whatever a line and its drivers count becomes evidence, and what they counted before does not.
func TestEveryFigureIsEvidence(t *testing.T) {
	before := bus.Stats{
		Place: "tcp://10.0.0.9:502", Open: true, HangUps: 1, Echoes: 2, EchoOnly: 3, Foreign: 4, Unasked: 5, Flaws: 6,
		Clients: []bus.ClientStats{{
			Device: "a", Exchanges: 50, Answers: 10, Refused: 5, NoReply: 6, Garbled: 7, Damaged: 8, WrongUnit: 9, Unrelated: 4, AsTCP: 1, AsRTU: 2, AsASCII: 3,
			Late: 1, Refusals: []bus.Refusals{{Code: 2, Count: 3}},
		}},
	}
	now := bus.Stats{
		Place: "tcp://10.0.0.9:502", Open: true, HangUps: 11, Echoes: 22, EchoOnly: 33, Foreign: 44, Unasked: 55, Flaws: 66, EchoOff: true,
		Clients: []bus.ClientStats{{
			Device: "a", Exchanges: 150, Answers: 30, Refused: 15, NoReply: 16, Garbled: 17, Damaged: 28, WrongUnit: 39, Unrelated: 3, AsTCP: 2, AsRTU: 4, AsASCII: 6,
			Late: 3, Refusals: []bus.Refusals{{Code: 2, Count: 7}, {Code: 4, Count: 1}},
			Mean: time.Second, Slowest: 2 * time.Second, Timeout: 3 * time.Second,
		}},
	}
	got := Between(&before, &now)
	want := Evidence{
		Kind: Dialled, HangUps: 10, Echoes: 20, EchoOnly: 30, EchoOff: true, ForeignRequests: 40, Unasked: 50, Parity: 60,
		SpeaksTCP: 1, SpeaksRTU: 2, SpeaksASCII: 3,
		Devices: []Device{{
			Name: "a", Exchanges: 96, Answers: 20, Silent: 10, Garbled: 16, Damaged: 20, WrongUnit: 30, Unrelated: 0, Late: 2,
			Refused: map[int]int{2: 4, 4: 1}, Denied: 5, RTTMean: time.Second, RTTMax: 2 * time.Second, Timeout: 3 * time.Second,
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestKindOfALineIsSeenFromItsPlace(t *testing.T) {
	for place, want := range map[string]Kind{"/dev/ttyS1": Serial, "tcp://a:1": Dialled, "listen://:9000": DialledIn} {
		if e := Between(&bus.Stats{}, &bus.Stats{Place: place}); e.Kind != want {
			t.Errorf("%s is of kind %d, want %d", place, e.Kind, want)
		}
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
		e := Between(&bus.Stats{}, &bus.Stats{Place: "x", OpenError: text})
		if e.Problem != want || e.OpenText != text {
			t.Errorf("%q is taken for %v", text, e.Problem)
		}
	}
}
