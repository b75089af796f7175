package rocketmqgrpc

import (
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// What newer clients say in messages that the stubs know, under numbers that the stubs do not.
const (
	longPollingField  = 7 // of ReceiveMessageRequest
	attemptField      = 8
	recallHandleField = 5 // of SendResultEntry
)

// maxAttempt bounds the identifier of an attempt in bytes.
const maxAttempt = 256

// longPolling is how long a consumer wants to wait; 0: it does not say.
func longPolling(r *v2.ReceiveMessageRequest) time.Duration {
	return durationIn(unknown(r, longPollingField))
}

// attemptID is what a consumer repeats when it asks for the same messages again.
func attemptID(r *v2.ReceiveMessageRequest) string {
	id := unknown(r, attemptField)
	if len(id) > maxAttempt {
		return ""
	}
	return string(id)
}

// setRecallHandle tells a producer what it can take its message back with.
func setRecallHandle(entry *v2.SendResultEntry, handle string) {
	b := protowire.AppendTag(nil, recallHandleField, protowire.BytesType)
	entry.ProtoReflect().SetUnknown(protowire.AppendString(b, handle))
}
