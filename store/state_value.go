package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"sluice/gateway/message"
)

// The kinds of small values: the second byte of their keys.
const (
	smallSession      = 's'
	smallReceived     = 'i' // QoS 2, inbound; in the session's slot
	smallFlights      = 'o' // outbound; likewise
	smallSubscription = 'f'
	smallGroup        = 'g'
	smallOffsets      = 'q'
	smallTopic        = 't'
	smallRetained     = 'r'
	smallReplay       = 'p' // one value: how far the log is in the others
)

func smallKey(kind byte, slot uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixSmall, kind}, slot)
}

// carriedKey is where the message of a retained value's slot lies once the log has it no more.
func carriedKey(slot uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixCarried}, slot)
}

func sealSmall(key []byte, mark byte, body []byte) []byte {
	b := make([]byte, 0, 2+len(body)+4)
	return seal(key, append(append(b, formatVersion, mark), body...))
}

// unsealSmall gives the body of a value whose length its kind knows.
func unsealSmall(key, value []byte) (mark byte, body []byte, err error) {
	if len(value) < 2+4 {
		return 0, nil, fmt.Errorf("%w under key %q: %d bytes", errValue, key, len(value))
	}
	inner, sum := value[:len(value)-4], binary.BigEndian.Uint32(value[len(value)-4:])
	switch {
	case crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, inner) != sum:
		return 0, nil, fmt.Errorf("%w under key %q: checksum", errValue, key)
	case inner[0] != formatVersion:
		return 0, nil, fmt.Errorf("%w under key %q: format version %d is not known", errValue, key, inner[0])
	case inner[1] > absent:
		return 0, nil, fmt.Errorf("%w under key %q: mark %d", errValue, key, inner[1])
	}
	return inner[1], inner[2:], nil
}

// smallValue is one value as it was found.
type smallValue struct {
	kind, mark byte
	slot       uint32
	body       []byte
	broken     bool // absent, because it was damaged
}

type brokenValue struct{ key, value []byte }

// smallValue takes one value from the database, in the order of keys.
func (f *found) smallValue(key, value []byte) error {
	v, err := decodeSmall(key, value)
	if err != nil {
		f.smallBroken = append(f.smallBroken, brokenValue{key, append([]byte(nil), value...)})
		if len(key) == 6 { // its slot is taken all the same
			f.small = append(f.small, smallValue{kind: key[1], mark: absent, slot: binary.BigEndian.Uint32(key[2:]), broken: true})
		}
		return err
	}
	v.body = append([]byte(nil), v.body...)
	f.small = append(f.small, v)
	f.claim(v.claims())
	return nil
}

// decodeSmall checks a value of any kind.
func decodeSmall(key, value []byte) (v smallValue, err error) {
	if len(key) != 6 || key[0] != prefixSmall {
		return v, fmt.Errorf("%w: key %q is of no small value", errValue, key)
	}
	v.kind, v.slot = key[1], binary.BigEndian.Uint32(key[2:])
	if v.mark, v.body, err = unsealSmall(key, value); err != nil {
		return v, err
	}
	if err := checkSmall(v); err != nil {
		return v, fmt.Errorf("%w under key %q", err, key)
	}
	return v, nil
}

// claims is the last position of which a value says that it was durable.
func (v smallValue) claims() (at message.Position) {
	switch {
	case v.mark == absent:
	case v.kind == smallRetained:
		body, _ := decodeRetained(v.body)
		at = body.at
	case v.kind == smallReplay:
		at, _ = decodeReplay(v.body)
	}
	return at
}

// checkSmall decodes the body of a value.
func checkSmall(v smallValue) (err error) {
	if v.slot >= 1<<24 {
		return fmt.Errorf("%w: slot %d", errValue, v.slot)
	}
	if v.mark == absent {
		if len(v.body) > 0 {
			return fmt.Errorf("%w: nothing, and %d bytes of it", errValue, len(v.body))
		}
		return nil
	}
	switch v.kind {
	case smallSession:
		_, err = decodeSession(v.body)
	case smallReceived:
		_, err = decodeReceived(v.body)
	case smallFlights:
		_, err = decodeFlights(v.body)
	case smallSubscription:
		_, err = decodeSubscription(v.body)
	case smallGroup:
		_, err = decodeGroup(v.body)
	case smallOffsets:
		_, err = decodeOffsets(v.body)
	case smallTopic:
		_, err = decodeTopic(v.body)
	case smallRetained:
		_, err = decodeRetained(v.body)
	case smallReplay:
		_, err = decodeReplay(v.body)
	default:
		err = fmt.Errorf("%w: kind %q", errValue, v.kind)
	}
	return err
}

// end says whether a body was read to its end and nothing was missing.
func (in *input) end(what string) error {
	if in.short || len(in.rest) > 0 {
		return fmt.Errorf("%w: %s", errValue, what)
	}
	return nil
}

// count reads a number of things that take at least least bytes each.
func (in *input) count(least int) int {
	n := in.uvarint()
	if n > uint64(len(in.rest)/least) {
		in.rest, in.short = nil, true
		return 0
	}
	return int(n)
}

// time reads milliseconds that are not negative.
func (in *input) time() int64 {
	ms := in.uvarint()
	if ms >= 1<<53 {
		in.short = true
	}
	return int64(ms)
}

func (in *input) name() string {
	name := in.bytes()
	if len(name) == 0 || len(name) > maxName {
		in.short = true
	}
	return string(name)
}

func (in *input) settings(into any) {
	if text := in.bytes(); !in.short && json.Unmarshal(text, into) != nil {
		in.short = true
	}
}

func appendJSON(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("bug: settings that are not JSON: " + err.Error())
	}
	return appendText(b, string(text))
}

func appendPosition(b []byte, p message.Position) []byte { return binary.AppendUvarint(b, uint64(p)) }

func appendTime(b []byte, ms int64) []byte { return binary.AppendUvarint(b, uint64(max(0, ms))) }

func checkName(what, name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%s %q: a name has 1 to %d bytes", what, name, maxName)
	}
	return nil
}
