package queue

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// RecallHandle is what a producer shows to take a message back that waits for its time. Its text is RocketMQ's.
type RecallHandle struct {
	Topic, Broker string
	DeliverAt     int64 // Unix milliseconds
	Key           string
}

// String gives the text that producers carry.
func (h RecallHandle) String() string {
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "v1 %s %s %d %s", h.Topic, h.Broker, h.DeliverAt, h.Key))
}

// ParseRecallHandle reads a handle that may have come from anybody.
func ParseRecallHandle(text string) (h RecallHandle, err error) {
	b, err := base64.URLEncoding.DecodeString(text)
	if err != nil {
		return h, err
	}
	parts := strings.Split(string(b), " ")
	if len(parts) != 5 || parts[0] != "v1" {
		return h, errors.New("not a recall handle")
	}
	h = RecallHandle{Topic: parts[1], Broker: parts[2], Key: parts[4]}
	h.DeliverAt, err = strconv.ParseInt(parts[3], 10, 64)
	return h, err
}
