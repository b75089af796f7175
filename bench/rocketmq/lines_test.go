package main

import (
	"math"
	"testing"
)

func TestLinesOfTheTools(t *testing.T) {
	for _, c := range []struct {
		what, text string
		want       line
		ok         bool
	}{
		{"the producer", "Current Time: 2026-11-23 06:41:07,411 | Send TPS: 18244 | Max RT(ms): 262 | Average RT(ms):   3.481 | Send Failed: 2 | Response Failed: 3", line{18244, 3.481, 5}, true},
		{"the batch producer", "Current Time: 2026-11-23 06:41:07,411 | Send TPS: 4100 | Send MPS: 65600 | Max RT(ms): 90 | Average RT(ms):   3.100 | Average Message RT(ms):   0.194 | Send Failed: 0 | Send Message Failed: 0", line{65600, 3.1, 0}, true},
		{"the consumer", "Current Time: 2026-11-23 06:41:07,411 | Consume TPS: 54321 | AVG(B2C) RT(ms):   7.250 | AVG(S2C) RT(ms):   5.003 | MAX(B2C) RT(ms): 80 | MAX(S2C) RT(ms): 71 | Consume Fail: 1", line{54321, 0, 1}, true},
		{"what is printed first", "topic: bench, threadCount: 64, messageSize: 128, keyEnable: false, propertySize: 0", line{}, false},
		{"a consumer's start", "Consumer Started.", line{}, false},
		{"an empty line", "", line{}, false},
	} {
		got, ok, err := parseLine(c.text)
		if err != nil || ok != c.ok || got != c.want {
			t.Errorf("%s: %+v, %v, %v, want %+v, %v", c.what, got, ok, err, c.want, c.ok)
		}
	}
}

func TestALineWithoutMessagesHasNoMean(t *testing.T) {
	got, ok, err := parseLine("Current Time: 2026-11-23 06:41:07,411 | Send TPS: 0 | Max RT(ms): 0 | Average RT(ms):     NaN | Send Failed: 64 | Response Failed: 0")
	if err != nil || !ok || got.rate != 0 || !math.IsNaN(got.mean) || got.failed != 64 {
		t.Errorf("%+v, %v, %v, want nothing sent and 64 failed", got, ok, err)
	}
}

func TestALineOfAnotherFormIsRefused(t *testing.T) {
	if got, ok, err := parseLine("Current Time: 2026-11-23 06:41:07,411 | Send TPS: many | Send Failed: 0"); err == nil || ok {
		t.Errorf("%+v, %v, want an error", got, ok)
	}
}
