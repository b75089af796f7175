package main

import (
	"testing"

	"sluice/store"
)

func TestMemoryIsCollectedEarly(t *testing.T) {
	for _, c := range []struct {
		profile     store.Profile
		memory      int64
		environment map[string]string
		percent     int
		limit       int64
	}{
		{store.Normal, 8 << 30, nil, 50, 0},
		{store.Normal, 8 << 30, map[string]string{"GOGC": "100"}, 0, 0},
		{store.Small, 240 << 20, nil, 50, 120 << 20},
		{store.Small, 8 << 30, nil, 50, 128 << 20},
		{store.Small, 0, nil, 50, 128 << 20},
		{store.Small, 240 << 20, map[string]string{"GOGC": "100"}, 0, 120 << 20},
		{store.Small, 240 << 20, map[string]string{"GOMEMLIMIT": "64MiB"}, 50, 0},
	} {
		percent, limit := collectorFor(c.profile, c.memory, func(name string) string { return c.environment[name] })
		if percent != c.percent || limit != c.limit {
			t.Errorf("%s with %d bytes and %v: got %d %% and %d bytes, want %d %% and %d",
				c.profile, c.memory, c.environment, percent, limit, c.percent, c.limit)
		}
	}
}
