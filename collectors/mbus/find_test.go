package mbus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/mbus"
	"sluice/collectors/mbus/mbussim"
)

func client(t *testing.T, line *mbussim.Line) *bus.Client {
	t.Helper()
	c, err := busOn(t, line).Client("bus://line", "search")
	must(t, err)
	return c
}

// told gives what was found as "address number identity medium: problem".
func told(found []mbus.Found) []string {
	var all []string
	for _, f := range found {
		all = append(all, fmt.Sprintf("%s %d %s %s: %s", f.Address, f.Number, f.Identity, f.Medium, f.Problem))
	}
	slices.Sort(all)
	return all
}

func TestMetersAreFoundByTheirNumbers(t *testing.T) {
	energy := [][]byte{records(t, "0C 06 01 00 00 00")}
	line := simulate(t,
		mbussim.Meter{Primary: 0, ID: "10000001", Maker: "ABC", Medium: 7, Telegrams: energy},
		mbussim.Meter{Primary: 3, ID: "10000002", Maker: "ABC", Version: 2, Medium: 4, Telegrams: energy},
		mbussim.Meter{Primary: 5, ID: "10000003", Maker: "ABC", Telegrams: energy},
		mbussim.Meter{Primary: 5, ID: "20000004", Maker: "ABC", Telegrams: energy})
	asked := 0
	found, err := mbus.Find(t.Context(), client(t, line), mbus.Search{Numbers: true, Last: 8, Timeout: 100 * time.Millisecond, Progress: func(n int, _ string) { asked = n }})
	must(t, err)
	want := []string{
		"0 0 10000001.ABC.0.7 water: ",
		"3 3 10000002.ABC.2.4 heat (outlet): ",
		"5 5  : several meters answer to the number 5 at once: give them different ones, or read them by their identification numbers",
	}
	if got := told(found); !slices.Equal(got, want) || asked != 9 {
		t.Errorf("asked %d times\n got %s\nwant %s", asked, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if len(found) > 0 && !slices.Equal(found[0].Records, []string{"energy"}) {
		t.Errorf("its records are %q", found[0].Records)
	}
}

func TestMetersAreFoundByTheirIdentities(t *testing.T) {
	energy := [][]byte{records(t, "0C 06 01 00 00 00")}
	line := simulate(t,
		mbussim.Meter{ID: "10000001", Maker: "ABC", Medium: 7, Telegrams: energy},
		mbussim.Meter{ID: "10000002", Maker: "ABC", Medium: 7, Telegrams: energy},
		mbussim.Meter{ID: "10990002", Maker: "ABC", Medium: 7, Telegrams: energy},
		mbussim.Meter{ID: "87654321", Maker: "XYZ", Medium: 4, Primary: 9, Telegrams: energy},
		mbussim.Meter{ID: "10990002", Maker: "ABC", Medium: 22, Telegrams: energy})
	c := client(t, line)
	found, err := mbus.Find(t.Context(), c, mbus.Search{Identities: true, Timeout: 60 * time.Millisecond})
	must(t, err)
	want := []string{
		"10000001.ABC.0.7 0 10000001.ABC.0.7 water: ",
		"10000002.ABC.0.7 0 10000002.ABC.0.7 water: ",
		"10990002 -1  : several meters with this identification number answer at once: add maker, version and medium to the address",
		"87654321.XYZ.0.4 9 87654321.XYZ.0.4 heat (outlet): ",
	}
	if got := told(found); !slices.Equal(got, want) {
		t.Errorf("\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	found, err = mbus.Find(t.Context(), c, mbus.Search{Identities: true, Among: "109FFFFF.*.*.22", Timeout: 60 * time.Millisecond})
	if got := told(found); err != nil || !slices.Equal(got, []string{"10990002.ABC.0.22 0 10990002.ABC.0.22 cold water: "}) {
		t.Errorf("among some: got %q, %v", got, err)
	}
	if _, err := mbus.Find(t.Context(), c, mbus.Search{Identities: true, Among: "5"}); err == nil {
		t.Error("a number was accepted as a mask")
	}
}

func TestASearchEndsWithItsContext(t *testing.T) {
	line := simulate(t)
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	found, err := mbus.Find(ctx, client(t, line), mbus.Search{Numbers: true, Timeout: 20 * time.Millisecond, Progress: func(n int, _ string) {
		if asked = n; n == 4 {
			cancel()
		}
	}})
	if err == nil || asked != 4 || len(found) != 1 {
		t.Errorf("after %d questions got %q, %v; want what was found and an error", asked, told(found), err)
	}
}

func TestANumberIsGiven(t *testing.T) {
	line := simulate(t, mbussim.Meter{Primary: 0, ID: "10000001", Maker: "ABC"}, mbussim.Meter{Primary: 1, ID: "10000002", Maker: "ABC"})
	c := client(t, line)
	for _, step := range []struct {
		meter  mbus.Address
		number byte
	}{{mbus.Primary(0), 7}, {address(t, "10000001"), 8}, {address(t, "10000002.ABC"), 250}} {
		must(t, mbus.SetNumber(t.Context(), c, step.meter, step.number, 0, patient))
	}
	if one, two := line.Primary("10000001"), line.Primary("10000002"); one != 8 || two != 250 {
		t.Errorf("the meters have the numbers %d and %d", one, two)
	}
	for _, bad := range []struct {
		meter  mbus.Address
		number byte
	}{{mbus.Primary(8), 251}, {mbus.Primary(99), 3}, {mbus.Address{}, 3}} {
		if err := mbus.SetNumber(t.Context(), c, bad.meter, bad.number, 0, 60*time.Millisecond); err == nil {
			t.Errorf("meter %s got the number %d", bad.meter, bad.number)
		}
	}
}

func address(t *testing.T, text string) (a mbus.Address) {
	t.Helper()
	must(t, a.UnmarshalText([]byte(text)))
	return a
}

func TestDissect(t *testing.T) {
	for _, c := range []struct {
		dir   bus.Direction
		frame string
		want  string
	}{
		{bus.Out, "10 40 01 41 16", "reset the link of meter 1"},
		{bus.Out, "10 7B FD 78 16", "ask the selected meter for data (FCB 1)"},
		{bus.Out, "10 5A 03 5D 16", "ask meter 3 for urgent data (FCB 0)"},
		{bus.Out, "68 0B 0B 68 53 FD 52 78 03 49 11 77 04 FF FF F0 16", "select meter 11490378.ACW"},
		{bus.Out, "68 04 04 68 53 FE 50 10 B1 16", "reset the application of any meter 10"},
		{bus.Out, "68 06 06 68 53 FE 51 01 7A 08 25 16", "give any meter the number 8"},
		{bus.Out, "68 03 03 68 53 05 BB 13 16", "switch meter 5 to 2400 bit/s"},
		{bus.Out, "68 04 04 68 53 05 51 00 A9 16", "1 bytes to meter 5 (CI 51)"},
		{bus.In, "E5", "acknowledged"},
		{bus.In, "68 04 04 68 08 01 70 08 81 16", "meter 1: the meter refused: it is busy, ask again later (application error 8)"},
		{bus.In, "68 1B 1B 68 08 01 72 07 20 18 00 E6 1E 35 07 4C 00 00 00 0C 78 07 20 18 00 0C 16 69 02 00 00 96 16", "meter 1 (00182007.GWF.53.7, water): 2 records"},
		{bus.In, "10 08 01 09 16", "answer 08 from meter 1"},
		{bus.In, "00", ""},
		{bus.In, "68 1B 1B 68 08", ""},
	} {
		got, ok := mbus.Dissect(c.dir, records(t, c.frame))
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q, %v; want %q", c.frame, got, ok, c.want)
		}
	}
}
