package hj212

import (
	"fmt"
	"strings"
	"testing"
	"time"

	wire "sluice/gateway/hj212"
)

func part(qn string, pnum, pno int, data string) wire.Packet {
	return wire.Packet{QN: qn, CN: wire.Minute, MN: "1", Flag: 7, PNUM: pnum, PNO: pno, Data: data}
}

func TestPacketsAreJoined(t *testing.T) {
	const at = "DataTime=20261123120000;"
	for name, c := range map[string]struct {
		parts []wire.Packet
		want  string // the data that come of it, by |
		asked string
	}{
		"whole":              {[]wire.Packet{part("1", 0, 0, at+"a-Avg=1")}, at + "a-Avg=1", "1"},
		"one of one":         {[]wire.Packet{part("1", 1, 1, at+"a-Avg=1")}, at + "a-Avg=1", "1"},
		"same QN":            {[]wire.Packet{part("1", 2, 1, at+"a-Avg=1"), part("1", 2, 2, "b-Avg=2")}, at + "a-Avg=1;b-Avg=2", "1 1"},
		"own QN, one moment": {[]wire.Packet{part("1", 2, 1, at+"a-Avg=1"), part("2", 2, 2, at+"b-Avg=2")}, at + "a-Avg=1;" + at + "b-Avg=2", "1 2"},
		"out of order":       {[]wire.Packet{part("1", 2, 2, "b-Avg=2"), part("1", 2, 1, at+"a-Avg=1")}, at + "a-Avg=1;b-Avg=2", "1 1"},
		"one of them twice":  {[]wire.Packet{part("1", 2, 1, at+"a-Avg=1"), part("1", 2, 1, at+"a-Avg=1"), part("1", 2, 2, "b-Avg=2")}, at + "a-Avg=1;b-Avg=2", "1 1"},
		"begun again":        {[]wire.Packet{part("1", 2, 1, at+"a-Avg=1"), part("1", 2, 1, at+"a-Avg=9"), part("1", 2, 2, "b-Avg=2")}, at + "a-Avg=9;b-Avg=2", "1 1"},
		"cut in a value":     {[]wire.Packet{part("1", 2, 1, at+"a-Avg=1"), part("1", 2, 2, "2.5;b-Avg=2")}, at + "a-Avg=12.5;b-Avg=2", "1 1"},
		"cut in a code":      {[]wire.Packet{part("1", 2, 1, at+"a-Avg=1;w01"), part("1", 2, 2, "018-Avg=2")}, at + "a-Avg=1;w01018-Avg=2", "1 1"},
		"cut at a semicolon": {[]wire.Packet{part("1", 2, 1, at+"a-Avg=1;"), part("1", 2, 2, "b-Avg=2")}, at + "a-Avg=1;b-Avg=2", "1 1"},
		"nothing in common":  {[]wire.Packet{part("1", 2, 1, at+"a-Avg=1"), part("2", 2, 2, "b-Avg=2")}, "", ""},
		"another moment":     {[]wire.Packet{part("", 2, 1, at+"a-Avg=1"), part("", 2, 2, "DataTime=20261123120100;b-Avg=2")}, "", ""},
		"another's":          {[]wire.Packet{part("1", 2, 1, at), {QN: "1", CN: wire.Minute, MN: "2", Flag: 7, PNUM: 2, PNO: 2}}, "", ""},
		"two at the same time": {[]wire.Packet{part("1", 2, 1, "a-Avg=1"), part("2", 2, 1, "a-Avg=3"), part("2", 2, 2, "b-Avg=4"), part("1", 2, 2, "b-Avg=2")},
			"a-Avg=3;b-Avg=4|a-Avg=1;b-Avg=2", "2 2 1 1"},
	} {
		var a assembler
		var got, asked []string
		for _, p := range c.parts {
			if u, whole, err := a.add(p, time.Now()); whole {
				got = append(got, u.packet.Data)
				asked = append(asked, u.asked...)
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if strings.Join(got, "|") != c.want || strings.Join(asked, " ") != c.asked {
			t.Errorf("%s: got %q asked %q, want %q asked %q", name, got, asked, c.want, c.asked)
		}
	}
}

func TestWhatIsInHandIsBounded(t *testing.T) {
	var a assembler
	now := time.Now()
	for i := range 10 {
		_, whole, err := a.add(part(fmt.Sprint(i), 2, 1, "a-Avg=1"), now)
		if whole || (err != nil) != (i >= maxSets) || len(a.sets) > maxSets {
			t.Errorf("set %d: %v, %v, %d in hand", i, whole, err, len(a.sets))
		}
	}
	if _, _, err := a.add(part("x", 0, 0, ""), now.Add(partsLife+time.Second)); err == nil || len(a.sets) != 0 {
		t.Errorf("after their time: %v, %d in hand", err, len(a.sets))
	}
	if _, _, err := a.add(part("x", maxParts+1, 1, ""), now); err == nil {
		t.Error("a message of too many packets was begun")
	}
	big := strings.Repeat("x", 9000)
	var err error
	for i := range maxParts {
		if _, _, err = a.add(part("y", maxParts, i+1, big), now); err != nil {
			break
		}
	}
	if err == nil || len(a.sets) != 0 {
		t.Errorf("a message that is too long: %v", err)
	}
}

func TestRepetitionsAreKnownAndMemoryIsBounded(t *testing.T) {
	var m memory
	for i := range 10 * remembered {
		key := fmt.Sprint(i)
		if m.has(key) {
			t.Errorf("%s is known before it came", key)
		}
		m.add(key)
		m.add(key)
		if !m.has(key) || len(m.known) > remembered {
			t.Fatalf("%s is not known, or there are %d", key, len(m.known))
		}
	}
	if m.has("0") || !m.has(fmt.Sprint(9*remembered)) {
		t.Error("it does not know the last ones and only those")
	}
}

func TestReportsThatCannotBeUsed(t *testing.T) {
	zone, err := wire.Zone("")
	must(t, err)
	for data, want := range map[string]string{
		"":                               "no DataTime",
		"w01018-Rtd=1":                   "before their DataTime",
		"DataTime=20261323120000":        "no moment",
		"DataTime=20261123120000;w01018": "not code-Field=value",
		"DataTime=20261123120000;w01018-Rtd=1;w01018-Rtd=2": "there twice",
	} {
		if got, err := reports(wire.Packet{CN: wire.Realtime, Data: data}, zone); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", data, got, err, want)
		}
	}
	all, err := reports(wire.Packet{CN: wire.Hour, Data: "DataTime=20261123120000;a-Avg=1;DataTime=20261123120000;b-Avg=2;DataTime=20261123130000;a-Avg=3"}, zone)
	must(t, err)
	if len(all) != 2 || len(all[0].values) != 2 || all[1].at.Sub(all[0].at) != time.Hour {
		t.Errorf("two moments: %+v", all)
	}
}

func FuzzReports(f *testing.F) {
	f.Add("DataTime=20160103133030;060-Rtd=3.0943,060-Flag=N;011-Rtd=18.0412", "DataTime=20160103133030;B01-Rtd=1")
	f.Add("a-Avg=1;w01", "018-Avg=NaN")
	zone, _ := wire.Zone("")
	points := []point{{"a", Factor{"a", "Avg"}, Minute}, {"b", Factor{"060", "Rtd"}, Minute}}
	f.Fuzz(func(t *testing.T, a, b string) {
		var assembler assembler
		assembler.add(part("1", 2, 1, a), time.Time{})
		u, whole, err := assembler.add(part("1", 2, 2, b), time.Time{})
		if err != nil || !whole {
			t.Fatalf("two packets are not whole: %v", err)
		}
		all, err := reports(u.packet, zone)
		if err != nil {
			return
		}
		for _, r := range all {
			for _, p := range r.fill(points, nil) {
				if p.Error == "" && (p.Value.Absent() || !p.Value.Finite()) {
					t.Errorf("%q and %q give %+v", a, b, p)
				}
			}
		}
	})
}
