package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/iec62056/iec62056sim"
	"sluice/collectors/mbus/mbussim"
	"sluice/collectors/sml/smlsim"
	"sluice/web"
)

// What is found of each meter protocol comes with a configuration that can be used as it is.
func TestMetersAreFoundWithTheirConfiguration(t *testing.T) {
	type simulator interface {
		Path() string
		Run(ctx context.Context) error
	}
	opened := func(s simulator, err error) simulator {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	dlt, err := dlt645sim.Open(dlt645sim.Options{Preamble: 4})
	heat, err2 := mbussim.Open(mbussim.Options{})
	iec, err3 := iec62056sim.Open(iec62056sim.Options{})
	pushing, err4 := smlsim.Open(smlsim.Options{Every: 300 * time.Millisecond})
	for _, c := range []struct {
		protocol string
		line     simulator
		baud     int
		profile  string
	}{
		{"dlt645", opened(dlt, err), 2400, "dlt645-2007-three-phase"},
		{"mbus", opened(heat, err2), 2400, ""},
		{"iec62056", opened(iec, err3), 300, ""},
		{"sml", opened(pushing, err4), 9600, ""},
	} {
		t.Run(c.protocol, func(t *testing.T) {
			start(t, c.line.Run)
			ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
			defer cancel()
			var found []FoundDevice
			wanted := FindRequest{Kind: "line", Serial: c.line.Path(), Protocols: []string{c.protocol}, Bauds: []int{c.baud}}
			err := Find(ctx, wanted, func(FindProgress) {}, func(d FoundDevice) {
				found = append(found, d)
				cancel() // the rest of its numbers would take a minute
			})
			if len(found) == 0 || err != nil && !errors.Is(err, context.Canceled) {
				t.Fatalf("found %+v, %v", found, err)
			}
			f := found[0]
			if f.Raw == "" || f.Unit == "" || !strings.Contains(f.Answer, "meter") || !strings.Contains(f.YAML, c.line.Path()) {
				t.Errorf("found %+v", f)
			}
			if c.profile != "" && (len(f.Guesses) == 0 || f.Guesses[0].Profile != c.profile) {
				t.Errorf("guessed %+v, want %s", f.Guesses, c.profile)
			}
			sound(t, "", []web.FoundDevice{{Protocol: f.Protocol, Unit: f.Unit, YAML: f.YAML}})
			t.Logf("%s\n%s", f.Answer, f.YAML)
		})
	}
}

func TestAPortOfNoUseIsSaid(t *testing.T) {
	nobody := func(FoundDevice) { t.Error("something was found") }
	err := Find(t.Context(), FindRequest{Kind: "line", Serial: "/dev/null", Protocols: []string{"modbus-rtu"}}, func(FindProgress) {}, nobody)
	if err == nil || errors.Is(err, ErrFindRequest) || !strings.Contains(err.Error(), "/dev/null") {
		t.Errorf("got %v", err)
	}
	if err := Find(t.Context(), FindRequest{Kind: "network", Network: "x"}, nil, nobody); !errors.Is(err, ErrFindRequest) || !strings.Contains(err.Error(), "network") {
		t.Errorf("got %v", err)
	}
}
