package iec62056sim

import (
	"bytes"
	"fmt"
	"math/bits"
	"os"

	"golang.org/x/sys/unix"
)

// The simulator has a codec of its own, so that a mistake in the driver's does not agree with
// itself.

// block frames data as the meter sends it, with its check.
func block(command, data string) []byte {
	body := "\x02" + data + "\x03"
	if command != "" {
		body = "\x01" + command + body
	}
	sum := byte(0)
	for _, c := range []byte(body[1:]) {
		sum ^= c
	}
	return append([]byte(body), sum)
}

// telegram frames what a DSMR meter pushes, with its CRC.
func telegram(body string) []byte {
	crc := uint(0)
	for _, c := range []byte(body) {
		for bit := range 8 { // bit by bit, low one first
			in := uint(c) >> bit & 1
			if (crc^in)&1 != 0 {
				crc = crc>>1 ^ 0xA001
			} else {
				crc >>= 1
			}
		}
	}
	return fmt.Appendf([]byte(body), "%04X\r\n", crc)
}

// request is what the gateway sent.
type request struct {
	kind    kind
	device  string // of a sign-on
	baud    byte   // of an acknowledgement
	mode    byte
	command string
	code    string
}

type kind byte

const (
	signOn kind = iota
	acknowledge
	repeat
	command
	breakOff
)

// next takes the first whole request from b. damaged counts the bytes that belonged to none.
func next(b []byte) (q request, rest []byte, damaged int, ok bool) {
	for len(b) > 0 {
		switch b[0] {
		case 0: // wakes up
			b = b[1:]
			continue
		case '/', 0x06:
			end := bytes.Index(b, []byte("\r\n"))
			if end < 0 {
				return request{}, b, damaged, false
			}
			if q, ok = line(string(b[:end])); ok {
				return q, b[end+2:], damaged, true
			}
		case 0x15:
			return request{kind: repeat}, b[1:], damaged, true
		case 0x01:
			end := bytes.IndexByte(b, 0x03)
			if end < 0 || end+1 == len(b) {
				return request{}, b, damaged, false
			}
			if q, ok = programming(string(b[:end+2])); ok {
				return q, b[end+2:], damaged, true
			}
		}
		b = b[1:]
		damaged++
	}
	return request{}, nil, damaged, false
}

func line(text string) (request, bool) {
	if len(text) >= 3 && text[:2] == "/?" && text[len(text)-1] == '!' {
		return request{kind: signOn, device: text[2 : len(text)-1]}, true
	}
	if len(text) == 4 && text[1] == '0' {
		return request{kind: acknowledge, baud: text[2], mode: text[3]}, true
	}
	return request{}, false
}

func programming(text string) (request, bool) {
	if string(block(text[1:3], between(text, "\x02", "\x03"))) == text {
		return request{kind: command, command: text[1:3], code: between(text, "\x02", "(")}, true
	}
	return request{kind: breakOff}, text == "\x01B0\x03q"
}

func between(text, from, to string) string {
	_, after, _ := bytes.Cut([]byte(text), []byte(from))
	inside, _, _ := bytes.Cut(after, []byte(to))
	return string(inside)
}

// even puts the parity bit into every character.
func even(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if bits.OnesCount8(c)%2 == 1 {
			out[i] |= 0x80
		}
	}
	return out
}

// seven takes it off again; a wrong one makes the character unreadable.
func seven(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if out[i] &= 0x7F; bits.OnesCount8(c)%2 == 1 {
			out[i] = 0x7F
		}
	}
	return out
}

// speed asks the terminal which rate its user has set, which on a wire one would have to guess.
func speed(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	settings, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return 0, err
	}
	names := map[uint32]int{
		unix.B300: 300, unix.B600: 600, unix.B1200: 1200, unix.B2400: 2400, unix.B4800: 4800, unix.B9600: 9600,
		unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200,
	}
	return names[settings.Cflag&unix.CBAUD], nil
}
