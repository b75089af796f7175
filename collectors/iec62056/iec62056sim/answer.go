package iec62056sim

import (
	"bytes"
	"slices"
	"strings"
)

// answer does what the meter does upon a request.
func (l *Line) answer(q request) error {
	fault := l.current()
	switch q.kind {
	case signOn:
		return l.identify(q, fault)
	case acknowledge:
		return l.acknowledged(q, fault)
	case repeat:
		l.count(func(c *Counts) { c.Repeats++ })
		return l.send(l.last)
	case command:
		l.count(func(c *Counts) { c.Commands++ })
		return l.register(q, fault)
	case breakOff:
		l.count(func(c *Counts) { c.Breaks++ })
		l.change(l.options.Start)
	}
	return nil
}

func (l *Line) identify(q request, fault Fault) error {
	if q.device != "" && q.device != l.options.Device {
		l.count(func(c *Counts) { c.Foreign++ })
		return nil
	}
	l.count(func(c *Counts) { c.SignOns++ })
	l.change(l.options.Start)
	request := []byte("/?" + q.device + "!\r\n")
	switch fault {
	case Silence:
		return nil
	case EchoOnly:
		return l.say(request)
	case Echo:
		if err := l.say(request); err != nil {
			return err
		}
	case Garbage:
		if err := l.say([]byte("\x7E/!\r\n/\x00\x7E")); err != nil {
			return err
		}
	}
	l.pause(l.options.Delay)
	message := []byte(l.options.identification())
	switch l.options.Mode {
	case "a": // everything at once
		l.count(func(c *Counts) { c.Readouts++ })
		return l.say(append(message, l.spoil(block("", l.options.readout(l.options.Clock())))...))
	case "b":
		if err := l.say(message); err != nil {
			return err
		}
		l.pause(l.options.Delay)
		l.change(l.options.Rate)
		return l.readout()
	}
	return l.say(message)
}

func (l *Line) acknowledged(q request, fault Fault) error {
	if fault == Mute {
		return nil
	}
	if i := slices.Index([]byte("0123456"), q.baud); i >= 0 && fault != NoSwitch {
		l.change([]int{300, 600, 1200, 2400, 4800, 9600, 19200}[i])
	}
	l.pause(l.options.Delay)
	if q.mode == '1' {
		return l.send(block("P0", "("+Serial+")"))
	}
	return l.readout()
}

func (l *Line) readout() error {
	return l.send(block("", l.options.readout(l.options.Clock())))
}

// send sends a block, well or ill, and keeps it for a repetition.
func (l *Line) send(message []byte) error {
	l.last = message
	l.count(func(c *Counts) { c.Readouts++ })
	return l.say(l.spoil(message))
}

// spoil does to a message what the fault asks for.
func (l *Line) spoil(message []byte) []byte {
	message = bytes.Clone(message)
	n := len(message)
	switch l.current() {
	case BadCheck:
		message[n-1] ^= 0x04
		if l.options.Mode == "p1" { // before the line end
			message[n-1], message[n-3] = '\n', '0'+(message[n-3]+1)%10
		}
	case BadCheckOnce:
		if !l.damaged {
			message[n-1] ^= 0x04
		}
		l.damaged = true
	case Flipped:
		// Two bits of one digit, which parity does not see.
		if at := bytes.Index(message, []byte("*kWh")); at > 0 {
			message[at-1] ^= 0x03
		}
	case Short:
		return message[:n*2/3]
	case Garbage:
		return append([]byte{0x7E, 0x00, '!', '(', 0x7E}, message...)
	}
	return message
}

// register answers a command of programming mode.
func (l *Line) register(q request, fault Fault) error {
	if fault == Silence || fault == Mute {
		return nil
	}
	l.pause(l.options.Delay)
	if fault != Refuse && strings.HasPrefix(q.command, "R") {
		for _, r := range l.options.registers(l.options.Clock()) {
			if r.code == q.code {
				return l.send(block("", r.values))
			}
		}
	}
	return l.send(block("", "(ER03)"))
}
