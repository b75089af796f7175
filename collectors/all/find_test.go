package all

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/collectors/bus"
	"sluice/collectors/cjt188/cjt188sim"
	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/finder"
	"sluice/collectors/modbus/modbussim"
	"sluice/collectors/profiles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func named(t *testing.T, names ...string) (list []*finder.Protocol) {
	t.Helper()
	for _, name := range names {
		i := slices.IndexFunc(Protocols(), func(p *finder.Protocol) bool { return p.Name == name })
		if i < 0 {
			t.Fatalf("there is no protocol %s", name)
		}
		list = append(list, Protocols()[i])
	}
	return list
}

// load gives a simulated device what the golden reading of a profile holds, and nothing else.
func load(t *testing.T, name string) *modbussim.Server {
	t.Helper()
	p, err := profiles.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]modbussim.Table{"coil": modbussim.Coils, "discrete": modbussim.Discretes, "input": modbussim.Inputs, "holding": modbussim.Holdings}
	there := map[modbussim.Table]map[int]uint16{}
	for _, table := range tables {
		there[table] = map[int]uint16{}
	}
	for _, registers := range []map[string]string{p.Golden.Registers, p.Tells.Registers} {
		for at, words := range registers {
			area, number, _ := strings.Cut(at, ":")
			start, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			for i, word := range strings.Fields(words) {
				v, err := strconv.ParseUint(word, 16, 16)
				if err != nil {
					t.Fatal(err)
				}
				there[tables[area]][start+i] = uint16(v)
			}
		}
	}
	sim := &modbussim.Server{}
	for table, cells := range there {
		free := 0
		for at := range 1<<16 + 1 {
			v, ok := cells[at]
			if !ok && at < 1<<16 {
				continue
			}
			if at > free {
				sim.Remove(table, uint16(free), at-free)
			}
			if ok {
				sim.Set(table, uint16(at), v)
			}
			free = at + 1
		}
	}
	return sim
}

// search runs one to its end and gives what it found.
func search(t *testing.T, ctx context.Context, c *cabinet, s finder.LineSearch) (found []finder.Found, progress []finder.Progress, err error) {
	t.Helper()
	lines, err := bus.NewSet(map[string]bus.Settings{"hall": {Serial: c.line.Path()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lines.Close(); err != nil {
			t.Error(err)
		}
	}()
	if s.Line, err = lines.Client("bus://hall", "search"); err != nil {
		t.Fatal(err)
	}
	s.Place, s.Serial, s.Now = "bus://hall", true, bus.Character{Baud: 9600, DataBits: 8, Parity: "even", StopBits: 1}
	err = s.Run(ctx, finder.Report{
		Progress: func(p finder.Progress) { progress = append(progress, p) },
		Found:    func(f finder.Found) { found = append(found, f) },
	})
	return found, progress, err
}

// Three devices from three makers on one line, each set as it came out of its box.
func TestDevicesAtDifferentSettingsAreFoundOnOneLine(t *testing.T) {
	c := newCabinet(t)
	c.putModbus(9600, &modbussim.Rack{Dialect: modbussim.RTU, Devices: map[byte]*modbussim.Server{5: load(t, "chint-ddsu666")}})
	c.putDLT645(2400, dlt645sim.Options{Preamble: 4})
	c.putCJT188(4800, cjt188sim.Meter{Number: "11223344550055"})
	found, progress, err := search(t, t.Context(), c, finder.LineSearch{
		Bus: "hall", Protocols: named(t, "modbus-rtu", "dlt645", "cjt188"), Bauds: []int{9600, 2400, 4800},
		Parities: []string{"even"}, Units: []byte{4, 5}, Timeout: 150 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		profile := ""
		if len(f.Guesses) > 0 {
			profile = f.Guesses[0].Profile
		}
		got = append(got, strings.Join([]string{f.Protocol, f.Settings, f.Unit, profile}, " "))
		if _, err := hex.DecodeString(f.Raw); err != nil || f.Raw == "" {
			t.Errorf("%s: raw bytes %q", f.Unit, f.Raw)
		}
		t.Logf("%s: %+v\n%s", f.Answer, f.Guesses, f.YAML)
	}
	want := []string{
		"cjt188 4800 8E1 11223344550055 cjt188-water",
		"dlt645 2400 8E1 000000000161 dlt645-2007-three-phase",
		"modbus-rtu 9600 8E1 5 chint-ddsu666",
	}
	if got[0] != want[2] {
		t.Errorf("found %q first, and not what is likeliest", got[0])
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	last := finder.Progress{}
	for _, p := range progress {
		if p.Done < last.Done || p.Done > p.All {
			t.Errorf("progress went from %+v to %+v", last, p)
		}
		last = p
	}
	if last.Done != last.All || last.Left != 0 || last.All < 3*2+3*3+3*6 {
		t.Errorf("the search ended at %+v", last)
	}
}

func TestASearchIsCancelledAtOnce(t *testing.T) {
	c := newCabinet(t)
	c.putModbus(9600, &modbussim.Rack{Dialect: modbussim.RTU, Devices: map[byte]*modbussim.Server{2: {}}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cancelled := make(chan time.Time, 1)
	time.AfterFunc(500*time.Millisecond, func() { // the line is a real one
		cancelled <- time.Now()
		cancel()
	})
	found, _, err := search(t, ctx, c, finder.LineSearch{Bus: "hall", Protocols: named(t, "modbus-rtu"), Timeout: 200 * time.Millisecond})
	if took := time.Since(<-cancelled); !errors.Is(err, context.Canceled) || took > 2*time.Second {
		t.Errorf("ended with %v %v after it was cancelled", err, took)
	}
	if len(found) != 1 || found[0].Unit != "2" {
		t.Errorf("found %+v before, want unit 2", found)
	}
}

// What a search says for certain of a device whose golden registers it sees is the profile that they
// are of, or nothing; of models that have the same registers it says that it could be either.
func TestProfilesAreGuessedByTheirRegisters(t *testing.T) {
	if testing.Short() {
		t.Skip("80 simulated devices are asked one after the other")
	}
	certain, either, unknown := 0, 0, 0
	for _, name := range profiles.Names() {
		p, err := profiles.Open(name)
		if err != nil || p.Driver != "modbus" {
			continue
		}
		sim := load(t, name)
		if err := sim.Listen("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- sim.Run(ctx) }()
		found := visit(t, sim.Addr())
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(found) != 1 {
			t.Errorf("%s: found %+v", name, found)
			continue
		}
		asked := uint64(0)
		for _, n := range sim.Counts().Requests {
			asked += n
		}
		if asked > 2+2*24 { // what comes after a refusal is read twice
			t.Errorf("%s was asked %d times", name, asked)
		}
		guesses := found[0].Guesses
		is := slices.IndexFunc(guesses, func(g finder.Guess) bool { return g.Profile == name })
		switch {
		case len(guesses) == 0:
			unknown++
			t.Logf("%s: none", name)
		case is == 0 && guesses[0].Score >= 0.7:
			certain++
		case is >= 0 && guesses[0].Score < 0.7:
			either++
			t.Logf("%s: %+v", name, guesses)
		default:
			t.Errorf("%s was taken for %+v", name, guesses)
		}
	}
	t.Logf("%d recognised, %d one of several, %d not", certain, either, unknown)
	if certain < 28 || certain+either < 42 {
		t.Errorf("only %d profiles are recognised, and %d as one of several", certain, either)
	}
}

// visit looks for devices at one address and port of this machine.
func visit(t *testing.T, address string) (found []finder.Found) {
	t.Helper()
	lines, err := bus.NewSet(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	s := networkOf(t, address)
	s.Timeout = 5 * time.Second // nothing is asked for in vain
	s.Client = func(address string) (*bus.Client, error) { return lines.Client(address, "search") }
	if err := s.Run(t.Context(), finder.Report{Found: func(f finder.Found) { found = append(found, f) }}); err != nil {
		t.Error(err)
	}
	return found
}
