package store

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A small transaction of Badger costs two or three dirty syncs and, as a block of its own, has to be
// written again later. So small commits go into a write-ahead log first: one write over blocks of a file that
// were written before, and one fdatasync, which has no metadata to carry. Two files take turns: while
// one is written to, what the other holds is brought into Badger, see checkpoint.

// wal is the two files. Only the committing goroutine uses it, and whoever writes for it.
type wal struct {
	files   [2]*os.File
	size    int64  // of each
	salt    []byte // of this opening
	current int
	end     int64 // of what the current file holds
	seq     uint64
	settled uint64 // the last record that Badger has
	buf     []byte
}

// walRecord is one commit: blocks in the order of positions, and small values.
type walRecord struct {
	seq     uint64
	settled uint64 // the last record that Badger had when it was written
	clock   int64  // the log clock
	blocks  [][]byte
	entries []entry
}

const (
	walMagic = "SLW1"
	walHead  = 4 + 4 + 8 + 8 + 8 + 4 // magic, bytes of the body, numbers, clock, sum
	// Records begin and end at sectors: a write never touches one that holds something acknowledged,
	// and the records behind a damaged one are found.
	walAlign = 512

	// A file begins with a salt, which is new at every opening and goes into every sum: neither what
	// an earlier run left nor a payload that looks like a record is taken for one. Both files have it.
	saltMagic = "SLW0"
	saltBytes = 16
)

var walNames = [2]string{"0.wal", "1.wal"}

// append adds the record to b as it is stored, without its filling.
func (r *walRecord) append(b, salt []byte) []byte {
	start := len(b)
	b = append(b, walMagic...)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, r.seq)
	b = binary.BigEndian.AppendUint64(b, r.settled)
	b = binary.BigEndian.AppendUint64(b, uint64(r.clock))
	b = append(b, 0, 0, 0, 0)
	body := len(b)
	b = binary.AppendUvarint(b, uint64(len(r.blocks)))
	for _, block := range r.blocks {
		b = binary.AppendUvarint(b, uint64(len(block)))
		b = append(b, block...)
	}
	for _, e := range r.entries {
		b = binary.AppendUvarint(b, uint64(len(e.key)))
		b = append(b, e.key...)
		b = binary.AppendUvarint(b, uint64(len(e.value)))
		b = append(b, e.value...)
	}
	binary.BigEndian.PutUint32(b[start+4:], uint32(len(b)-body))
	binary.BigEndian.PutUint32(b[body-4:], walSum(salt, b[start:]))
	return b
}

// walSum covers the salt and a record, but for the sum itself.
func walSum(salt, b []byte) uint32 {
	sum := crc32.Update(crc32.Checksum(salt, castagnoli), castagnoli, b[:walHead-4])
	return crc32.Update(sum, castagnoli, b[walHead:])
}

// bound is the most bytes that the record takes in a file.
func (r *walRecord) bound() int64 {
	n := walHead + binary.MaxVarintLen64 + walAlign
	for _, block := range r.blocks {
		n += binary.MaxVarintLen64 + len(block)
	}
	for _, e := range r.entries {
		n += 2*binary.MaxVarintLen64 + len(e.key) + len(e.value)
	}
	return int64(n)
}

// decodeWAL gives the record at the front of b and how many bytes it has; ok is false when there
// is none.
func decodeWAL(b, salt []byte) (r walRecord, size int, ok bool) {
	if len(b) < walHead || string(b[:4]) != walMagic {
		return r, 0, false
	}
	body := uint64(binary.BigEndian.Uint32(b[4:]))
	if body > uint64(len(b)-walHead) {
		return r, 0, false
	}
	b = b[:walHead+body]
	if binary.BigEndian.Uint32(b[walHead-4:]) != walSum(salt, b) {
		return r, 0, false
	}
	r.seq, r.settled, r.clock = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:]), int64(binary.BigEndian.Uint64(b[24:]))
	in := input{rest: b[walHead:]}
	for n := in.uvarint(); n > 0 && !in.short; n-- {
		r.blocks = append(r.blocks, in.bytes())
	}
	for len(in.rest) > 0 && !in.short {
		r.entries = append(r.entries, entry{in.bytes(), in.bytes()})
	}
	return r, len(b), !in.short && r.seq > 0 && r.clock >= 0
}

// readWAL gives every whole record in the write-ahead log, those that Badger has too, in the
// order in which they were written.
func readWAL(dir string) ([]walRecord, error) {
	var contents [len(walNames)][]byte
	var salts [len(walNames)][]byte
	for i, name := range walNames {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		contents[i], salts[i] = content, saltOf(content)
	}
	var records []walRecord
	for i, content := range contents {
		salt := cmp.Or(string(salts[i]), string(salts[1-i]))
		if salt == "" {
			continue
		}
		for rest := content[min(walAlign, len(content)):]; len(rest) >= walHead; {
			step := walAlign
			if r, size, ok := decodeWAL(rest, []byte(salt)); ok {
				records = append(records, r)
				step = alignWAL(size)
			}
			rest = rest[min(step, len(rest)):]
		}
	}
	slices.SortFunc(records, func(a, b walRecord) int { return cmp.Compare(a.seq, b.seq) })
	return records, nil
}

// saltHead gives the first bytes of a file.
func saltHead(salt []byte) []byte {
	b := append([]byte(saltMagic), salt...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return append(b, make([]byte, walAlign-len(b))...)
}

// saltOf gives the salt of a file, nil when its beginning is damaged.
func saltOf(content []byte) []byte {
	const end = len(saltMagic) + saltBytes
	if len(content) < walAlign || !bytes.Equal(content[:walAlign], saltHead(content[len(saltMagic):end])) {
		return nil
	}
	return content[len(saltMagic):end]
}

func alignWAL(n int) int { return (n + walAlign - 1) / walAlign * walAlign }

// openWAL makes or opens the files for writing; what they hold is given up.
func openWAL(dir string, size int64, last uint64) (*wal, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	w := &wal{size: size, seq: last, settled: last, end: walAlign, salt: make([]byte, saltBytes), buf: aligned(4 * walAlign)}
	rand.Read(w.salt)
	for i, name := range walNames {
		path := filepath.Join(dir, name)
		err := preallocate(path, size)
		if err == nil {
			w.files[i], err = openUncached(path, w.salt)
		}
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, syncDir(dir)
}

// preallocate makes a file of that size all of whose blocks have been written once: so a write into
// it changes nothing but data, and cannot fail for want of space.
func preallocate(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != size {
		// First away with what it held: half a file of old records is none.
		if err = file.Truncate(0); err == nil {
			zeros := make([]byte, 64<<10)
			for at := int64(0); at < size && err == nil; at += int64(len(zeros)) {
				_, err = file.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
			}
		}
	}
	if err == nil {
		err = file.Sync() // before it is written to past the cache
	}
	return errors.Join(err, file.Close())
}

// openUncached opens a file for writes past the page cache, where the file system can: in the cache a
// record of some hundred bytes would cost a whole page, or as many as the kernel keeps together. It
// begins the file with a salt.
func openUncached(path string, salt []byte) (*os.File, error) {
	head := aligned(walAlign)[:walAlign]
	copy(head, saltHead(salt))
	var err error
	for _, flag := range []int{unix.O_DIRECT, 0} {
		var file *os.File
		if file, err = os.OpenFile(path, os.O_RDWR|flag, 0); err != nil {
			continue // EINVAL where it cannot
		}
		if _, err = file.WriteAt(head, 0); err == nil {
			err = unix.Fdatasync(int(file.Fd()))
		}
		if err == nil {
			return file, nil
		}
		file.Close()
	}
	return nil, err
}

// aligned gives an empty buffer of that capacity as a disk wants it: on a multiple of 4096.
func aligned(size int) []byte {
	const page = 4096
	b := make([]byte, size+page)
	skip := page - int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))%page)
	return b[skip:skip:len(b)]
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// fits says whether n bytes fit behind what the current file holds.
func (w *wal) fits(n int64) bool { return w.end+n <= w.size }

// write appends a record and returns when it is on stable storage.
func (w *wal) write(r walRecord) error {
	w.seq++
	r.seq, r.settled = w.seq, w.settled
	if n := r.bound(); int64(cap(w.buf)) < n {
		w.buf = aligned(alignWAL(int(n + n/4)))
	}
	w.buf = r.append(w.buf[:0], w.salt)
	end := alignWAL(len(w.buf))
	clear(w.buf[len(w.buf):end])
	w.buf = w.buf[:end]
	file := w.files[w.current]
	if _, err := file.WriteAt(w.buf, w.end); err != nil {
		return fmt.Errorf("write the write-ahead log: %w", err)
	}
	if err := unix.Fdatasync(int(file.Fd())); err != nil {
		return fmt.Errorf("sync the write-ahead log: %w", err)
	}
	w.end += int64(len(w.buf))
	return nil
}

// swap turns to the other file, whose records Badger must have.
func (w *wal) swap() { w.current, w.end = 1-w.current, walAlign }

// clearWAL ends the records of both files, all of which Badger has.
func clearWAL(dir string) error {
	for _, name := range walNames {
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err = file.WriteAt(make([]byte, walAlign), 0); err == nil {
			err = file.Sync()
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (w *wal) close() error {
	var errs []error
	for _, file := range w.files {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}
