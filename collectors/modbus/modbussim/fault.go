package modbussim

import (
	"context"
	"fmt"
	"net"
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
	Slow             Kind = "slow"              // the right answer after a delay
	WrongUnit        Kind = "wrong-unit"        // from another unit
	WrongFunction    Kind = "wrong-function"    // to another function
	WrongByteCount   Kind = "wrong-byte-count"  // one register or byte less than asked, in a sound frame
	WrongLength      Kind = "wrong-length"      // the byte count of a whole answer, but less data
)

var kinds = []Kind{
	WrongTransaction, OldTransaction, StaleFirst, ShortFrame, CutFrame, Garbage, Exception, Silence,
	Close, Slow, WrongUnit, WrongFunction, WrongByteCount, WrongLength,
}

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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Always makes every request fail for which Misbehave says nothing; Always(Fault{}) ends that.
func (s *Server) Always(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = f
}

func (s *Server) nextFault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return s.always
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f
}

// send answers a request, rightly or as told. It is false when the connection is to end.
func (s *Server) send(ctx context.Context, conn net.Conn, f frame, pdu []byte) bool {
	fault := s.nextFault()
	right := appendFrame(nil, f.transaction, f.unit, pdu)
	var wire []byte
	switch fault.Kind {
	case "":
		wire = right
	case WrongTransaction:
		wire = appendFrame(nil, f.transaction+1, f.unit, pdu)
	case OldTransaction:
		wire = appendFrame(nil, f.transaction-1, f.unit, inverted(pdu))
	case StaleFirst:
		wire = append(appendFrame(nil, f.transaction-1, f.unit, inverted(pdu)), right...)
	case ShortFrame, CutFrame:
		wire = right[:len(right)/2]
	case Garbage:
		wire = []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	case Exception:
		wire = appendFrame(nil, f.transaction, f.unit, []byte{f.pdu[0] | 0x80, fault.Exception})
	case Silence:
		return true
	case Close:
		return false
	case Slow:
		if !sleep(ctx, fault.Delay) {
			return false
		}
		wire = right
	case WrongUnit:
		wire = appendFrame(nil, f.transaction, f.unit+1, pdu)
	case WrongFunction:
		wire = appendFrame(nil, f.transaction, f.unit, append([]byte{pdu[0] ^ 7}, pdu[1:]...))
	case WrongByteCount:
		short := slices.Clone(pdu[:max(2, len(pdu)-2)])
		short[1] = byte(len(short) - 2)
		wire = appendFrame(nil, f.transaction, f.unit, short)
	case WrongLength:
		wire = appendFrame(nil, f.transaction, f.unit, pdu[:max(2, len(pdu)-2)])
	default:
		panic("bug: no such fault: " + string(fault.Kind))
	}
	_, err := conn.Write(wire)
	return err == nil && fault.Kind != CutFrame
}

// inverted is an answer of the same shape with other data: what a driver must not take for its own.
func inverted(pdu []byte) []byte {
	out := slices.Clone(pdu)
	for i := 2; i < len(out); i++ {
		out[i] = ^out[i]
	}
	return out
}
