package packet

import (
	"bytes"
	"encoding/hex"
	"io"
	"reflect"
	"testing"
)

// anyPacket is what all packets have in common for the tests.
type anyPacket interface {
	Decode(f Frame, version byte) error
	Append(b []byte, version byte) []byte
}

// connectPacket gives Connect, which carries its own version, the shape of the others.
type connectPacket struct{ Connect }

func (c *connectPacket) Decode(f Frame, _ byte) error   { return c.Connect.Decode(f) }
func (c *connectPacket) Append(b []byte, _ byte) []byte { return c.Connect.Append(b) }
func newPacket(t Type) anyPacket {
	switch t {
	case CONNECT:
		return new(connectPacket)
	case CONNACK:
		return new(Connack)
	case PUBLISH:
		return new(Publish)
	case SUBSCRIBE:
		return new(Subscribe)
	case SUBACK:
		return new(Suback)
	case UNSUBSCRIBE:
		return new(Unsubscribe)
	case UNSUBACK:
		return new(Unsuback)
	case PINGREQ, PINGRESP:
		return new(Ping)
	case DISCONNECT:
		return new(Disconnect)
	case AUTH:
		return new(Auth)
	}
	return new(Ack)
}

func wholeFrame(tb testing.TB, raw []byte) Frame {
	tb.Helper()
	frame, err := NewReader(bytes.NewReader(raw), MaxLength+5).Next()
	if err != nil {
		tb.Fatalf("%x is not a packet: %v", raw, err)
	}
	frame.Body = bytes.Clone(frame.Body)
	return frame
}

// fuzzType feeds one packet type. What is accepted must mean the same after it was written and read
// again, and a struct that was used before must not let anything of that through.
func fuzzType(f *testing.F, types ...Type) {
	for _, r := range recorded(f) {
		for _, t := range types {
			if frame := wholeFrame(f, r.raw); frame.Type == t {
				f.Add(byte(t), frame.Flags, r.version, frame.Body)
			}
		}
	}
	for _, m := range malformedPackets {
		raw, _ := hex.DecodeString(m.hex)
		for _, t := range types {
			if Type(raw[0]>>4) == t && len(raw) > 1 {
				f.Add(byte(t), raw[0]&15, m.version, raw[2:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind, flags, version byte, body []byte) {
		frame := Frame{Type: types[int(kind)%len(types)], Flags: flags & 15, Body: body}
		version = V31 + version%3
		first := newPacket(frame.Type)
		if first.Decode(frame, version) != nil {
			return
		}
		wire := first.Append(nil, version)
		second := newPacket(frame.Type)
		err := second.Decode(wholeFrame(t, wire), version)
		if err != nil || !same(first, second) {
			t.Fatalf("%s %x (level %d) became %x: %v\n%+v\n%+v", frame.Type, body, version, wire, err, first, second)
		}
		if len(wire) > len(body)+5 {
			t.Errorf("%s grew from %d to %d bytes", frame.Type, len(body), len(wire))
		}
		used := newPacket(frame.Type)
		for _, r := range recorded(t) {
			if other := wholeFrame(t, r.raw); other.Type == frame.Type {
				_ = used.Decode(other, r.version)
			}
		}
		if err := used.Decode(wholeFrame(t, wire), version); err != nil || !same(used, second) {
			t.Errorf("%x read into a used struct differs: %v\n%+v\n%+v", wire, err, used, second)
		}
	})
}

// same compares what packets mean: nil and empty slices are the same.
func same(a, b anyPacket) bool { return sameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

func sameValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		return sameValue(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

func FuzzConnect(f *testing.F)     { fuzzType(f, CONNECT) }
func FuzzConnack(f *testing.F)     { fuzzType(f, CONNACK) }
func FuzzPublish(f *testing.F)     { fuzzType(f, PUBLISH) }
func FuzzAck(f *testing.F)         { fuzzType(f, PUBACK, PUBREC, PUBREL, PUBCOMP) }
func FuzzSubscribe(f *testing.F)   { fuzzType(f, SUBSCRIBE) }
func FuzzSuback(f *testing.F)      { fuzzType(f, SUBACK) }
func FuzzUnsubscribe(f *testing.F) { fuzzType(f, UNSUBSCRIBE) }
func FuzzUnsuback(f *testing.F)    { fuzzType(f, UNSUBACK) }
func FuzzPing(f *testing.F)        { fuzzType(f, PINGREQ, PINGRESP) }
func FuzzDisconnect(f *testing.F)  { fuzzType(f, DISCONNECT) }
func FuzzAuth(f *testing.F)        { fuzzType(f, AUTH) }

// FuzzReader cuts the same bytes in two ways, all at once and in pieces: the packets must be the
// same, and put together they must be the stream.
func FuzzReader(f *testing.F) {
	var all []byte
	for _, r := range recorded(f) {
		f.Add(r.raw, byte(1))
		all = append(all, r.raw...)
	}
	f.Add(all, byte(7))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3}, byte(2))
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 1}, byte(2))
	f.Fuzz(func(t *testing.T, stream []byte, piece byte) {
		const most = 20_000
		whole := NewReader(bytes.NewReader(stream), most)
		pieces := NewReader(&chopped{rest: stream, piece: int(piece)%97 + 1}, most)
		var again []byte
		for {
			a, errA := whole.Next()
			b, errB := pieces.Next()
			if a.Type != b.Type || a.Flags != b.Flags || !bytes.Equal(a.Body, b.Body) {
				t.Fatalf("at once %v, in pieces %v", a, b)
			}
			if (errA == nil) != (errB == nil) || errA != nil && errA.Error() != errB.Error() {
				t.Fatalf("at once %v, in pieces %v", errA, errB)
			}
			if errA != nil {
				if errA == io.EOF && len(again) > len(stream) {
					t.Errorf("%d bytes became %d", len(stream), len(again))
				}
				return
			}
			again = append(again, byte(a.Type)<<4|a.Flags)
			again = append(appendVarint(again, uint32(len(a.Body))), a.Body...)
			if limit := max(largeBuffer, 2*len(stream)); len(pieces.buf) > limit {
				t.Fatalf("a buffer of %d bytes for a stream of %d", len(pieces.buf), len(stream))
			}
		}
	})
}

// chopped hands out a few bytes at a time.
type chopped struct {
	rest  []byte
	piece int
}

func (c *chopped) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.rest[:min(c.piece, len(c.rest))])
	c.rest = c.rest[n:]
	return n, nil
}
