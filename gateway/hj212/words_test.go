package hj212

import (
	"testing"
	"time"
)

func TestMoments(t *testing.T) {
	zone, err := Zone("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 4, 5, 6, 7e6, time.UTC)
	if got, want := FormatQN(at.In(zone)), "20261123120506007"; got != want {
		t.Errorf("QN %s, want %s", got, want)
	}
	for text, want := range map[string]time.Time{
		FormatQN(at.In(zone)): at, FormatTime(at.In(zone)): at.Truncate(time.Second),
	} {
		if got, err := ParseTime(text, zone); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2026", "20261323120506", "20260230120506", "2026112312050612x", "+0261123120506", "20261123120506 07"} {
		if got, err := ParseTime(text, zone); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestZones(t *testing.T) {
	at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{"": "08:00", "Asia/Shanghai": "08:00", "+07:30": "07:30", "-01:00": "23:00", "UTC": "00:00"} {
		zone, err := Zone(name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got := at.In(zone).Format("15:04"); got != want {
			t.Errorf("midnight in %q is %s, want %s", name, got, want)
		}
	}
	for _, name := range []string{"+8", "Mars/Phobos", "+25:00x"} {
		if _, err := Zone(name); err == nil {
			t.Errorf("%q is taken for a zone", name)
		}
	}
}

func TestWords(t *testing.T) {
	for flag, want := range map[string]string{
		"N": "", "": "", "3": "", "D": "analyser fault (flag D)", "T": "above the measuring range (flag T)", "Q": "not a normal value (flag Q)",
	} {
		if got := FlagText(flag); got != want {
			t.Errorf("flag %s: %q, want %q", flag, got, want)
		}
	}
	if got := RequestAnswer("3"); got != "the password (PW) is wrong" {
		t.Errorf("QnRtn 3: %q", got)
	}
	if got := ExecutionResult("77"); got != "code 77" {
		t.Errorf("ExeRtn 77: %q", got)
	}
}
