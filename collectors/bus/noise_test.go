package bus

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"
	"testing"
	"time"

	"sluice/collectors/bus/pty"
)

// sealed is a frame with a checksum: what is asked for, or its value, which is the same.
func sealed(value uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x7E}, value)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// unseal finds the first frame in b, at any place.
func unseal(b []byte) (frame []byte, complete bool) {
	for ; len(b) >= 9; b = b[1:] {
		if b[0] == 0x7E && binary.BigEndian.Uint32(b[5:]) == crc32.ChecksumIEEE(b[:5]) {
			return b[:9], true
		}
	}
	return nil, false
}

// On a line that damages characters in every way, in both directions, and echoes, an answer is either
// that of the device to this request or an error, although it does not say which request it belongs to.
func TestABadLineGivesNoWrongAnswer(t *testing.T) {
	t.Run("plain", func(t *testing.T) { badLine(t, false) })
	t.Run("echo", func(t *testing.T) { badLine(t, true) })
}

func badLine(t *testing.T, echo bool) {
	line := newLine(t)
	line.Echo(echo)
	settings := fast(line.Path())
	settings.Gap = 10 * time.Millisecond
	c := on(t, settings)
	var device sync.WaitGroup
	device.Go(func() {
		var heard []byte
		b := make([]byte, 64)
		for {
			n, err := line.Read(b)
			if err != nil {
				return
			}
			heard = append(heard, b[:n]...)
			if frame, ok := unseal(heard); ok {
				answer := sealed(binary.BigEndian.Uint32(frame[1:]) ^ 0xFFFFFFFF)
				heard = heard[:0]
				if _, err := line.Write(answer); err != nil && err != io.ErrClosedPipe {
					t.Error(err)
				}
			}
		}
	})
	t.Cleanup(func() { line.Close(); device.Wait() })
	q := Request{Timeout: 60 * time.Millisecond, Late: 300 * time.Millisecond, Answer: unseal, Protocol: "custom"}
	line.Noise(pty.Noise{FlipBits: 0.005, DropBytes: 0.005, RandomBytes: 0.005, Seed: 7})
	good := 0
	for i := range uint32(40) {
		q.Frame = sealed(i)
		answer, err := c.Exchange(t.Context(), q)
		if err != nil {
			continue
		}
		value := binary.BigEndian.Uint32(answer[1:]) ^ 0xFFFFFFFF
		if value == ^i {
			// The echo, with a character in front of it: a real driver tells it from an answer, and
			// waits for that. The line is real.
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if value != i {
			t.Errorf("asked for %d, got the answer to %d", i, value)
		}
		good++
	}
	if good < 20 {
		t.Errorf("%d of 40 requests were answered, want most", good)
	}
	line.Noise(pty.Noise{})
	q.Frame, q.Timeout = sealed(1000), 5*time.Second
	if answer, err := c.Exchange(t.Context(), q); err != nil || binary.BigEndian.Uint32(answer[1:]) != 1000^0xFFFFFFFF {
		t.Errorf("a good line again: %x, %v", answer, err)
	}
}
