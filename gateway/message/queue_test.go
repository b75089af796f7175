package message

import (
	"fmt"
	"strings"
	"testing"
)

func TestQueueTopic(t *testing.T) {
	for topic, want := range map[string]string{
		"readings/line-3/press": "readings", "orders": "orders", "/a": "", "%RETRY%group": "%RETRY%group",
		strings.Repeat("x", MaxQueueTopicBytes) + "/a": strings.Repeat("x", MaxQueueTopicBytes),
		strings.Repeat("x", MaxQueueTopicBytes+1):      "",
	} {
		if got := QueueTopic(topic); got != want {
			t.Errorf("the RocketMQ topic of %.20q is %.20q, want %.20q", topic, got, want)
		}
	}
}

// TestQueueOfStaysAsItIs: a log that exists must find the same queues after an update.
func TestQueueOfStaysAsItIs(t *testing.T) {
	for _, c := range []struct {
		topic  string
		queues int
		want   byte
	}{
		{"readings/line-3/press", 4, 0},
		{"readings/line-3/press", 16, 4},
		{"readings/line-3/oven", 4, 0},
		{"orders", 4, 1},
		{"设备/一", 8, 0},
		{"orders", 1, 0},
		{"orders", 0, 0},
	} {
		if got := QueueOf(c.topic, c.queues); got != c.want {
			t.Errorf("%q belongs to queue %d of %d, want %d", c.topic, got, c.queues, c.want)
		}
	}
}

func TestTopicsSpreadOverTheQueues(t *testing.T) {
	for _, queues := range []int{2, 4, 7, 16, 100} {
		var count [MaxQueues]int
		for i := range 10000 {
			count[QueueOf(fmt.Sprintf("readings/line-%d/press-%d", i/100, i), queues)]++
		}
		for queue, n := range count[:min(queues, MaxQueues)] {
			if even := 10000 / min(queues, MaxQueues); n < even*8/10 || n > even*12/10 {
				t.Errorf("of 10,000 topics %d belong to queue %d of %d", n, queue, queues)
			}
		}
	}
}
