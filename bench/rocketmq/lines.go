package main

import (
	"fmt"
	"strconv"
	"strings"
)

// line is what a benchmark tool says of its last nine seconds.
type line struct {
	rate   float64 // messages a second that were sent or consumed
	mean   float64 // milliseconds of one send
	failed int64   // since the tool began, or for a consumer in those seconds
}

// parseLine reads one line of what org.apache.rocketmq.example.benchmark.Producer, BatchProducer or
// Consumer prints; ok is false for lines that report nothing. Its figures stand behind names, between
// bars, and Java writes NaN where nothing was sent.
func parseLine(text string) (l line, ok bool, err error) {
	if !strings.HasPrefix(text, "Current Time:") {
		return l, false, nil
	}
	for part := range strings.SplitSeq(text, "|") {
		name, value, _ := strings.Cut(part, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch name {
		case "Send TPS", "Consume TPS", "Send MPS":
			// A batch producer's TPS counts batches and its MPS, which comes later, messages.
			l.rate, err = strconv.ParseFloat(value, 64)
			ok = true
		case "Average RT(ms)":
			l.mean, err = strconv.ParseFloat(value, 64)
		case "Send Failed", "Response Failed", "Consume Fail":
			var n int64
			n, err = strconv.ParseInt(value, 10, 64)
			l.failed += n
		}
		if err != nil {
			return line{}, false, fmt.Errorf("line %q: %s: %w", text, name, err)
		}
	}
	return l, ok, nil
}
