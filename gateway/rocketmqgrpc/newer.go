package rocketmqgrpc

import (
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
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

// unknown gives the last field of a number that holds bytes and that the stubs do not know; nil: there is none.
func unknown(m proto.Message, number protowire.Number) (value []byte) {
	eachField(m.ProtoReflect().GetUnknown(), func(n protowire.Number, _ uint64, b []byte) {
		if n == number && b != nil {
			value = b
		}
	})
	return value
}

// eachField visits the fields of a message that hold numbers of variable length, or bytes, which are then not nil. What
// cannot be read ends it: ok is false then.
func eachField(b []byte, visit func(number protowire.Number, value uint64, bytes []byte)) (ok bool) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			var value uint64
			if value, n = protowire.ConsumeVarint(b); n >= 0 {
				visit(number, value, nil)
			}
		case protowire.BytesType:
			var value []byte
			if value, n = protowire.ConsumeBytes(b); n >= 0 {
				visit(number, 0, value[:len(value):len(value)])
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// durationIn reads a google.protobuf.Duration; one that makes no sense is 0.
func durationIn(b []byte) time.Duration {
	var seconds, nanos int64
	eachField(b, func(number protowire.Number, value uint64, _ []byte) {
		switch number {
		case 1:
			seconds = int64(value)
		case 2:
			nanos = int64(int32(value))
		}
	})
	const most = int64(24 * 3600)
	if seconds < 0 || nanos < 0 || seconds > most || nanos >= 1e9 {
		return 0
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos)
}
