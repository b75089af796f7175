package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"sluice/gateway/message"
)

// The first byte of a key says what it is; FORMAT.md draws them all.
const (
	prefixBlock   = 'b'
	prefixHeader  = 'h'
	prefixCursor  = 'c'
	prefixDevice  = 'd'
	prefixGap     = 'g'
	prefixState   = 'm'
	prefixFiller  = 'f'
	prefixRun     = 'p'
	prefixPage    = 'k'
	prefixSmall   = 's' // then a kind: see state_value.go
	prefixCarried = 'r'
	prefixWAL     = 'j'
	prefixQueue   = 'q'
	prefixOffset  = 'o'
	prefixIntent  = 'x'
)

// maxName bounds the names of cursors and devices: a transaction of the tiny LSM holds about 9 KiB.
const maxName = 256

const formatVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errValue = errors.New("damaged value")

var (
	stateKey = []byte{prefixState}
	walKey   = []byte{prefixWAL} // number of the last record of the write-ahead log that is in here
)

func blockKey(last message.Position) []byte  { return positionKey(prefixBlock, last) }
func headerKey(last message.Position) []byte { return positionKey(prefixHeader, last) }
func gapKey(first message.Position) []byte   { return positionKey(prefixGap, first) }
func cursorKey(name string) []byte           { return append([]byte{prefixCursor}, name...) }
func deviceKey(name string) []byte           { return append([]byte{prefixDevice}, name...) }

func positionKey(prefix byte, p message.Position) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, uint64(p))
}

// positionOf reads the position out of a key that positionKey made.
func positionOf(key []byte) (message.Position, bool) {
	if len(key) != 9 {
		return 0, false
	}
	return message.Position(binary.BigEndian.Uint64(key[1:])), true
}

// seal closes a small value with a checksum over key and value, so that neither a flipped bit nor
// a value under the wrong key is believed.
func seal(key, value []byte) []byte {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
	return binary.BigEndian.AppendUint32(value, sum)
}

// unseal gives the words of a small value that seal closed: version, one flag byte, then n words.
func unseal(key, value []byte, words int) (flag byte, fields []uint64, err error) {
	if want := 2 + 8*words + 4; len(value) != want {
		return 0, nil, fmt.Errorf("%w under key %q: %d bytes, want %d", errValue, key, len(value), want)
	}
	body, sum := value[:len(value)-4], binary.BigEndian.Uint32(value[len(value)-4:])
	if crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body) != sum {
		return 0, nil, fmt.Errorf("%w under key %q: checksum", errValue, key)
	}
	if body[0] != formatVersion {
		return 0, nil, fmt.Errorf("%w under key %q: format version %d is not known", errValue, key, body[0])
	}
	fields = make([]uint64, words)
	for i := range fields {
		fields[i] = binary.BigEndian.Uint64(body[2+8*i:])
	}
	return body[1], fields, nil
}

func sealWords(key []byte, flag byte, fields ...uint64) []byte {
	b := make([]byte, 0, 2+8*len(fields)+4)
	b = append(b, formatVersion, flag)
	for _, f := range fields {
		b = binary.BigEndian.AppendUint64(b, f)
	}
	return seal(key, b)
}

// header is what memory knows about a block: everything but its payload.
type header struct {
	first message.Position
	count uint32
	bytes uint32 // of the block as it is stored
	time  int64  // Message.Time of the first message
	clock int64  // the log clock at the commit, see FORMAT.md
}

func (h header) last() message.Position { return h.first + message.Position(h.count) - 1 }

func (h header) value(key []byte) []byte {
	return sealWords(key, 0, uint64(h.first), uint64(h.count)<<32|uint64(h.bytes), uint64(h.time), uint64(h.clock))
}

func decodeHeader(key, value []byte) (header, error) {
	_, f, err := unseal(key, value, 4)
	if err != nil {
		return header{}, err
	}
	h := header{first: message.Position(f[0]), count: uint32(f[1] >> 32), bytes: uint32(f[1]), time: int64(f[2]), clock: int64(f[3])}
	last, ok := positionOf(key)
	if !ok || h.first == 0 || h.count == 0 || h.last() < h.first || h.last() != last {
		return header{}, fmt.Errorf("%w: header under key %q speaks of %d and %d behind it", errValue, key, h.first, h.count)
	}
	return h, nil
}

// state is what the log as a whole remembers.
type state struct {
	epoch   uint64
	head    message.Position // the first position that is not trimmed
	tail    message.Position // the last position known when this was written: a lower bound
	clock   int64            // the log clock when this was written: a lower bound
	dropped uint64           // messages taken from cursors that had not passed them
}

func (s state) value() []byte {
	return sealWords(stateKey, 0, s.epoch, uint64(s.head), uint64(s.tail), uint64(s.clock), s.dropped)
}

func decodeState(value []byte) (state, error) {
	_, f, err := unseal(stateKey, value, 5)
	if err != nil {
		return state{}, err
	}
	return state{f[0], message.Position(f[1]), message.Position(f[2]), int64(f[3]), f[4]}, nil
}

// A name that was dropped keeps its key, with the absent mark: Badger may bring a deleted key back.
const (
	present = 0
	absent  = 1
)

// cursorMark is what the log remembers of a cursor.
type cursorMark struct {
	at   message.Position
	used int64 // the log clock when somebody last used it
	idle int64 // milliseconds without use after which it expires; 0: never
	done []Range
}

// last is the last position that it speaks of.
func (c cursorMark) last() message.Position {
	if n := len(c.done); n > 0 {
		return c.done[n-1].Last
	}
	return c.at
}

func (c cursorMark) value(key []byte, mark byte) []byte {
	words := [3 + 2*maxRanges]uint64{uint64(c.at), uint64(c.used), uint64(c.idle)}
	n := 3
	for _, r := range c.done {
		words[n], words[n+1] = uint64(r.First), uint64(r.Last)
		n += 2
	}
	return sealWords(key, mark, words[:n]...)
}

func decodeCursor(key, value []byte) (c cursorMark, mark byte, err error) {
	if len(value) == 2+8+4 { // as logs have it whose cursors could not expire
		mark, f, err := unseal(key, value, 1)
		if err != nil {
			return c, 0, err
		}
		return cursorMark{at: message.Position(f[0])}, mark, nil
	}
	ranges := min(max(0, len(value)-(2+3*8+4))/16, maxRanges)
	mark, f, err := unseal(key, value, 3+2*ranges)
	if err != nil {
		return c, 0, err
	}
	c = cursorMark{at: message.Position(f[0]), used: int64(f[1]), idle: int64(f[2])}
	for f = f[3:]; len(f) > 0; f = f[2:] {
		c.done = append(c.done, Range{message.Position(f[0]), message.Position(f[1])})
	}
	if !soundRanges(c.at, c.done) {
		return cursorMark{}, 0, fmt.Errorf("%w under key %q: a cursor at %d with done ranges %v", errValue, key, c.at, c.done)
	}
	if c.used < 0 || c.idle < 0 {
		return cursorMark{}, 0, fmt.Errorf("%w under key %q: a cursor with a negative time", errValue, key)
	}
	return c, mark, nil
}

// deviceMark is a device's last reading: its sequence number and where it stands in the log.
type deviceMark struct {
	seq uint64
	at  message.Position
}

func (d deviceMark) value(key []byte) []byte { return sealWords(key, present, d.seq, uint64(d.at)) }

func decodeDevice(key, value []byte) (deviceMark, error) {
	_, f, err := unseal(key, value, 2)
	if err != nil {
		return deviceMark{}, err
	}
	return deviceMark{f[0], message.Position(f[1])}, nil
}

// hole is a span of positions that the log once gave out and cannot serve: damaged or lost blocks.
type hole struct{ first, last message.Position }

func (h hole) value() []byte { return sealWords(gapKey(h.first), present, uint64(h.last)) }

func decodeHole(key, value []byte) (hole, error) {
	_, f, err := unseal(key, value, 1)
	if err != nil {
		return hole{}, err
	}
	first, ok := positionOf(key)
	if !ok || message.Position(f[0]) < first {
		return hole{}, fmt.Errorf("%w under key %q: a hole ends before it starts", errValue, key)
	}
	return hole{first, message.Position(f[0])}, nil
}
