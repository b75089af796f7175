package queue

import (
	"testing"

	"sluice/gateway/message"
)

func TestNames(t *testing.T) {
	for level, want := range map[string]string{
		"readings": "readings", "a b": "a%20b", "温度": "%E6%B8%A9%E5%BA%A6", "50%": "50%", "50%20": "50%2520",
		"$%RETRY%g": "%RETRY%g", "%RETRY%g": "%25RETRY%25g", "$other": "%24other", "TBW102": "%54BW102", "$TBW102": "TBW102",
	} {
		if got := rocketTopic(level); got != want {
			t.Errorf("level %q is topic %q, want %q", level, got, want)
		}
		if got := logTopic(rocketTopic(level)); got != level {
			t.Errorf("level %q comes back as %q", level, got)
		}
	}
	if message.Match("#", logTopic("%DLQ%g")) || message.Match("+", logTopic("RMQ_SYS_TRANS_HALF_TOPIC")) {
		t.Error("a wildcard sees the machinery")
	}
}

func FuzzNames(f *testing.F) {
	f.Add("a b")
	f.Add("%RETRY%x")
	f.Fuzz(func(t *testing.T, level string) {
		if got := logTopic(rocketTopic(level)); got != level {
			t.Errorf("level %q became topic %q and comes back as %q", level, rocketTopic(level), got)
		}
	})
}
