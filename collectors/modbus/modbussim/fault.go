package modbussim

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is one way to misbehave on one request. The zero Fault is to behave.
type Fault struct {
	Kind      Kind
	Exception byte          // for Exception
	Delay     time.Duration // for Slow
}

// Kind names a misbehaviour.
type Kind string

// The kinds. In each the request itself is carried out; only the answer is not what it should be.
const (
	WrongTransaction Kind = "wrong-transaction" // the id of a request still to come
	OldTransaction   Kind = "old-transaction"   // nothing but an answer to the request before
	StaleFirst       Kind = "stale-first"       // an old answer with other data, then the right one
	ShortFrame       Kind = "short-frame"       // half of the answer, then nothing
	CutFrame         Kind = "cut-frame"         // half of the answer, then the connection is closed
	Garbage          Kind = "garbage"           // bytes that are no frame
	Exception        Kind = "exception"         // the exception with the code in Fault
	Silence          Kind = "silence"           // nothing
	Close            Kind = "close"             // the connection is closed
	CloseAfter       Kind = "close-after"       // the connection is closed behind the right answer
	Slow             Kind = "slow"              // the right answer after a delay; requests meanwhile wait
	WrongUnit        Kind = "wrong-unit"        // from another unit
	WrongFunction    Kind = "wrong-function"    // to another function
	WrongByteCount   Kind = "wrong-byte-count"  // one register or byte less than asked, in a sound frame
	WrongLength      Kind = "wrong-length"      // the byte count of a whole answer, but less data
	FlippedBit       Kind = "flipped-bit"       // one bit of the frame is wrong, on TCP one of its header
	LostByte         Kind = "lost-byte"         // one byte of the frame is missing
	Hasty            Kind = "hasty"             // so soon that the first byte is lost in the adapter's turnaround
	Echo             Kind = "echo"              // the request itself comes back before the answer
	Unsolicited      Kind = "unsolicited"       // a broadcast and another unit's report come before the answer
	OtherMaster      Kind = "other-master"      // another master's question and its answer come before the answer
	Noise            Kind = "noise"             // stray bytes come before the answer
)

var kinds = []Kind{
	WrongTransaction, OldTransaction, StaleFirst, ShortFrame, CutFrame, Garbage, Exception, Silence,
	Close, CloseAfter, Slow, WrongUnit, WrongFunction, WrongByteCount, WrongLength, FlippedBit, LostByte,
	Hasty, Echo, Unsolicited, OtherMaster, Noise,
}

// Kinds are all kinds of faults, for those who offer them.
func Kinds() []Kind { return slices.Clone(kinds) }

// ParseFault reads "silence", "slow:500ms" or "exception:6".
func ParseFault(written string) (Fault, error) {
	name, argument, _ := strings.Cut(written, ":")
	f := Fault{Kind: Kind(name)}
	if !slices.Contains(kinds, f.Kind) {
		return Fault{}, fmt.Errorf("%q is not a fault; there are %v", name, kinds)
	}
	switch f.Kind {
	case Exception:
		code, err := strconv.ParseUint(argument, 10, 8)
		if err != nil {
			return Fault{}, fmt.Errorf("%q has no code; write for example exception:6", written)
		}
		f.Exception = byte(code)
	case Slow:
		delay, err := time.ParseDuration(argument)
		if err != nil {
			return Fault{}, fmt.Errorf("%q has no delay; write for example slow:500ms", written)
		}
		f.Delay = delay
	default:
		if argument != "" {
			return Fault{}, fmt.Errorf("%s takes no argument", name)
		}
	}
	return f, nil
}

// Misbehave makes the next requests fail, one fault each.
func (s *Server) Misbehave(faults ...Fault) {
	s.state.Lock()
	defer s.state.Unlock()
	s.faults = append(s.faults, faults...)
}

// Always makes every request fail for which Misbehave says nothing; Always(Fault{}) ends that.
func (s *Server) Always(f Fault) {
	s.state.Lock()
	defer s.state.Unlock()
	s.always = f
}

// Behave forgets all that Misbehave and Always asked for.
func (s *Server) Behave() {
	s.state.Lock()
	defer s.state.Unlock()
	s.faults, s.always = nil, Fault{}
}

// Speak makes the device answer in a dialect, whatever it is asked in, like a converter that was set
// to another mode; "" ends that.
func (s *Server) Speak(d Dialect) {
	s.state.Lock()
	defer s.state.Unlock()
	s.speaks = d
}

func (s *Server) next(asked Dialect) (Fault, Dialect) {
	s.state.Lock()
	defer s.state.Unlock()
	d := asked
	if s.speaks != "" {
		d = s.speaks
	}
	if len(s.faults) == 0 {
		return s.always, d
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f, d
}

// send answers a request, rightly or as told. It is false when the connection is to end.
func (s *Server) send(ctx context.Context, line io.Writer, f frame, pdu []byte) bool {
	fault, d := s.next(f.dialect)
	if fault.Kind == Silence {
		return true
	}
	if fault.Kind == Close {
		return false
	}
	if fault.Kind == Slow && !sleep(ctx, fault.Delay) {
		return false
	}
	if f.unit == 0 && f.dialect != TCP {
		return true // a broadcast, which nobody answers [Modbus over serial line V1.02, 2.1]
	}
	_, err := line.Write(fault.wire(d, f, pdu))
	return err == nil && fault.Kind != CutFrame && fault.Kind != CloseAfter
}

// wire is what goes out in the place of the right answer.
func (fault Fault) wire(d Dialect, f frame, pdu []byte) []byte {
	right := wrap(d, f.transaction, f.unit, pdu)
	switch fault.Kind {
	case "", Slow, CloseAfter:
		return right
	case WrongTransaction:
		return wrap(d, f.transaction+1, f.unit, pdu)
	case OldTransaction:
		return wrap(d, f.transaction-1, f.unit, inverted(pdu))
	case StaleFirst:
		return append(wrap(d, f.transaction-1, f.unit, inverted(pdu)), right...)
	case ShortFrame, CutFrame:
		return right[:len(right)/2]
	case Garbage:
		return []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	case Exception:
		return wrap(d, f.transaction, f.unit, []byte{f.pdu[0] | 0x80, fault.Exception})
	case WrongUnit:
		return wrap(d, f.transaction, f.unit+1, pdu)
	case WrongFunction:
		return wrap(d, f.transaction, f.unit, append([]byte{pdu[0] ^ 7}, pdu[1:]...))
	case WrongByteCount:
		short := slices.Clone(pdu[:max(2, len(pdu)-2)])
		short[1] = byte(len(short) - 2)
		return wrap(d, f.transaction, f.unit, short)
	case WrongLength:
		return wrap(d, f.transaction, f.unit, pdu[:max(2, len(pdu)-2)])
	case FlippedBit:
		at := len(right) / 2
		if d == TCP {
			at = 3 // TCP has checksums of its own, so what is damaged there was damaged before it was wrapped
		}
		right[at] ^= 0x10
		return right
	case LostByte:
		return slices.Delete(right, len(right)/2, len(right)/2+1)
	case Hasty:
		return right[1:]
	}
	before := fault.before(d, f, pdu)
	return append(before, right...)
}

// before is what comes ahead of the right answer.
func (fault Fault) before(d Dialect, f frame, pdu []byte) []byte {
	other := f.unit%247 + 1
	switch fault.Kind {
	case Echo:
		return slices.Clone(f.wire)
	case Unsolicited:
		broadcast := wrap(d, f.transaction+100, 0, []byte{6, 0, 1, 0, 2})
		return append(broadcast, wrap(d, f.transaction+200, other, inverted(pdu))...)
	case OtherMaster:
		question := wrap(d, f.transaction+100, other, f.pdu)
		return append(question, wrap(d, f.transaction+100, other, inverted(pdu))...)
	case Noise:
		return []byte{0x00, 0xFF, f.unit, f.pdu[0], 0x7E, 0x00}
	}
	panic("bug: no such fault: " + string(fault.Kind))
}

// inverted is an answer of the same shape with other data: what a driver must not take for its own.
func inverted(pdu []byte) []byte {
	out := slices.Clone(pdu)
	for i := 2; i < len(out); i++ {
		out[i] = ^out[i]
	}
	return out
}
