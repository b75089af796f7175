package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"

	"github.com/dgraph-io/badger/v4/fb"
)

// tableEntry is one entry of Badger's LSM: of a table or of a memtable's log.
type tableEntry struct {
	version uint64
	meta    byte
	value   []byte
}

var errTable = errors.New("damaged table")

// scanTable visits every entry in the sound blocks of one of Badger's tables; an error says that
// not all of them are sound. A table of 4.9.6, uncompressed and unencrypted, is its blocks, an index,
// and from the end back: checksum length 4, checksum, index length 4.
func scanTable(path string, visit func(key []byte, e tableEntry)) (err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// What the checksums let through may still not be a table.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errTable, r)
		}
	}()
	index, err := tableIndex(data)
	if err != nil {
		scanWithoutIndex(data, visit)
		return err
	}
	var damaged error
	for i := range index.OffsetsLength() {
		var at fb.BlockOffset
		if !index.Offsets(&at, i) || int64(at.Offset())+int64(at.Len()) > int64(len(data)) {
			return fmt.Errorf("%w: the index points out of the file", errTable)
		}
		if err := scanTableBlock(data[at.Offset():at.Offset()+at.Len()], visit); err != nil {
			damaged = fmt.Errorf("block %d: %w", i, err)
		}
	}
	return damaged
}

func tableIndex(data []byte) (*fb.TableIndex, error) {
	rest, sum, err := cutChecksum(data)
	if err != nil {
		return nil, err
	}
	if len(rest) < 4 {
		return nil, fmt.Errorf("%w: it has no index", errTable)
	}
	size := int(binary.BigEndian.Uint32(rest[len(rest)-4:]))
	rest = rest[:len(rest)-4]
	if size > len(rest) || crc32.Checksum(rest[len(rest)-size:], castagnoli) != sum {
		return nil, fmt.Errorf("%w: the index", errTable)
	}
	return fb.GetRootAsTableIndex(rest[len(rest)-size:], 0), nil
}

// scanWithoutIndex finds the blocks of a table by their checksums alone. They follow one another, and
// whatever looks like the checksum of what began at the last block's end is one.
func scanWithoutIndex(data []byte, visit func(key []byte, e tableEntry)) {
	start := 0
	for end := 8; end <= len(data); end++ {
		if data[end-4] != 0 || data[end-3] != 0 || data[end-2] != 0 || data[end-1] > 16 {
			continue
		}
		if scanTableBlock(data[start:end], visit) == nil {
			start = end
		}
	}
}

// cutChecksum takes a checksum off the end: a length and before it a protobuf message whose second
// field is the sum; the first, the kind, is absent for CRC32C.
func cutChecksum(b []byte) (rest []byte, sum uint32, err error) {
	if len(b) < 4 {
		return nil, 0, fmt.Errorf("%w: it is too short", errTable)
	}
	size := int(binary.BigEndian.Uint32(b[len(b)-4:]))
	b = b[:len(b)-4]
	if size == 0 || size > 16 || size > len(b) || b[len(b)-size] != 2<<3 {
		return nil, 0, fmt.Errorf("%w: its checksum cannot be read", errTable)
	}
	value, n := binary.Uvarint(b[len(b)-size+1:])
	if n != size-1 {
		return nil, 0, fmt.Errorf("%w: its checksum cannot be read", errTable)
	}
	return b[:len(b)-size], uint32(value), nil
}

// A block of a table is its entries, where each starts, how many they are, and a checksum. An entry
// says how much of the first one's key it shares, how much of its own follows, then key and value.
func scanTableBlock(b []byte, visit func(key []byte, e tableEntry)) error {
	body, sum, err := cutChecksum(b)
	if err != nil {
		return err
	}
	if len(body) < 4 || crc32.Checksum(body, castagnoli) != sum {
		return fmt.Errorf("%w: checksum", errTable)
	}
	count := int(binary.BigEndian.Uint32(body[len(body)-4:]))
	body = body[:len(body)-4]
	starts := body[len(body)-4*count:]
	body = body[:len(body)-4*count]
	var first []byte
	for i := range count {
		// Badger writes these numbers as the machine has them; all that we build for are alike.
		from, to := int(binary.LittleEndian.Uint32(starts[4*i:])), len(body)
		if i+1 < count {
			to = int(binary.LittleEndian.Uint32(starts[4*i+4:]))
		}
		entry := body[from:to]
		shared, own := int(binary.LittleEndian.Uint16(entry)), int(binary.LittleEndian.Uint16(entry[2:]))
		key := append(first[:shared:shared], entry[4:4+own]...)
		if i == 0 {
			first = key
		}
		value := entry[4+own:]
		_, n := binary.Uvarint(value[2:]) // expiry
		name := key[:len(key)-versionBytes]
		visit(name, tableEntry{
			version: math.MaxUint64 - binary.BigEndian.Uint64(key[len(name):]),
			meta:    value[0],
			value:   value[2+n:],
		})
	}
	return nil
}
