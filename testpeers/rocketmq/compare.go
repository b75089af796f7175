package rocketmqtest

import (
	"slices"
	"testing"
)

// Compare plays scenarios against a gateway and a real broker, and fails the test where a client saw
// something else, except where the two differ on purpose: scenario → the observations ("saw") that are not
// compared.
func Compare(t *testing.T, gateway, real string, as Client, onPurpose map[string][]string, names ...string) {
	t.Helper()
	want := Play(t, real, as, names...)
	got := Play(t, gateway, as, names...)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			compared := func(all []Observation) []Observation {
				return slices.DeleteFunc(slices.Clone(all), func(o Observation) bool { return slices.Contains(onPurpose[name], o.Saw) })
			}
			for _, line := range Diff(compared(want[name]), compared(got[name])) {
				t.Error(line)
			}
		})
	}
}
