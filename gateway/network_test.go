package gateway

import (
	"slices"
	"testing"
)

func TestTheHostsOfUplinksAreTested(t *testing.T) {
	for ends, want := range map[string][]string{
		"mqtts://broker.example.com":               {"broker.example.com:8883"},
		"tcp://10.0.0.1:1884, ssl://10.0.0.2:8883": {"10.0.0.1:1884", "10.0.0.2:8883"},
		"https://ingest.example.com/v1/points?x=1": {"ingest.example.com:443"},
		"wss://[fd00::1]:8084/mqtt":                {"[fd00::1]:8084"},
		"10.0.0.7:9876;10.0.0.8":                   nil,
		"a.example:9092, b.example:9092":           {"a.example:9092", "b.example:9092"},
		"203.0.113.5:5051 MN 88888880000001":       {"203.0.113.5:5051"},
		"":                                         nil,
		" , ,nonsense":                             nil,
	} {
		if got := hostsOf(ends); !slices.Equal(got, want) {
			t.Errorf("%q gives %q, want %q", ends, got, want)
		}
	}
}
