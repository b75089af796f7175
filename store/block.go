package store

import (
	"encoding/binary"
	"errors"
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
	flagClient     = 0x40
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
	if m.Client != "" {
		n += 5 + len(m.Client)
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
	if m.Client != "" {
		flags |= flagClient
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, m.Time-before)
	b = at.append(b)
	b = appendText(b, m.Topic)
	if m.Device != "" {
		b = appendText(b, m.Device)
		b = binary.AppendUvarint(b, m.Seq)
	}
	if m.Client != "" {
		b = appendText(b, m.Client)
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
