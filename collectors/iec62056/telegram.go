package iec62056

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// A finder looks for one kind of message in characters of seven bits and says how many of them are
// dealt with once it is complete.
type finder interface {
	find(plain []byte) (used int, complete bool)
}

// listener picks a message out of what is heard on a line. Whether the characters come with their
// parity bit, because the port or the converter in between took them for eight bits, is seen from
// the message itself: one of the two readings makes none.
type listener struct {
	finder finder
}

// hear is a bus.FrameReader.
func (l listener) hear(received []byte) ([]byte, bool) {
	if n, ok := l.finder.find(received); ok {
		return received[:n], true
	}
	n, ok := l.finder.find(withoutParity(received))
	return received[:n], ok
}

// identified waits for an identification. A meter of mode A sends its data at once behind it, which
// then belongs to the same message.
type identified struct {
	mode string // forced, or modeAuto: as the identification says
	id   Identification
	data telegram
}

func (f *identified) find(plain []byte) (int, bool) {
	for from := 0; ; from++ {
		i := bytes.IndexByte(plain[from:], '/')
		if i < 0 {
			return 0, false
		}
		from += i
		end := bytes.Index(plain[from:], []byte("\r\n"))
		if end < 0 {
			return 0, false
		}
		id, err := DecodeIdentification(plain[from : from+end+2])
		if err != nil {
			continue // such as the sign-on, which an optical head hears too
		}
		f.id = id
		mode := f.mode
		if mode == modeAuto {
			mode, _ = id.handshake()
		}
		if mode != modeA {
			return from + end + 2, true
		}
		n, ok := f.data.find(plain[from+end+2:])
		return from + end + 2 + n, ok
	}
}

// telegram waits for a data message: STX, lines, ETX and the block check, or where plain are
// allowed, lines that end in an exclamation mark and nothing else.
type telegram struct {
	plain bool
	block Block
	err   error // why the complete message is none
}

func (f *telegram) find(plain []byte) (int, bool) {
	start := bytes.IndexAny(plain, "\x01\x02")
	if start < 0 {
		if f.plain {
			return f.findPlain(plain)
		}
		return 0, false
	}
	n, err := measureBlock(plain[start:])
	if errors.Is(err, errShort) {
		return 0, false
	}
	if err == nil {
		f.block, err = decodeBlock(plain[start : start+n])
	}
	f.err = err
	return start + n, true
}

// findPlain ends at an exclamation mark with its line end.
func (f *telegram) findPlain(plain []byte) (int, bool) {
	end := bytes.Index(plain, []byte("!\r\n"))
	if end < 0 {
		return 0, false
	}
	data := plain[:end+1]
	f.err = printable(data)
	f.block = Block{Data: bytes.Clone(data)}
	return end + 3, true
}

// answered waits for the answer to a command: a block, or NAK or ACK alone.
type answered struct {
	telegram
	refused bool
}

func (f *answered) find(plain []byte) (int, bool) {
	if n, ok := f.telegram.find(plain); ok {
		return n, true
	}
	if i := bytes.IndexByte(plain, nak); i >= 0 && !bytes.ContainsAny(plain, "\x01\x02") {
		f.refused = true
		return i + 1, true
	}
	return 0, false
}

// pushed waits for a telegram that a meter sends unasked, from its identification to its exclamation
// mark. checked demands the four hex digits of a CRC behind it. Of several the newest counts.
type pushed struct {
	checked bool
	id      Identification
	data    []byte
	err     error // why what looked complete is none
}

func (f *pushed) find(plain []byte) (int, bool) {
	used, complete := 0, false
	for {
		n, ok := f.next(plain[used:])
		if n == 0 {
			return used, complete
		}
		used += n
		complete = complete || ok
	}
}

// next takes one telegram off the front of plain, good or not; n is 0 when there is none.
func (f *pushed) next(plain []byte) (n int, ok bool) {
	start := bytes.IndexByte(plain, '/')
	if start < 0 {
		return 0, false
	}
	end := bytes.IndexByte(plain[start:], '!')
	if end < 0 {
		return 0, false
	}
	end += start + 1
	tail := bytes.Index(plain[end:], []byte("\r\n"))
	if tail < 0 {
		return 0, false
	}
	id, data, err := f.decode(plain[start:end], plain[end:end+tail])
	if err != nil {
		f.err = err
		return end + tail + 2, false
	}
	f.id, f.data, f.err = id, data, nil
	return end + tail + 2, true
}

func (f *pushed) decode(telegram, sum []byte) (id Identification, data []byte, err error) {
	// What broke off before counts as noise: a telegram starts at its last identification.
	if again := bytes.LastIndex(telegram, []byte("\n/")); again >= 0 {
		telegram = telegram[again+1:]
	}
	if err := checkSum(telegram, sum, f.checked); err != nil {
		return id, nil, err
	}
	first := bytes.Index(telegram, []byte("\r\n"))
	if first < 0 {
		return id, nil, fmt.Errorf("%w: the telegram has no lines", errDamaged)
	}
	if id, err = DecodeIdentification(telegram[:first+2]); err != nil {
		return id, nil, err
	}
	data = bytes.TrimLeft(telegram[first:], "\r\n")
	// Some meters of mode D frame their lines with STX and ETX like those of mode C.
	data = bytes.TrimLeft(data, "\x02")
	return id, bytes.Clone(data), printable(data)
}

func checkSum(telegram, sum []byte, demanded bool) error {
	if len(sum) == 0 && !demanded {
		return nil
	}
	if len(sum) == 0 {
		return fmt.Errorf("%w: it ends without a checksum, as DSMR telegrams before version 4 do; mode d takes those", errDamaged)
	}
	want, err := strconv.ParseUint(string(sum), 16, 16)
	if err != nil || len(sum) != 4 {
		return fmt.Errorf("%w: %q is no checksum", errDamaged, clip(sum))
	}
	if got := crc16(telegram); got != uint16(want) {
		return fmt.Errorf("%w: its checksum is %04X and should be %04X", errDamaged, want, got)
	}
	return nil
}
