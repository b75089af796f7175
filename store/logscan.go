package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Badger 4.9.6 writes the value log and the log of a memtable alike: a head of 20 bytes, the first 8
// of them the number of an encryption key and always 0 for us, then entries:
//
//	meta 1 | user meta 1 | key length uvarint | value length uvarint | expiry uvarint
//	key, with its version behind it: 8 bytes, big-endian, counted down from the largest
//	value, CRC32C of everything before it 4
//
// It stops at the first entry that is not whole and cuts the file there. So one flipped bit would
// take everything behind it along, and that is why we look first.
const (
	entryDeleted = 1 << 0
	entryPointer = 1 << 1 // the value says where in the value log the value is
	entryEnd     = 1 << 7 // the last of a transaction: no data

	versionBytes = 8
	pointerBytes = 12
	entryFixed   = 2 + 1 // both metas, and the expiry of an entry that has none
	longestKey   = 1024  // more than any of ours
)

// logEntry is one entry as it lies in a file; key and value share the file's memory.
type logEntry struct {
	key      []byte
	version  uint64
	meta     byte
	value    []byte
	at, size int
}

// parseEntry reads the entry at the front of b. Only what we could have written is taken for one.
func parseEntry(b []byte) (e logEntry, ok bool) {
	if len(b) < entryFixed+2 || b[1] != 0 {
		return e, false
	}
	keyBytes, n := binary.Uvarint(b[2:])
	if n <= 0 || keyBytes <= versionBytes || keyBytes > longestKey {
		return e, false
	}
	head := 2 + n
	valueBytes, n := binary.Uvarint(b[head:])
	if n <= 0 || valueBytes > largestFile {
		return e, false
	}
	head += n
	size := head + 1 + int(keyBytes) + int(valueBytes) + crc32.Size
	if size > len(b) || b[head] != 0 {
		return e, false
	}
	head++
	body := b[:size-crc32.Size]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[size-crc32.Size:]) {
		return e, false
	}
	name := body[head : head+int(keyBytes)-versionBytes]
	version := math.MaxUint64 - binary.BigEndian.Uint64(body[head+len(name):])
	return logEntry{key: name, version: version, meta: b[0], value: body[head+int(keyBytes):], size: size}, true
}

// appendLogEntry writes an entry as Badger would.
func appendLogEntry(b []byte, meta byte, key []byte, version uint64, value []byte) []byte {
	start := len(b)
	b = append(b, meta, 0)
	b = binary.AppendUvarint(b, uint64(len(key)+versionBytes))
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = append(b, 0)
	b = append(b, key...)
	b = binary.BigEndian.AppendUint64(b, math.MaxUint64-version)
	b = append(b, value...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// scanLog visits every whole entry of a file and tells of each damaged span that has whole entries
// behind it. What is broken at the very end is what a kill or a power cut leaves, and no span; rest is how
// many bytes that is.
func scanLog(data []byte, visit func(logEntry), damaged func(from, to int)) (rest int) {
	end := len(data)
	for end > vlogHead && data[end-1] == 0 {
		end--
	}
	for at := vlogHead; at < end; {
		e, ok := parseEntry(data[at:])
		if ok {
			e.at = at
			visit(e)
			at += e.size
			continue
		}
		next := at + 1
		for ; next < end; next++ {
			if _, ok := parseEntry(data[next:]); ok {
				break
			}
		}
		if next >= end {
			return end - at
		}
		damaged(at, next)
		at = next
	}
	return 0
}

// filler is an entry of exactly size bytes that means nothing: put in the place of a damaged span it
// lets Badger walk on to what lies behind. Its key is never looked up.
func filler(size int) ([]byte, error) {
	for key := []byte("f~damaged"); len(key) < 16; key = append(key, '~') {
		for lengthBytes := 1; lengthBytes <= 5; lengthBytes++ {
			value := size - entryFixed - 1 - lengthBytes - len(key) - versionBytes - crc32.Size
			if value < 0 {
				break
			}
			if len(binary.AppendUvarint(nil, uint64(value))) == lengthBytes {
				return appendLogEntry(nil, 0, key, 1, make([]byte, value)), nil
			}
		}
	}
	return nil, fmt.Errorf("a damaged span of %d bytes is too short to bridge", size)
}

// mapFile maps what a file holds, without the sparse space that Badger keeps at its end: a gateway
// has no memory for a copy.
func mapFile(file *os.File) (data []byte, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var end int64
	for from := int64(0); ; {
		at, err := unix.Seek(int(file.Fd()), from, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			end = from
			break
		}
		if err != nil {
			end = info.Size() // this file system cannot tell
			break
		}
		if from, err = unix.Seek(int(file.Fd()), at, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
	}
	if end == 0 {
		return nil, nil
	}
	return unix.Mmap(int(file.Fd()), 0, int(end), unix.PROT_READ, unix.MAP_SHARED)
}

// mendLog visits the entries of a log file and bridges what is damaged between them. It gives the
// damaged bytes as they were.
func mendLog(path string, visit func(logEntry)) (broken [][]byte, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := mapFile(file)
	if err != nil || data == nil {
		return nil, err
	}
	defer func() { _ = unix.Munmap(data) }()
	if len(data) < vlogHead {
		return nil, nil
	}

	var failure error
	write := func(b []byte, at int) {
		_, err := file.WriteAt(b, int64(at))
		failure = errors.Join(failure, err)
	}
	if binary.BigEndian.Uint64(data) != 0 { // Badger would look for a key that nobody has
		broken = append(broken, append([]byte(nil), data[:vlogHead]...))
		write(make([]byte, 8), 0)
	}
	scanLog(data, visit, func(from, to int) {
		broken = append(broken, append([]byte(nil), data[from:to]...))
		bridge, err := filler(to - from)
		if err != nil {
			failure = errors.Join(failure, err)
			return
		}
		write(bridge, from)
	})
	if len(broken) > 0 {
		failure = errors.Join(failure, file.Sync())
	}
	return broken, failure
}
