package queue

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What a handle says of the topic that its message lies in.
const (
	popNormal  = 0
	popRetries = 1 // the retry topic, under the first of its two names
)

// The number of the queue that RocketMQ's brokers keep receipts in: ours keep them nowhere.
const (
	reviveQueue        = 0
	reviveQueueOrdered = 999
)

// Handle is what a consumer shows to acknowledge a message. Its text is RocketMQ's: eight parts with
// blanks between.
type Handle struct {
	Start     uint64 // of the batch
	PopTime   int64  // Unix milliseconds
	Invisible time.Duration
	Ordered   bool
	Retry     bool // the message lies in the retry topic of the group
	Broker    string
	Queue     int
	Offset    uint64
}

// HandleOf gives the handle of the message with an offset in a batch. A broker's name has no blanks.
func (p *Popped) HandleOf(b *PopBatch, broker string, offset uint64) Handle {
	return Handle{b.Start, p.Time, p.Invisible, p.Ordered, b.Retry, broker, b.Queue, offset}
}

// String gives the text that clients carry.
func (h Handle) String() string {
	return fmt.Sprintf("%d %d %d %d %d %s %d %d", h.Start, h.PopTime, h.Invisible.Milliseconds(), h.Revive(), h.Flag(), h.Broker, h.Queue, h.Offset)
}

// Revive is the number that answers carry as reviveQid.
func (h Handle) Revive() int {
	if h.Ordered {
		return reviveQueueOrdered
	}
	return reviveQueue
}

// Flag is what handles and offset lists begin with: 0 for the topic itself, 1 for its retry topic.
func (h Handle) Flag() int {
	if h.Retry {
		return popRetries
	}
	return popNormal
}

// Topic gives the topic that the message lies in.
func (h Handle) Topic(group, topic string) string {
	if h.Retry {
		return PopRetryTopic(group, topic)
	}
	return topic
}

// ParseHandle reads a handle that may have come from anybody. A ninth part, which proxies add, is not
// looked at, and the offset may be missing where the request says it.
func ParseHandle(text string) (h Handle, err error) {
	parts := strings.Split(text, " ")
	if len(parts) < 7 || len(parts) > 9 || len(text) > 512 {
		return h, fmt.Errorf("%w: %d parts", ErrExpired, len(parts))
	}
	number := func(i int, most int64) int64 {
		n, e := strconv.ParseInt(parts[i], 10, 64)
		if e != nil || n < 0 || n > most {
			err = fmt.Errorf("%w: part %d is %q", ErrExpired, i+1, parts[i])
		}
		return n
	}
	const any = 1<<63 - 1
	h.Start = uint64(number(0, any))
	h.PopTime = number(1, any)
	h.Invisible = time.Duration(number(2, any/int64(time.Millisecond))) * time.Millisecond
	h.Ordered = number(3, any) == reviveQueueOrdered
	h.Retry = number(4, popRetries) == popRetries
	h.Broker = parts[5]
	h.Queue = int(number(6, 1<<16))
	if len(parts) > 7 {
		h.Offset = uint64(number(7, any))
	}
	if err != nil {
		return Handle{}, err
	}
	return h, nil
}
