package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/goburrow/modbus"

	"sluice/collectors/bus"
)

// The request for what a device calls itself [MODBUS Application Protocol V1.1b3, 6.21].
const (
	encapsulated  = 0x2B
	readIdentity  = 0x0E
	basicIdentity = 1
	identityHead  = 7 // bytes before the objects: function, kind, code, conformity, more, next object, number of objects
	maxParts      = 4 // answers that a device may spread its identification over
)

// object is one thing that a device says of itself: 0 is its maker, 1 its product code, 2 its
// revision.
type object struct {
	id   byte
	text string
}

// identity is one answer to the request for it.
type identity struct {
	conformity byte
	more       bool // there are further objects, from next on
	next       byte
	objects    []object
}

var errIdentity = errors.New("the identification is damaged")

// decodeIdentity takes a whole PDU.
func decodeIdentity(pdu []byte) (identity, error) {
	size := identityBytes(pdu)
	if size == 0 || size != len(pdu) {
		return identity{}, errIdentity
	}
	out := identity{conformity: pdu[3], more: pdu[4] == 0xFF, next: pdu[5]}
	for rest := pdu[identityHead:]; len(rest) > 0; {
		end := 2 + int(rest[1])
		out.objects = append(out.objects, object{rest[0], string(rest[2:end])})
		rest = rest[end:]
	}
	return out, nil
}

// append writes the PDU that says it.
func (i identity) append(b []byte) []byte {
	more := byte(0)
	if i.more {
		more = 0xFF
	}
	b = append(b, encapsulated, readIdentity, basicIdentity, i.conformity, more, i.next, byte(len(i.objects)))
	for _, o := range i.objects {
		b = append(b, o.id, byte(len(o.text)))
		b = append(b, o.text...)
	}
	return b
}

// identityBytes tells how long the PDU is that b begins with; 0 when it is none, or not yet whole.
func identityBytes(b []byte) int {
	if len(b) < identityHead || b[0] != encapsulated || b[1] != readIdentity || b[2] != basicIdentity {
		return 0
	}
	size := identityHead
	for range b[6] {
		if len(b) < size+2 {
			return 0
		}
		size += 2 + int(b[size+1])
	}
	if len(b) < size {
		return 0
	}
	return size
}

// words puts what a device says of itself in one line, without what is not for people.
func words(objects []object) string {
	var parts []string
	for _, o := range objects {
		text := strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
				return -1
			}
			return r
		}, strings.ToValidUTF8(o.text, "")))
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " ")
}

// identify asks for maker, product and revision; none for a unit that does not say. An error means
// that there is no use in asking on.
func (l *link) identify(ctx context.Context) ([]object, error) {
	var all []object
	for next, part := byte(0), 0; part < maxParts; part++ {
		said, err := l.identityFrom(ctx, next)
		if err != nil || said == nil {
			return all, err
		}
		all = append(all, said.objects...)
		if !said.more || said.next <= next {
			break
		}
		next = said.next
	}
	return all, nil
}

func (l *link) identityFrom(ctx context.Context, first byte) (*identity, error) {
	if err := l.take(ctx, false); err != nil {
		return nil, err
	}
	defer l.release()
	request, err := l.Encode(&modbus.ProtocolDataUnit{FunctionCode: encapsulated, Data: []byte{readIdentity, basicIdentity, first}})
	if err != nil {
		return nil, err
	}
	frame, err := l.turn.Exchange(ctx, bus.Request{
		Frame: request, Timeout: l.timeout, Matched: l.matched(), Late: -1, Quiet: true, Protocol: protocols[l.target.dialect],
		Answer: func(received []byte) ([]byte, bool) { return l.findIdentity(request, received) },
	})
	_, silent := errors.AsType[*bus.NoReplyError](err)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case silent || errors.Is(err, bus.ErrHungUp): // some hang up on what they do not know
		return nil, nil
	case err != nil:
		return nil, err
	}
	pdu := l.identityPDU(frame)
	if len(pdu) > 1 && pdu[0]&0x80 != 0 {
		l.wire.refused(pdu[1], "it does not tell what it is")
		return nil, nil
	}
	said, err := decodeIdentity(pdu)
	if err != nil {
		l.turn.Verdict(bus.Garbled, err.Error())
		return nil, nil
	}
	return &said, nil
}

// findIdentity looks for the answer in what came, as framer.find does for answers whose length is
// known beforehand.
func (l *link) findIdentity(request, received []byte) ([]byte, bool) {
	unit, _ := l.question(request)
	switch l.target.dialect {
	case overRTU:
		return findRTUIdentity(unit, received)
	case overASCII:
		for {
			line, rest, found := asciiLine(received)
			if !found {
				return nil, false
			}
			if body, err := asciiBody(nil, line); err == nil && body[0] == unit && body[1]&0x7F == encapsulated {
				return line, true
			}
			received = rest
		}
	}
	rest := skipFrames(request, received)
	if !isHeader(rest) || binary.BigEndian.Uint16(rest) != binary.BigEndian.Uint16(request) {
		return nil, false
	}
	end := frameEnd(rest)
	return rest[:min(end, len(rest))], len(rest) >= end
}

// findRTUIdentity tries every offset, since there may be noise before the answer.
func findRTUIdentity(unit byte, received []byte) ([]byte, bool) {
	for rest := received; len(rest) >= rtuOverhead+2; rest = rest[1:] {
		if rest[0] != unit || rest[1]&0x7F != encapsulated {
			continue
		}
		size := rtuOverhead + 2 // an exception
		if rest[1] == encapsulated {
			size = rtuOverhead + identityBytes(rest[1:])
		}
		if size > rtuOverhead && len(rest) >= size && isSumRight(rest[:size]) {
			return rest[:size], true
		}
	}
	return nil, false
}

// identityPDU unwraps what findIdentity found.
func (l *link) identityPDU(frame []byte) []byte {
	switch l.target.dialect {
	case overRTU:
		return inner(frame)
	case overASCII:
		if body, err := asciiBody(nil, frame); err == nil {
			return slices.Clone(body[1:])
		}
		return nil
	}
	return frame[min(headerBytes, len(frame)):]
}

// plainWord keeps letters and digits, so that "SDM-630 V2" and "sdm630" have something in common.
func plainWord(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return -1
	}, s)
}

// named says whether a device that calls itself so is one of the model's: it names its maker and one
// of the products, or a product with so long a name that there is no other.
func (m *Model) named(called string) bool {
	plain, makes := plainWord(called), m.makes(called)
	return slices.ContainsFunc(m.Products, func(product string) bool {
		p := plainWord(product)
		return p != "" && strings.Contains(plain, p) && (makes || len(p) >= longName)
	})
}

const longName = 6

// makes says whether the maker's name is among the words that a device calls itself.
func (m *Model) makes(called string) bool {
	separates := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	name := strings.FieldsFunc(m.Maker, separates)
	return len(name) > 0 && slices.ContainsFunc(strings.FieldsFunc(called, separates), func(word string) bool {
		return strings.EqualFold(word, name[0])
	})
}
