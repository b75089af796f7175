package sml

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// The messages that matter here, by their tags.
const (
	openRequest       = 0x0100
	closeRequest      = 0x0200
	listRequest       = 0x0700
	listResponse      = 0x0701
	attentionResponse = 0xFF01
)

// Telegram is what a meter tells in one go.
type Telegram struct {
	Server  []byte // the meter's id
	Entries []Entry
}

// ServerID gives the meter's id as hex digits.
func (t Telegram) ServerID() string { return strings.ToUpper(hex.EncodeToString(t.Server)) }

// Entry is one value of a list, as sent.
type Entry struct {
	Code   Code
	Unit   byte // DLMS code; 0: none
	Scaler int8
	value  element
}

// Checks are the checksums of a meter: of the whole telegram and of each message in it.
type Checks struct{ Frame, Message Check }

// DecodeTelegram takes exactly one telegram. It gives which checksums were used; of these allowed
// says which are right.
func DecodeTelegram(b []byte, allowed Checks) (t Telegram, used Checks, err error) {
	content, frame, err := DecodeFrame(b, allowed.Frame)
	if err != nil {
		return Telegram{}, Checks{}, err
	}
	t, message, err := decodeMessages(content, nil, allowed.Message)
	return t, Checks{frame, message}, err
}

// attentionError is a meter's refusal.
type attentionError struct{ number, text string }

func (e *attentionError) Error() string {
	if e.text != "" {
		return fmt.Sprintf("the meter refused: %s (attention %s)", e.text, e.number)
	}
	return fmt.Sprintf("the meter refused (attention %s)", e.number)
}

// decodeMessages gives the list of values among the messages. With a transaction only an answer to
// that one counts.
func decodeMessages(content, transaction []byte, allowed Check) (t Telegram, used Check, err error) {
	d := decoder{b: content, left: maxElements}
	found, used := false, allowed
	for len(d.b) > 0 {
		if d.b[0] == 0 { // a message's end mark too many: some meters pad with them
			d.b = d.b[1:]
			continue
		}
		m, check, err := d.envelope(used)
		if err != nil {
			return Telegram{}, Unknown, err
		}
		used = check
		switch {
		case len(transaction) > 0 && !bytes.HasPrefix(m.transaction, transaction):
		case m.tag == attentionResponse:
			return Telegram{}, used, attention(m.body)
		case m.tag == listResponse:
			if err := t.add(m.body); err != nil {
				return Telegram{}, used, err
			}
			found = true
		}
	}
	if !found {
		return Telegram{}, used, errNoList
	}
	return t, used, nil
}

var errNoList = fmt.Errorf("%w: it holds no list of values", errDamaged)

// envelope is one message with its frame taken off.
type envelope struct {
	transaction []byte
	tag         uint64
	body        element
}

// envelope takes one message, with its checksum and end mark.
func (d *decoder) envelope(allowed Check) (m envelope, used Check, err error) {
	whole := d.b
	k, n, err := d.head()
	if err != nil {
		return m, Unknown, err
	}
	if k != list || n != 6 {
		return m, Unknown, fmt.Errorf("%w: where a message should be is something else", errDamaged)
	}
	var items [6]element // transaction, group, abort on error, body, checksum, end mark
	for i := range 4 {
		if items[i], err = d.element(1); err != nil {
			return m, Unknown, err
		}
	}
	checked := whole[:len(whole)-len(d.b)]
	if items[4], err = d.element(1); err != nil {
		return m, Unknown, err
	}
	sent, ok := items[4].uint()
	used, right := allowed.matches(checked, uint16(sent))
	if !ok || sent > 0xFFFF || !right {
		return m, Unknown, fmt.Errorf("%w: the checksum of a message is wrong", errDamaged)
	}
	if len(d.b) == 0 || d.b[0] != 0 {
		return m, Unknown, fmt.Errorf("%w: a message does not end where it should", errDamaged)
	}
	d.b = d.b[1:]
	body := items[3]
	if body.kind != list || len(body.items) != 2 {
		return m, Unknown, fmt.Errorf("%w: a message without a body", errDamaged)
	}
	if m.tag, ok = body.items[0].uint(); !ok {
		return m, Unknown, fmt.Errorf("%w: a message without a tag", errDamaged)
	}
	m.transaction, m.body = items[0].bytes, body.items[1]
	return m, used, nil
}

// add takes the entries of a list response: client, server, name, time, values, signature, time.
func (t *Telegram) add(body element) error {
	if body.kind != list || len(body.items) != 7 || body.items[4].kind != list && !body.items[4].absent() {
		return fmt.Errorf("%w: a list of values has %d parts, not 7", errDamaged, len(body.items))
	}
	t.Server = bytes.Clone(body.items[1].bytes)
	for _, item := range body.items[4].items {
		e, err := decodeEntry(item)
		if err != nil {
			return err
		}
		t.Entries = append(t.Entries, e)
	}
	return nil
}

// decodeEntry takes one entry: name, status, time, unit, scaler, value, signature. The time is not
// looked at; some meters have it in forms of their own.
func decodeEntry(item element) (Entry, error) {
	if item.kind != list || len(item.items) != 7 {
		return Entry{}, fmt.Errorf("%w: an entry has %d parts, not 7", errDamaged, len(item.items))
	}
	name, unit, scaler := item.items[0], item.items[3], item.items[4]
	e := Entry{value: item.items[5]}
	if name.kind != octets || len(name.bytes) != len(e.Code.obis) {
		return Entry{}, fmt.Errorf("%w: an entry's name has %d bytes, not 6", errDamaged, len(name.bytes))
	}
	copy(e.Code.obis[:], name.bytes)
	if n, ok := unit.uint(); ok && n <= 0xFF {
		e.Unit = byte(n)
	} else if !unit.absent() {
		return Entry{}, fmt.Errorf("%w: the unit of %s is none", errDamaged, e.Code)
	}
	if n, ok := scaler.int(); ok && n == int64(int8(n)) {
		e.Scaler = int8(n)
	} else if !scaler.absent() {
		return Entry{}, fmt.Errorf("%w: the scaler of %s is none", errDamaged, e.Code)
	}
	return e, nil
}

func attention(body element) error {
	e := &attentionError{number: "without a number"}
	if len(body.items) > 1 {
		e.number = strings.ToUpper(hex.EncodeToString(body.items[1].bytes))
	}
	if len(body.items) > 2 {
		e.text = plainText(body.items[2].bytes)
	}
	return e
}

// request asks a meter for its list of values: open, list, close.
func request(transaction, client, server, listName []byte) []byte {
	name := func(n byte) element { return octetsOf(append(bytes.Clone(transaction), n)) }
	none := octetsOf(nil)
	content := appendMessage(nil, name(0), openRequest,
		listOf(none, octetsOf(client), octetsOf(transaction), octetsOf(server), none, none, none))
	content = appendMessage(content, name(1), listRequest,
		listOf(octetsOf(client), octetsOf(server), none, none, octetsOf(listName)))
	content = appendMessage(content, name(2), closeRequest, listOf(none))
	return appendFrame(nil, content)
}

func appendMessage(b []byte, transaction element, tag uint16, body element) []byte {
	from := len(b)
	b = append(b, byte(list)<<4|6)
	for _, part := range []element{transaction, uint8Of(0), uint8Of(0), listOf(uint16Of(tag), body)} {
		b = part.append(b)
	}
	b = uint16Of(X25.of(b[from:])).append(b)
	return append(b, 0)
}
