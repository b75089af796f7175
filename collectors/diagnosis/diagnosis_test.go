package diagnosis

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// well is a device that answers everything.
func well(name string) Device {
	return Device{Name: name, Exchanges: 100, Answers: 100, Values: 500, RTTMean: 20 * time.Millisecond, RTTMax: 40 * time.Millisecond, Timeout: time.Second}
}

func silent(name string) Device {
	return Device{Name: name, Exchanges: 100, Silent: 100, Timeout: time.Second}
}

// with is a device that answers, but for what change says.
func with(name string, change func(*Device)) Device {
	d := well(name)
	change(&d)
	return d
}

func refusing(code int) Evidence {
	return Evidence{Devices: []Device{with("a", func(d *Device) { d.Refused = map[int]int{code: 7} }), well("b")}}
}

// cases show each row with evidence that it must find: the rows, with the device behind a colon.
var cases = []struct {
	name     string
	evidence Evidence
	want     []string
}{
	{"well", Evidence{Busy: 0.4, Devices: []Device{well("a"), well("b")}}, nil},
	{"nothing known yet", Evidence{}, nil},
	{"one silence is no sign", Evidence{Devices: []Device{{Name: "a", Exchanges: 1, Silent: 1}}}, nil},
	{"one damaged answer of a hundred is none", Evidence{Devices: []Device{with("a", func(d *Device) { d.Answers, d.Damaged = 99, 1 })}}, nil},

	{"no port", Evidence{Problem: Missing, OpenText: "no such file", Devices: []Device{silent("a")}}, []string{"port-missing"}},
	{"no right", Evidence{Problem: Forbidden}, []string{"port-forbidden"}},
	{"taken", Evidence{Problem: Taken}, []string{"port-taken"}},
	{"refused", Evidence{Kind: Dialled, Problem: Refused}, []string{"address-refused"}},
	{"unreachable", Evidence{Kind: Dialled, Problem: Unreachable}, []string{"address-unreachable"}},
	{"no DTU", Evidence{Kind: DialledIn, Problem: NobodyCame}, []string{"nobody-dialled-in"}},
	{"not open", Evidence{Problem: NotOpen, HangUps: 3}, []string{"line-not-open"}},
	{"unplugged", Evidence{HangUps: 1, Devices: []Device{well("a")}}, []string{"adapter-unplugged"}},
	{"cut once", Evidence{Kind: Dialled, HangUps: 1, Devices: []Device{well("a")}}, nil},
	{"cut", Evidence{Kind: Dialled, HangUps: 5, Devices: []Device{well("a")}}, []string{"connection-cut"}},

	{"dialect TCP", Evidence{Kind: Dialled, SpeaksTCP: 4, Devices: []Device{{Name: "a", Exchanges: 4, Garbled: 4}}}, []string{"speaks-tcp"}},
	{"dialect RTU", Evidence{Kind: Dialled, SpeaksRTU: 4, Devices: []Device{{Name: "a", Exchanges: 4, Garbled: 4}}}, []string{"speaks-rtu"}},
	{"dialect ASCII", Evidence{SpeaksASCII: 4, Devices: []Device{{Name: "a", Exchanges: 4, Garbled: 4}}}, []string{"speaks-ascii"}},
	{"echo alone", Evidence{EchoOnly: 100, Devices: []Device{silent("a")}}, []string{"only-echo"}},
	{"echo is cut off", Evidence{Echoes: 100, Devices: []Device{well("a")}}, nil},
	{"echo in the way", Evidence{Echoes: 100, EchoOff: true, Devices: []Device{{Name: "a", Exchanges: 100, Garbled: 100}}}, []string{"echo-in-the-way", "only-noise"}},
	{"all silent", Evidence{Devices: []Device{silent("a"), silent("b")}}, []string{"all-silent"}},
	{"wrong baud rate", Evidence{Devices: []Device{{Name: "a", Exchanges: 10, Garbled: 10}, silent("b")}}, []string{"only-noise"}},
	{"wrong baud rate everywhere", Evidence{Devices: []Device{{Name: "a", Exchanges: 10, Garbled: 10}}}, []string{"only-noise"}},
	{"wrong parity", Evidence{Devices: []Device{{Name: "a", Exchanges: 10, Damaged: 10}}}, []string{"all-damaged"}},
	{"parity told by the port", Evidence{Parity: 12, Devices: []Device{well("a")}}, []string{"parity-errors"}},
	{"another master", Evidence{ForeignRequests: 20, Unasked: 160, Devices: []Device{well("a")}}, []string{"two-masters"}},
	{"another unit", Evidence{Devices: []Device{with("a", func(d *Device) { d.Answers, d.WrongUnit = 0, 100 }), well("b")}}, []string{"unit-answers-for-another:a"}},
	{"one silent", Evidence{Devices: []Device{well("a"), silent("b"), silent("c")}}, []string{"one-silent:b", "one-silent:c"}},
	{"two of one address", Evidence{Devices: []Device{well("a"), {Name: "b", Exchanges: 100, Damaged: 80, Garbled: 20}}}, []string{"one-damaged:b"}},
	{"disturbed", Evidence{Devices: []Device{with("a", func(d *Device) { d.Answers, d.Damaged = 90, 10 }), with("b", func(d *Device) { d.Answers, d.Garbled = 95, 5 })}}, []string{"some-damaged"}},
	{"slow", Evidence{Devices: []Device{with("a", func(d *Device) { d.Answers, d.Silent, d.RTTMax = 90, 10, 900*time.Millisecond })}}, []string{"time-out-too-short:a"}},
	{"late", Evidence{Devices: []Device{with("a", func(d *Device) { d.Late = 2 })}}, []string{"time-out-too-short:a"}},
	{"always late", Evidence{Devices: []Device{{Name: "a", Exchanges: 10, Silent: 6, Unrelated: 4, Late: 5}}}, []string{"time-out-too-short:a"}},
	{"late by a second master's traffic", Evidence{ForeignRequests: 9, Devices: []Device{with("a", func(d *Device) { d.Late = 2 })}}, []string{"two-masters"}},
	{"some missing", Evidence{Devices: []Device{with("a", func(d *Device) { d.Answers, d.Silent = 90, 10 })}}, []string{"answers-missing:a"}},
	{"two stray characters", Evidence{Unasked: 2, Devices: []Device{well("a")}}, nil},
	{"floating", Evidence{Unasked: 31, Devices: []Device{well("a")}}, []string{"bytes-unasked"}},
	{"crowded", Evidence{Busy: 0.97, Devices: []Device{well("a")}}, []string{"bus-crowded"}},

	{"exception 1", refusing(1), []string{"exception-1:a"}},
	{"exception 2", refusing(2), []string{"exception-2:a"}},
	{"exception 3", refusing(3), []string{"exception-3:a"}},
	{"exception 4", refusing(4), []string{"exception-4:a"}},
	{"exception 6", refusing(6), []string{"exception-6:a"}},
	{"exception 10", refusing(10), []string{"exception-10:a"}},
	{"exception 11", refusing(11), []string{"exception-11:a"}},
	{"exception 8", refusing(8), []string{"exception-other:a"}},
	{"two exceptions and a silence", Evidence{Devices: []Device{with("a", func(d *Device) { d.Answers, d.Silent, d.Refused = 90, 10, map[int]int{1: 1, 2: 1} })}},
		[]string{"answers-missing:a", "exception-2:a", "exception-1:a"}},
	{"a meter refuses", Evidence{Devices: []Device{with("a", func(d *Device) { d.Denied = 2 })}}, []string{"denied:a"}},
	{"swapped", Evidence{Devices: []Device{with("a", func(d *Device) { d.Swapped = 3 })}}, []string{"words-swapped:a"}},
}

func found(all []Finding) (rows []string) {
	for _, f := range all {
		row := f.Row
		if f.Device != "" {
			row += ":" + f.Device
		}
		rows = append(rows, row)
	}
	return rows
}

func TestEvidenceLeadsToItsCause(t *testing.T) {
	for _, c := range cases {
		if got := found(Diagnose(&c.evidence)); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEveryRowIsShownByACase(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases {
		for _, row := range c.want {
			name, _, _ := strings.Cut(row, ":")
			seen[name] = true
		}
	}
	names := map[string]bool{}
	for _, name := range Rows() {
		if names[name] {
			t.Errorf("two rows are called %s", name)
		}
		names[name] = true
		if !seen[name] {
			t.Errorf("no case shows %s", name)
		}
	}
}

// Every text is one that people can read, in both languages, with all its numbers filled in.
func TestTextsAreWhole(t *testing.T) {
	for _, c := range cases {
		wholeTexts(t, Diagnose(&c.evidence))
	}
	e := refusing(2)
	f := Diagnose(&e)[0]
	if f.Evidence != (Text{"a refused 7 requests with exception 2.", "a 以异常码 2 拒绝了 7 个请求。"}) {
		t.Errorf("the evidence reads %+v", f.Evidence)
	}
}

func wholeTexts(t *testing.T, all []Finding) {
	t.Helper()
	for _, f := range all {
		for part, text := range map[string]Text{"evidence": f.Evidence, "cause": f.Cause, "next": f.Next} {
			if strings.Contains(text.English+text.Chinese, "%!") {
				t.Errorf("%s, %s: %q %q", f.Row, part, text.English, text.Chinese)
			}
			if !strings.HasSuffix(text.English, ".") || strings.ContainsFunc(text.English, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%s, %s: %q is no English sentence", f.Row, part, text.English)
			}
			if !strings.HasSuffix(text.Chinese, "。") || !strings.ContainsFunc(text.Chinese, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%s, %s: %q is no Chinese sentence", f.Row, part, text.Chinese)
			}
		}
	}
}

func TestLamps(t *testing.T) {
	e := Evidence{Devices: []Device{well("a"), silent("b"), with("c", func(d *Device) { d.Values = 0 })}}
	for i, want := range []Lamps{{true, true, true}, {true, false, false}, {true, true, false}} {
		if got := e.Lamps(i); got != want {
			t.Errorf("device %d has %+v, want %+v", i, got, want)
		}
	}
	e.Problem = Missing
	if e.Lamps(1).Open {
		t.Error("the line is open though there is no port")
	}
}
