package rocketmqgrpc

import (
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// raw is a message that the stubs do not know, as it travels.
type raw []byte

// codec reads and writes the stubs' messages, and raw ones as they are.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(encodingproto.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(raw); ok {
		return mem.BufferSlice{mem.SliceBuffer(m)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(*raw); ok {
		*m = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

// with appends a field that is a message; a nil one is left out.
func (m raw) with(number protowire.Number, value proto.Message) raw {
	b, err := proto.Marshal(value)
	if err != nil { // text that is not UTF-8, which nothing here has that came from a client
		b = nil
	}
	return m.withBytes(number, b)
}

func (m raw) withBytes(number protowire.Number, value []byte) raw {
	return protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), value)
}

func (m raw) withNumber(number protowire.Number, value int64) raw {
	return protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), uint64(value))
}

// read puts the fields of a request where they belong: each into what parts has for its number. One that cannot be
// read is refused.
func (m raw) read(parts map[protowire.Number]any) error {
	var wrong error
	ok := eachField(m, func(number protowire.Number, value uint64, b []byte) {
		switch part := parts[number].(type) {
		case nil:
		case *int64:
			*part = int64(value)
		case *string:
			*part = string(b)
		case *time.Duration:
			*part = durationIn(b)
		case proto.Message:
			if err := proto.Unmarshal(b, part); err != nil {
				wrong = err
			}
		}
	})
	if !ok || wrong != nil {
		return refuse(v2.Code_BAD_REQUEST, "the request cannot be read")
	}
	return nil
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
