package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"

	"sluice/gateway/message"
)

// A block as it is stored; all numbers are big-endian:
//
//	version 1 | codec 1 | chunks 2 | first position 8 | messages 4 | base time 8
//	per chunk: plain bytes 4 | stored bytes 4 | messages 4
//	the chunks, each compressed on its own
//	CRC32C of everything before it 4
const (
	blockHead = 24
	chunkHead = 12
	blockTail = 4
	codecS2   = 1

	// maxPlain bounds the plain bytes of a block that holds a single message; with more it is
	// blockPayload.
	maxPlain = largestFile / 4
	// leastRecord is the size of the smallest record: flags, time, topic and payload length.
	leastRecord = 4
)

const (
	flagQoS        = 0x03
	flagRetain     = 0x04
	flagDevice     = 0x08
	flagProperties = 0x10
	flagQueue      = 0x20
)

var errBlock = errors.New("damaged block")

// chunk is a run of whole records within a block's plain bytes; it ends at end.
type chunk struct {
	end     int
	records uint32
}

// recordBound is an upper bound of what appendRecord adds for m.
func recordBound(m *message.Message) int {
	n := 1 + 10 + queueBound + 5 + len(m.Topic) + 5 + len(m.Payload)
	if m.Device != "" {
		n += 5 + len(m.Device) + 10
	}
	if len(m.Properties) > 0 {
		n += 5
		for i := range m.Properties {
			n += 10 + len(m.Properties[i].Name) + len(m.Properties[i].Value)
		}
	}
	return n
}

// appendRecord writes one message. Times are differences to the message before, which are small
// and compress well; the first of a chunk counts from the block's base time.
func appendRecord(b []byte, m *message.Message, before int64, at queueRef) []byte {
	flags := m.QoS & flagQoS
	if m.Retain {
		flags |= flagRetain
	}
	if m.Device != "" {
		flags |= flagDevice
	}
	if len(m.Properties) > 0 {
		flags |= flagProperties
	}
	if at.queue != message.NoQueue {
		flags |= flagQueue
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, m.Time-before)
	b = at.append(b)
	b = appendText(b, m.Topic)
	if m.Device != "" {
		b = appendText(b, m.Device)
		b = binary.AppendUvarint(b, m.Seq)
	}
	if len(m.Properties) > 0 {
		b = binary.AppendUvarint(b, uint64(len(m.Properties)))
		for i := range m.Properties {
			b = appendText(b, m.Properties[i].Name)
			b = appendText(b, m.Properties[i].Value)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(m.Payload)))
	return append(b, m.Payload...)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendBlock writes plain, which chunks divides, as a block that starts at first.
func appendBlock(b, plain []byte, chunks []chunk, first message.Position, base int64) []byte {
	start := len(b)
	b = append(b, formatVersion, codecS2)
	b = binary.BigEndian.AppendUint16(b, uint16(len(chunks)))
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	countAt := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(base))
	table := len(b)
	b = append(b, make([]byte, chunkHead*len(chunks))...)

	var count uint32
	begin := 0
	for i, c := range chunks {
		room := s2.MaxEncodedLen(c.end - begin)
		if cap(b)-len(b) < room {
			b = append(make([]byte, 0, len(b)+room+len(plain)-begin), b...)
		}
		stored := len(s2.Encode(b[len(b):len(b)+room], plain[begin:c.end]))
		b = b[:len(b)+stored]
		entry := b[table+i*chunkHead:]
		binary.BigEndian.PutUint32(entry, uint32(c.end-begin))
		binary.BigEndian.PutUint32(entry[4:], uint32(stored))
		binary.BigEndian.PutUint32(entry[8:], c.records)
		count += c.records
		begin = c.end
	}
	binary.BigEndian.PutUint32(b[countAt:], count)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// decodeBlock gives the records of a block. They share memory that belongs to nobody else.
func decodeBlock(value []byte) ([]message.Record, error) {
	if len(value) < blockHead+blockTail {
		return nil, fmt.Errorf("%w: only %d bytes", errBlock, len(value))
	}
	body, sum := value[:len(value)-blockTail], binary.BigEndian.Uint32(value[len(value)-blockTail:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, fmt.Errorf("%w: checksum", errBlock)
	}
	if body[0] != formatVersion || body[1] != codecS2 {
		return nil, fmt.Errorf("%w: version %d with codec %d is not known", errBlock, body[0], body[1])
	}
	chunks := int(binary.BigEndian.Uint16(body[2:]))
	first := message.Position(binary.BigEndian.Uint64(body[4:]))
	count := uint64(binary.BigEndian.Uint32(body[12:]))
	base := int64(binary.BigEndian.Uint64(body[16:]))
	if len(body) < blockHead+chunks*chunkHead {
		return nil, fmt.Errorf("%w: %d chunks do not fit in %d bytes", errBlock, chunks, len(body))
	}
	table, data := body[blockHead:blockHead+chunks*chunkHead], body[blockHead+chunks*chunkHead:]

	// A checksum is no promise of sense: nothing is allocated that a block of ours would not need.
	var plainBytes, records uint64
	for t := table; len(t) > 0; t = t[chunkHead:] {
		size, in := uint64(binary.BigEndian.Uint32(t)), uint64(binary.BigEndian.Uint32(t[8:]))
		if size > chunkPayload && in != 1 {
			return nil, fmt.Errorf("%w: a chunk of %d bytes with %d messages", errBlock, size, in)
		}
		plainBytes += size
		records += in
	}
	if plainBytes > maxPlain || plainBytes > blockPayload && count != 1 || records != count || count == 0 || count > plainBytes/leastRecord || first == 0 || first+message.Position(count) < first {
		return nil, fmt.Errorf("%w: %d messages from %d, %d in chunks of %d plain bytes", errBlock, count, first, records, plainBytes)
	}

	plain := make([]byte, plainBytes)
	decoder := recordDecoder{next: first, base: base, records: make([]message.Record, 0, count)}
	for ; len(table) > 0; table = table[chunkHead:] {
		size, stored := uint64(binary.BigEndian.Uint32(table)), uint64(binary.BigEndian.Uint32(table[4:]))
		if stored > uint64(len(data)) {
			return nil, fmt.Errorf("%w: a chunk of %d bytes with %d left", errBlock, stored, len(data))
		}
		if n, err := s2.DecodedLen(data[:stored]); err != nil || uint64(n) != size {
			return nil, fmt.Errorf("%w: a chunk does not hold the %d bytes that it claims", errBlock, size)
		}
		if _, err := s2.Decode(plain[:size:size], data[:stored]); err != nil {
			return nil, fmt.Errorf("%w: %v", errBlock, err)
		}
		if err := decoder.chunk(plain[:size:size], binary.BigEndian.Uint32(table[8:])); err != nil {
			return nil, err
		}
		plain, data = plain[size:], data[stored:]
	}
	if len(data) != 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errBlock, len(data))
	}
	return decoder.records, nil
}

// recordDecoder turns chunks into records. Names that repeat within a block are made only once.
type recordDecoder struct {
	records []message.Record
	next    message.Position
	base    int64
	names   map[string]string
	topic   string // of the record before: the most likely one
}

func (d *recordDecoder) chunk(plain []byte, records uint32) error {
	in := input{rest: plain}
	before := d.base
	begin := len(d.records)
	for range records {
		d.records = append(d.records, message.Record{Position: d.next})
		m := &d.records[len(d.records)-1].Message
		flags := in.byte()
		m.QoS = flags & flagQoS
		m.Retain = flags&flagRetain != 0
		m.Time = before + in.varint()
		before = m.Time
		m.Queue = message.NoQueue
		if flags&flagQueue != 0 {
			readQueue(&in, d.records[begin:])
		}
		if topic := in.bytes(); string(topic) == d.topic {
			m.Topic = d.topic
		} else {
			m.Topic = d.name(topic)
			d.topic = m.Topic
		}
		if flags&flagDevice != 0 {
			m.Device = d.name(in.bytes())
			m.Seq = in.uvarint()
		}
		if flags&flagProperties != 0 {
			m.Properties = d.properties(&in)
		}
		m.Payload = in.bytes()
		if in.short || flags&^(flagQoS|flagRetain|flagDevice|flagProperties|flagQueue) != 0 || (flags&flagDevice != 0) != (m.Device != "") {
			return fmt.Errorf("%w: the record at %d", errBlock, d.next)
		}
		d.next++
	}
	if len(in.rest) != 0 {
		return fmt.Errorf("%w: %d bytes behind the last record of a chunk", errBlock, len(in.rest))
	}
	return nil
}

func (d *recordDecoder) properties(in *input) []message.Property {
	n := in.uvarint()
	if n == 0 || n > uint64(len(in.rest)/2) { // each takes at least its two lengths
		in.short = true
		return nil
	}
	list := make([]message.Property, n)
	for i := range list {
		list[i] = message.Property{Name: d.name(in.bytes()), Value: string(in.bytes())}
	}
	return list
}

func (d *recordDecoder) name(b []byte) string {
	if s, ok := d.names[string(b)]; ok {
		return s
	}
	if d.names == nil {
		d.names = make(map[string]string)
	}
	s := string(b)
	d.names[s] = s
	return s
}

// input reads from the front of rest; once something does not fit, short stays set and everything
// else reads as zero.
type input struct {
	rest  []byte
	short bool
}

func (in *input) byte() byte {
	if len(in.rest) == 0 {
		in.short = true
		return 0
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return b
}

func (in *input) uvarint() uint64 {
	v, n := binary.Uvarint(in.rest)
	if n <= 0 {
		in.rest, in.short = nil, true
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

func (in *input) varint() int64 {
	v, n := binary.Varint(in.rest)
	if n <= 0 {
		in.rest, in.short = nil, true
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

func (in *input) bytes() []byte {
	n := in.uvarint()
	if n > uint64(len(in.rest)) {
		in.rest, in.short = nil, true
		return nil
	}
	b := in.rest[:n:n]
	in.rest = in.rest[n:]
	return b
}
