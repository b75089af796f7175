package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"

	"sluice/gateway/message"
)

// readFile reads the plain segments back into records: the ceiling of reading.
func (j job) readFile() (result, error) {
	forget(j.Dir)
	var r result
	for _, into := range []*float64{&r.Cold, &r.Warm} {
		began, used := time.Now(), cpu()
		n, err := readSegments(j.Dir)
		if err != nil || n < j.N {
			return r, fmt.Errorf("%d of %d messages were read: %v", n, j.N, err)
		}
		*into = float64(n) / time.Since(began).Seconds()
		r.CPU = float64((cpu() - used).Nanoseconds()) / 1000 / float64(n)
	}
	return r, nil
}

func readSegments(dir string) (n int, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return 0, err
	}
	slices.Sort(names)
	var records []message.Record
	for _, name := range names {
		rest, err := os.ReadFile(name)
		if err != nil {
			return n, err
		}
		for len(rest) >= 16 {
			size := binary.BigEndian.Uint32(rest)
			stored := rest[16 : 12+size] // behind length, last position and count
			if records, err = readBlock(records[:0], stored); err != nil {
				return n, err
			}
			n += len(records)
			rest = rest[12+size:]
		}
	}
	return n, nil
}

// readBlock appends the records of a block; a chunk may end within one.
func readBlock(records []message.Record, stored []byte) ([]message.Record, error) {
	plain := make([]byte, 0, blockPayload)
	for len(stored) > 0 {
		size, n := int(binary.BigEndian.Uint32(stored)), binary.BigEndian.Uint32(stored[4:])
		room := plain[len(plain) : len(plain)+size]
		if _, err := s2.Decode(room, stored[8:8+n]); err != nil {
			return records, err
		}
		plain = plain[:len(plain)+size]
		stored = stored[8+n:]
	}
	topic := ""
	for len(plain) > 0 {
		var r message.Record
		var used int
		r.Time, used = binary.Varint(plain)
		plain = plain[used:]
		length, used := binary.Uvarint(plain)
		plain = plain[used:]
		if topic != string(plain[:length]) {
			topic = string(plain[:length])
		}
		r.Topic = topic
		plain = plain[length:]
		length, used = binary.Uvarint(plain)
		plain = plain[used:]
		r.Payload = plain[:length:length]
		plain = plain[length:]
		records = append(records, r)
	}
	return records, nil
}
