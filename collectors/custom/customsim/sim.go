// Package customsim plays instruments with protocols of their own, on whatever carries bytes: a scale
// that speaks text, a controller that speaks text and binary, a meter that speaks by itself.
package customsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is a way in which the instrument misbehaves.
type Fault string

// The faults. A healthy instrument has none.
const (
	Healthy     Fault = ""
	Silence     Fault = "silence"      // no answer
	BadChecksum Fault = "bad-checksum" // of binary answers
	Garbage     Fault = "garbage"      // noise before the answer
	Split       Fault = "split"        // the answer comes in pieces with pauses
	Short       Fault = "short"        // the answer breaks off
	Other       Fault = "other"        // an answer to something else comes first
	Deaf        Fault = "deaf"         // settings are acknowledged and not taken
	MuteWrite   Fault = "mute-write"   // settings are taken and not acknowledged
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{Silence, BadChecksum, Garbage, Split, Short, Other, Deaf, MuteWrite}
}

// Options say what the instrument is like.
type Options struct {
	Push  time.Duration // it says its weight so often, unasked; 0: only when asked
	Delay time.Duration // from a request to its answer
}

// Instrument is one device. It knows:
//
//	W CR LF            ST,GS,+   12.50kg CR LF
//	T CR LF            T=21.5;SP=20.0;S=OK CR LF
//	SP 21.5 CR LF      OK CR LF, and has a new set point
//	02 52 sum          02 57 len T16 count(bcd4) F32 sum: temperature in tenths, a counter, the weight
//	02 53 T16 sum      06: a new set point in tenths
type Instrument struct {
	options Options

	mu       sync.Mutex // guards what follows
	fault    Fault
	weight   float64
	setPoint float64
	requests int
	writes   int
}

// New makes an instrument with 12.5 kg on it and a set point of 20.
func New(o Options) *Instrument { return &Instrument{options: o, weight: 12.5, setPoint: 20} }

// Misbehave makes it do so until it is told otherwise; Healthy ends it.
func (s *Instrument) Misbehave(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Load puts another weight on it.
func (s *Instrument) Load(kg float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.weight = kg
}

// Seen says how many requests there were, and how many of these were settings.
func (s *Instrument) Seen() (requests, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.writes
}

// Serve answers what comes from wire until ctx ends or the other end goes, and closes wire.
func (s *Instrument) Serve(ctx context.Context, wire io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	var pushing sync.WaitGroup
	defer pushing.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = wire.Close() })
	defer stop()
	if s.options.Push > 0 {
		pushing.Go(func() { s.push(ctx, wire) })
	}
	var heard []byte
	b := make([]byte, 256)
	for {
		n, err := wire.Read(b)
		if ctx.Err() != nil || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hear: %w", err)
		}
		heard = append(heard, b[:n]...)
		for {
			request, rest, ok := next(heard)
			heard = rest
			if !ok {
				break
			}
			if err := s.answer(ctx, wire, request); err != nil && ctx.Err() == nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
	}
}

func (s *Instrument) push(ctx context.Context, wire io.Writer) {
	for tick := time.NewTicker(s.options.Push); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
		s.mu.Lock()
		said := s.saidLocked([]byte(s.weightLocked()))
		s.mu.Unlock()
		for _, piece := range said {
			if _, err := wire.Write(piece); err != nil {
				tick.Stop()
				return
			}
		}
	}
}

// next takes the first whole request from b.
func next(b []byte) (request, rest []byte, ok bool) {
	for len(b) > 0 {
		switch {
		case b[0] == 0x02 && len(b) < 2:
			return nil, b, false
		case b[0] == 0x02:
			n := 3
			if b[1] == 0x53 {
				n = 5
			}
			if len(b) < n {
				return nil, b, false
			}
			if b[n-1] == sum(b[:n-1]) {
				return b[:n], b[n:], true
			}
			b = b[1:]
		case b[0] >= 'A' && b[0] <= 'Z':
			i := bytes.Index(b, []byte("\r\n"))
			if i < 0 {
				return nil, b, false
			}
			return b[:i], b[i+2:], true
		default:
			b = b[1:]
		}
	}
	return nil, nil, false
}

func sum(b []byte) (n byte) {
	for _, c := range b {
		n += c
	}
	return n
}

func (s *Instrument) answer(ctx context.Context, wire io.Writer, request []byte) error {
	select {
	case <-time.After(s.options.Delay):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	s.requests++
	pieces := s.saidLocked(s.replyLocked(request))
	s.mu.Unlock()
	for i, piece := range pieces {
		if i > 0 {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if _, err := wire.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// saidLocked gives what goes on the line for an answer, a pause between each two.
func (s *Instrument) saidLocked(reply []byte) [][]byte {
	if reply == nil {
		return nil
	}
	switch s.fault {
	case Silence:
		return nil
	case BadChecksum:
		reply[len(reply)-1] ^= 1
	case Garbage:
		return [][]byte{append([]byte{0x00, 0xFF, 0x7F, '?', '\r', '\n'}, reply...)}
	case Other:
		return [][]byte{append([]byte("ERR,busy\r\n"), reply...)}
	case Split:
		return [][]byte{reply[:len(reply)/2], reply[len(reply)/2:]}
	case Short:
		return [][]byte{reply[:len(reply)-2]}
	}
	return [][]byte{reply}
}

func (s *Instrument) weightLocked() string {
	sign := "+"
	if s.weight < 0 {
		sign = "-"
	}
	return fmt.Sprintf("ST,GS,%s%8.2fkg\r\n", sign, max(s.weight, -s.weight))
}

func (s *Instrument) replyLocked(request []byte) []byte {
	if request[0] == 0x02 {
		return s.binaryLocked(request)
	}
	switch text := string(request); {
	case text == "W":
		return []byte(s.weightLocked())
	case text == "T":
		return fmt.Appendf(nil, "T=21.5;SP=%.1f;S=OK\r\n", s.setPoint)
	case strings.HasPrefix(text, "SP "):
		f, err := strconv.ParseFloat(text[3:], 64)
		if err != nil {
			return []byte("ERR\r\n")
		}
		return s.setLocked(f, []byte("OK\r\n"))
	}
	return []byte("ERR\r\n")
}

func (s *Instrument) setLocked(setPoint float64, ok []byte) []byte {
	s.writes++
	if s.fault != Deaf {
		s.setPoint = setPoint
	}
	if s.fault == MuteWrite {
		return nil
	}
	return ok
}

func (s *Instrument) binaryLocked(request []byte) []byte {
	if request[1] == 0x53 {
		return s.setLocked(float64(int16(uint16(request[2])<<8|uint16(request[3])))/10, []byte{0x06})
	}
	set := uint16(int16(s.setPoint * 10))
	b := []byte{0x02, 0x57, 15, byte(set >> 8), byte(set), 0x00, 0x12, 0x34, 0x56, 0x41, 0xAC, 0x00, 0x00, 0x80}
	return append(b, sum(b))
}
