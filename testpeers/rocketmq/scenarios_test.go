package rocketmqtest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Every scenario runs to its end at a real broker, for both generations of clients: what it sees there
// is what the gateway is measured by.
func TestScenariosAgainstRealBroker(t *testing.T) {
	if os.Getenv("SLUICE_LONG") != "1" {
		t.Skip("takes minutes: in the long form, SLUICE_LONG=1")
	}
	real := Start(t, Options{})
	for _, generation := range []Generation{Current, Old} {
		t.Run("client "+string(generation), func(t *testing.T) {
			seen := Play(t, real.NameServer, Client{Generation: generation}, Of(generation)...)
			for _, name := range Of(generation) {
				if len(seen[name]) == 0 {
					t.Errorf("%s saw nothing", name)
				}
				for _, o := range seen[name] {
					if o.Saw == "failed" {
						t.Errorf("%s: %v", name, o)
					}
				}
			}
		})
	}
}

// What two runs at one broker see is the same: else a comparison with the gateway would be a matter of luck.
func TestScenariosSeeTheSameTwice(t *testing.T) {
	if os.Getenv("SLUICE_LONG") != "1" {
		t.Skip("takes minutes: in the long form, SLUICE_LONG=1")
	}
	real := Start(t, Options{})
	as := Client{Generation: Current}
	first := Play(t, real.NameServer, as, Of(Current)...)
	second := Play(t, real.NameServer, as, Of(Current)...)
	for _, name := range Of(Current) {
		for _, line := range Diff(first[name], second[name]) {
			t.Errorf("%s: %s", name, line)
		}
	}
}

func TestScenariosAreAllListed(t *testing.T) {
	found := require(t)
	for _, generation := range []Generation{Current, Old} {
		out, err := exec.Command(found.java, "-cp", found.client(generation), "scenarios.Scenarios", "list").Output()
		if err != nil {
			t.Fatal(err)
		}
		has, want := strings.Fields(string(out)), slices.Concat(Of(generation), AccessScenarios, GatewayScenarios)
		slices.Sort(has)
		slices.Sort(want)
		if !slices.Equal(has, want) {
			t.Errorf("the program of generation %s has\n%v\nthe table here\n%v", generation, has, want)
		}
	}
}

func TestDiffNamesWhatDiffers(t *testing.T) {
	see := func(saw, with string) Observation { return Observation{"s", saw, []byte(with)} }
	want := []Observation{see("a", `{"x":1}`), see("b", `{"code":17,"remark":"no such topic"}`), see("b", `{}`), see("b", `{}`)}
	got := []Observation{see("b", `{}`), see("b", `{"code":17,"remark":"what topic?"}`), see("a", `{"x":2}`)}
	if diff := Diff(want, got); !slices.Equal(diff, []string{`- a {"x":1}`, `- b {}`, `+ a {"x":2}`}) {
		t.Errorf("got %q", diff)
	}
	if diff := Diff(want, want); diff != nil {
		t.Errorf("a run differs from itself in %q", diff)
	}
	if diff := Diff(want[1:2], []Observation{see("b", `{"code":17,"remark":""}`)}); len(diff) != 2 {
		t.Errorf("a refusal without words is the same as one with: %q", diff)
	}
}
