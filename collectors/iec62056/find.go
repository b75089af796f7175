package iec62056

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// Found is a meter that identified itself.
type Found struct {
	Identification Identification
	Mode           string // a, b or c
	Baud           int    // of the sign-on
	Parity         string // as the option of that name
	Raw            []byte
}

// Find signs on at each rate, or without any at 300 and 9600 baud, and gives who answers. Two meters
// on one line answer at the same time, which spoils both answers: those must be asked by their
// device addresses. A serial port is tried with parity of its own and with that of the gateway.
func Find(ctx context.Context, c *bus.Client, device string, rates ...int) ([]Found, error) {
	if len(rates) == 0 {
		rates = []int{300, 9600}
	}
	var found []Found
	for _, rate := range rates {
		for _, parity := range []string{parityPort, paritySoftware} {
			meter, ok, err := findAt(ctx, c, device, rate, parity)
			if err != nil {
				return found, err
			}
			if ok {
				found = append(found, meter)
				break
			}
		}
	}
	return found, nil
}

func findAt(ctx context.Context, c *bus.Client, device string, rate int, parity string) (Found, bool, error) {
	turn, err := c.Take(ctx, false)
	if err != nil {
		return Found{}, false, err
	}
	defer turn.Release()
	o := &Options{Device: device, Baud: rate, Parity: parity, Timeout: defaultTimeout}
	f := &identified{mode: modeC} // whatever it is: the data is of no interest
	message := signOn(device, 0)
	if parity == paritySoftware {
		message = withParity(message)
	}
	raw, err := turn.Exchange(ctx, bus.Request{
		Frame: message, Timeout: o.Timeout, Gap: time.Second, Answer: listener{f}.hear,
		Character: o.character(rate), Protocol: protocol, Quiet: true,
	})
	if _, silent := errors.AsType[*bus.NoReplyError](err); silent && ctx.Err() == nil {
		return Found{}, false, nil
	}
	if err != nil {
		return Found{}, false, err
	}
	mode, _ := f.id.handshake()
	return Found{Identification: f.id, Mode: mode, Baud: rate, Parity: parity, Raw: raw}, true, nil
}

// Dissect says in one line what a message is, for the bus monitor.
func Dissect(dir bus.Direction, frame []byte) (summary string, ok bool) {
	if summary, ok = dissect(dir, frame); ok {
		return summary, true
	}
	return dissect(dir, withoutParity(frame))
}

func dissect(dir bus.Direction, b []byte) (string, bool) {
	if dir == bus.Out {
		return dissectRequest(b)
	}
	if len(b) == 1 && b[0] == nak {
		return "not understood (NAK)", true
	}
	f := &identified{mode: modeC}
	if n, ok := f.find(b); ok && n == len(b) {
		mode, rate := f.id.handshake()
		if rate == 0 {
			return fmt.Sprintf("meter %s, mode %s", f.id, mode), true
		}
		return fmt.Sprintf("meter %s, mode %s, offers %d baud", f.id, mode, rate), true
	}
	if p := (&pushed{}); listenTo(p, b) {
		return digest("telegram of "+p.id.String(), p.data), true
	}
	t := &telegram{plain: true}
	if n, ok := t.find(b); !ok || n != len(b) {
		return "", false
	}
	switch {
	case t.err != nil:
		return t.err.Error(), true
	case t.block.Command != "":
		return fmt.Sprintf("%s %s", t.block.Command, t.block.Data), true
	}
	return digest("readout", t.block.Data), true
}

func listenTo(p *pushed, b []byte) bool {
	n, ok := p.find(b)
	return ok && n == len(b)
}

func digest(what string, data []byte) string {
	items, err := ParseReadout(data)
	if err != nil {
		return what + ": " + err.Error()
	}
	if len(items) == 1 {
		return fmt.Sprintf("%s: %s(%s)", what, items[0].Code, items[0].Values[0])
	}
	return fmt.Sprintf("%s of %d registers", what, len(items))
}

func dissectRequest(b []byte) (string, bool) {
	device, isSignOn := signedOn(b)
	switch {
	case isSignOn && device == "":
		return "sign-on to any meter", true
	case isSignOn:
		return "sign-on to meter " + device, true
	case len(b) == 1 && b[0] == nak:
		return "repeat the last message (NAK)", true
	case len(b) == 6 && b[0] == ack && b[4] == '\r' && b[5] == '\n' && b[2] >= '0' && b[2] <= '6':
		purpose := map[byte]string{'0': "readout", '1': "programming mode"}[b[3]]
		if purpose == "" {
			purpose = fmt.Sprintf("mode %q", b[3])
		}
		return fmt.Sprintf("acknowledged: %s at %d baud", purpose, rates[b[2]-'0']), true
	}
	k, err := DecodeBlock(b)
	switch {
	case err != nil:
		return "", false
	case k.Command == breakOff.Command:
		return "break", true
	}
	return fmt.Sprintf("%s %s", k.Command, k.Data), true
}

// signedOn takes the device address out of a sign-on.
func signedOn(b []byte) (device string, ok bool) {
	b = bytes.TrimLeft(b, "\x00") // wakes the meter up
	n := len(b)
	if n < 5 || string(b[:2]) != "/?" || string(b[n-3:]) != "!\r\n" {
		return "", false
	}
	device = string(b[2 : n-3])
	return device, deviceAddress(device) == nil
}
