package measure

import (
	"testing"
	"time"
)

// rate is an outcome; one that is 0 has failed.
type rate float64

func (r rate) Failed() bool { return r == 0 }

func (r rate) value() float64 { return float64(r) }

func TestRatiosPairRoundsAndLeaveOutWhatFailed(t *testing.T) {
	got := SpreadOf(Ratios([]rate{300, 100, 0, 50}, []rate{100, 0, 100, 100}, rate.value), Digits)
	if want := "3.00 (0.50 to 3.00)"; got != want {
		t.Errorf("ratios are %s, want %s", got, want)
	}
}

func TestSpreadCountsFailures(t *testing.T) {
	for _, c := range []struct {
		of   []rate
		want string
	}{
		{[]rate{20_000, 10_000, 30_000}, "20.0 k (10.0 k to 30.0 k)"},
		{[]rate{1_500_000}, "1.50 M"},
		{[]rate{0, 9_999}, "9999, 1 of 2 failed"},
		{[]rate{0}, "–, 1 of 1 failed"},
	} {
		if got := Spread(c.of, rate.value, Short); got != c.want {
			t.Errorf("%v: %q, want %q", c.of, got, c.want)
		}
	}
}

func TestDiskFigures(t *testing.T) {
	var d Disk
	for i := range 100 {
		d.took = append(d.took, time.Duration(100-i)*time.Microsecond)
	}
	if p50, p99 := d.Quantile(.5), d.Quantile(.99); p50 != 51 || p99 != 100 {
		t.Errorf("p50 %v p99 %v, want 51 and 100", p50, p99)
	}
	if got := d.Rate(); got < 19_801 || got > 19_803 {
		t.Errorf("%v appends a second, want 100 in 5.05 ms", got)
	}
}
