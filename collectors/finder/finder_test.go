package finder

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors/bus"
)

func TestUnitsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"": "[]", " ": "[]", "7": "[7]", "1-3,100": "[1 2 3 100]", "5, 3-4 ,5": "[5 3 4]", "0,255": "[0 255]",
		"-": "wrong", "3-1": "wrong", "256": "wrong", "1,,2": "wrong", "a": "wrong", "1-300": "wrong",
	} {
		units, err := ParseUnits(text)
		got := fmt.Sprintf("%d", units)
		if err != nil {
			got = "wrong"
		}
		if got != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}

func FuzzUnits(f *testing.F) {
	for _, seed := range []string{"1-32,100", "0-255", "3-1", ",", "9-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		units, err := ParseUnits(text)
		if err != nil {
			return
		}
		var written []string
		for _, u := range units {
			written = append(written, fmt.Sprint(u))
		}
		again, err := ParseUnits(strings.Join(written, ","))
		if err != nil || !slices.Equal(again, units) {
			t.Errorf("%q gives %v, and then %v, %v", text, units, again, err)
		}
	})
}

func character(baud int, parity string) bus.Character {
	return bus.Character{Baud: baud, DataBits: 8, Parity: parity, StopBits: 1}
}

// newTalker asks n questions of a second in each of its parts; found gives those that answer.
func newTalker(name string, asks *[]string, parts, n int, found func(q *Query) []Answer, usual ...bus.Character) *Protocol {
	return &Protocol{
		Name: name, Usual: usual, LineScheme: "bus", NetworkScheme: "tcp", Interval: "10s", Patience: time.Second,
		Questions: func(q *Query) int {
			if q.Part >= parts {
				return 0
			}
			return n
		},
		Ask: func(ctx context.Context, q *Query) error {
			set := "-"
			if q.Character != nil {
				set = Name(*q.Character)
			}
			*asks = append(*asks, fmt.Sprintf("%s %s %d", name, set, q.Part))
			for i := range n {
				q.Asked(i, n, fmt.Sprintf("question %d", i))
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if found != nil {
				for _, a := range found(q) {
					q.Found(a)
				}
			}
			return nil
		},
	}
}

func TestWhatIsLikelyIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asks []string
		s := LineSearch{Serial: true, Now: character(4800, "none"), Place: "bus://x", Bus: "x", Protocols: []*Protocol{
			newTalker("a", &asks, 2, 2, nil, character(9600, "none"), character(9600, "even"), character(4800, "none")),
			newTalker("b", &asks, 1, 1, nil, character(2400, "even"), character(9600, "even")),
		}}
		var all []Progress
		if err := s.Run(t.Context(), Report{Progress: func(p Progress) { all = append(all, p) }}); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"b 2400 8E1 0", "a 4800 8N1 0", // how the line is set is the likeliest for each that knows it
			"a 9600 8N1 0", "b 9600 8E1 0",
			"a 9600 8E1 0",
			"a 4800 8N1 1", "a 9600 8N1 1", "a 9600 8E1 1",
		}
		if !slices.Equal(asks, want) {
			t.Errorf("asked\n%s\nwant\n%s", strings.Join(asks, "\n"), strings.Join(want, "\n"))
		}
		if first, last := all[0], all[len(all)-1]; first.All != 14 || first.Left != 14*time.Second || last.Done != 14 || last.Left != 0 {
			t.Errorf("progress from %+v to %+v", first, last)
		}
	})
}

func TestWhereOneIsFoundOthersAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asks []string
		there := func(q *Query) []Answer {
			if q.Part == 0 && q.Character.Baud == 2400 {
				return []Answer{{Unit: "7", Text: "here", Raw: []byte{1, 0xAB}, Driver: "kind", Keys: []Key{{"unit", "7"}}, Points: []string{"{name: a}"}}}
			}
			return nil
		}
		s := LineSearch{Serial: true, Place: "/dev/ttyX", Path: "/dev/ttyX", Protocols: []*Protocol{
			newTalker("a", &asks, 2, 1, there, character(2400, "even"), character(9600, "none"), character(1200, "none")),
		}}
		var found []Found
		if err := s.Run(t.Context(), Report{Found: func(f Found) { found = append(found, f) }}); err != nil {
			t.Fatal(err)
		}
		if want := []string{"a 2400 8E1 0", "a 2400 8E1 1", "a 9600 8N1 0", "a 1200 8N1 0", "a 9600 8N1 1", "a 1200 8N1 1"}; !slices.Equal(asks, want) {
			t.Errorf("asked %q, want %q", asks, want)
		}
		yaml := "buses:\n  - {name: line, serial: \"/dev/ttyX\", baud: 2400, parity: even}\ndevices:\n  - name: kind-7\n    driver: kind\n    address: \"bus://line\"\n    unit: 7\n    interval: 10s\n    points:\n      - {name: a}\n"
		if len(found) != 1 || found[0].Raw != "01ab" || found[0].Settings != "2400 8E1" || found[0].YAML != yaml {
			t.Errorf("found %+v, want\n%s", found, yaml)
		}
	})
}

func TestTheConfigurationOfWhatIsFound(t *testing.T) {
	p := &Protocol{Name: "a", LineScheme: "bus", Interval: "10s"}
	now := character(2400, "even")
	r := &lineRun{LineSearch: &LineSearch{Bus: "hall", Now: character(9600, "none")}}
	a := Answer{Unit: "00 7/B", Driver: "kind", Guesses: []Guess{{Profile: "best", Score: 0.8, Interval: "5m"}, {Profile: "next", Score: 0.6}}}
	if got, want := r.configure(&step{protocol: p, character: &now}, a), "# the bus hall is set to 9600 8N1; this device needs baud: 2400, parity: even\n"+
		"devices:\n  - name: best-00-7-b\n    profile: best\n    address: \"bus://hall\"\n    interval: 5m\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	p.Own = true
	a.Guesses[0].Score, a.Points = 0.5, []string{"{name: a}"}
	if got, want := r.configure(&step{protocol: p, character: &now}, a), "devices:\n  - name: kind-00-7-b\n    driver: kind\n    address: \"bus://hall\"\n    baud: 2400\n    interval: 10s\n    points:\n      - {name: a}\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestASearchOfABrokenLineFails(t *testing.T) {
	var asks []string
	p := newTalker("a", &asks, 1, 1, nil, character(9600, "none"), character(2400, "none"))
	var found []Found
	run := func(err error) error {
		p.Ask = func(context.Context, *Query) error {
			asks = append(asks, "asked")
			return err
		}
		asks, found = nil, nil
		s := LineSearch{Serial: true, Place: "/dev/ttyX", Protocols: []*Protocol{p}}
		return s.Run(t.Context(), Report{Found: func(f Found) { found = append(found, f) }})
	}
	if err := run(fmt.Errorf("the port is in use: %w", bus.ErrNotSent)); err == nil || len(asks) != 1 || !strings.Contains(err.Error(), "/dev/ttyX") {
		t.Errorf("a line that cannot be opened: %v after %d tries", err, len(asks))
	}
	if err := run(fmt.Errorf("%w, %w", bus.ErrNoise, bus.ErrNotSent)); err != nil || len(asks) != 2 || len(found) != 0 {
		t.Errorf("somebody who talks at a setting ended the search: %v after %d settings", err, len(asks))
	}
	if err := run(errors.New("several answer at once")); err != nil || len(found) != 2 || found[0].Answer != "several answer at once" || found[0].YAML != "" {
		t.Errorf("trouble with what was heard gave %v and %+v", err, found)
	}
}

func TestSettingsThatAreChosen(t *testing.T) {
	open := &Protocol{Usual: []bus.Character{character(2400, "even"), character(9600, "none")}}
	fixed := &Protocol{Fixed: true, Usual: []bus.Character{{Baud: 300, DataBits: 7, Parity: "even", StopBits: 1}}}
	for _, c := range []struct {
		p        *Protocol
		bauds    []int
		parities []string
		want     string
	}{
		{open, nil, nil, "2400 8E1, 9600 8N1"},
		{open, []int{4800}, nil, "4800 8E1, 4800 8N1"},
		{open, nil, []string{"odd"}, "2400 8O1, 9600 8O1"},
		{open, []int{1200, 4800}, []string{"none"}, "1200 8N1, 4800 8N1"},
		{fixed, nil, []string{"none"}, "300 7E1"},
		{fixed, []int{2400}, []string{"none"}, "2400 7E1"},
	} {
		var names []string
		for _, s := range c.p.settings(c.bauds, c.parities, bus.Character{}) {
			names = append(names, Name(s))
		}
		if got := strings.Join(names, ", "); got != c.want {
			t.Errorf("%v %v: %s, want %s", c.bauds, c.parities, got, c.want)
		}
	}
}

func TestNetworksAreBounded(t *testing.T) {
	for text, want := range map[string]int{"192.168.1.0/24": 254, "10.0.0.7/32": 1, "10.0.0.6/31": 2, "10.0.0.8/30": 2, "10.1.0.0/20": 4094, "10.1.0.0/19": -1, "fd00::/120": 256, "fd00::/64": -1} {
		network := netip.MustParsePrefix(text)
		got := -1
		if CheckNetwork(network) == nil {
			got = len(Hosts(network))
		}
		if got != want {
			t.Errorf("%s has %d addresses, want %d", text, got, want)
		}
	}
	if CheckNetwork(netip.Prefix{}) == nil {
		t.Error("nothing is a network")
	}
}

// A network of 254 addresses of which few answer is searched with 32 questions at a time.
func TestANetworkIsAskedManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines, err := bus.NewSet(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer lines.Close()
		var mu sync.Mutex // guards what follows
		now, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			now += n
			most = max(most, now)
		}
		p := &Protocol{Name: "a", NetworkScheme: "tcp", Ask: func(ctx context.Context, q *Query) error {
			count(1)
			defer count(-1)
			time.Sleep(time.Second)
			if strings.HasSuffix(q.Line.Port().Name(), ".77:502") {
				q.Found(Answer{Unit: "1", Driver: "kind", Points: []string{"{name: a}"}})
			}
			return nil
		}}
		second := &Protocol{Name: "b", Ask: func(context.Context, *Query) error { return errors.New("nobody listens") }}
		s := NetworkSearch{
			Network: netip.MustParsePrefix("10.0.0.0/24"), Ports: []uint16{502}, Protocols: []*Protocol{p, second},
			Client: func(address string) (*bus.Client, error) { return lines.Client(address, "search") },
		}
		began := time.Now()
		var found []Found
		var last Progress
		if err := s.Run(t.Context(), Report{Progress: func(p Progress) { last = p }, Found: func(f Found) { found = append(found, f) }}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); most != AtOnce || took != 8*time.Second {
			t.Errorf("%d at once, %v in all", most, took)
		}
		if len(found) != 1 || found[0].Place != "10.0.0.77:502" || last.Done != 254 || last.All != 254 || last.Left != 0 {
			t.Errorf("found %+v, ended at %+v", found, last)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		began = time.Now()
		if err := s.Run(ctx, Report{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 3*time.Second {
			t.Errorf("cancelled: %v after %v", err, time.Since(began))
		}
	})
}
