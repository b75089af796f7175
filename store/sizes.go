package store

import (
	"fmt"
	"strconv"

	"github.com/dgraph-io/badger/v4"
)

const wordBits = strconv.IntSize // of this machine

// Profile names the sizes that decide how much memory the log takes.
type Profile string

// Auto, like an empty profile, is Small or Normal by the machine's memory.
const (
	Auto   Profile = "auto"
	Small  Profile = "small"
	Normal Profile = "normal"
)

// smallMemory is where Auto changes over: a board of 256 MB is small, one of 512 MB, of which its
// kernel takes a part, is not.
const smallMemory = 384 << 20

// For gives Small or Normal, for Auto by the bytes of memory; 0 is an unknown amount.
func (p Profile) For(memory int64) Profile {
	switch {
	case p == Small || p == Normal:
		return p
	case memory > 0 && memory < smallMemory:
		return Small
	}
	return Normal
}

// sizes are what a profile stands for.
type sizes struct {
	file    int64 // of a value-log file; a message may have a quarter of it
	pending int   // bytes that may wait for the disk
	cache   int   // bytes of decoded blocks
	lanes   int   // bytes of those that consumers of queues read, besides
	young   int   // bytes that are in the write-ahead log alone, twice for a moment
}

func (p Profile) sizes() (sizes, error) {
	switch p {
	case "", Auto, Small, Normal:
	default:
		return sizes{}, fmt.Errorf("profile %q is not known; there are %s, %s and %s", p, Auto, Small, Normal)
	}
	if p.For(Memory()) == Small {
		return sizes{file: 4 << 20, pending: 1 << 20, cache: 1 << 20, lanes: 4 << 20, young: 256 << 10}, nil
	}
	// Larger files make recent kernels rewrite what was appended.
	return sizes{file: 16 << 20, pending: 8 << 20, cache: cacheBytes, lanes: lanesBytes, young: 512 << 10}, nil
}

// filesWanted is how many files a limit should hold: two are reserve, and what is trimmed comes
// back file by file.
const filesWanted = 16

// within gives a file size, at most size, of which the limit holds enough.
func within(size, limit int64) int64 {
	for limit > 0 && limit < filesWanted*size && size > smallestFile {
		size /= 2
	}
	return size
}

// maxLimit32 keeps the mappings inside the address space of a 32-bit machine: Badger maps every file
// of the value log whole, and the one that it writes with twice its size.
const maxLimit32 = 768 << 20

// onWords fits a limit to a machine whose words have so many bits.
func (o Options) onWords(bits int) (Options, error) {
	if bits > 32 {
		return o, nil
	}
	if o.Limit > maxLimit32 {
		return o, fmt.Errorf("open the log in %s: a limit of %d bytes is too much for a 32-bit machine, at most %d fit in its address space", o.Dir, o.Limit, maxLimit32)
	}
	if o.Limit == 0 {
		o.Limit = maxLimit32
	}
	return o, nil
}

// largest32 is the largest message of a 32-bit machine: with a value that outgrows its first buffer of
// 1 MiB, Badger's stream, and so a backup, never ends there, for the reason that checkSizes gives.
const largest32 = 1<<20 - 64<<10

func largestOnWords(size, bits int) int {
	if bits > 32 {
		return size
	}
	return min(size, largest32)
}

// checkSizes refuses options with which Badger 4.9.6 loses what it acknowledged. A table that
// outgrows the first buffer of its builder, twice BaseTableSize, overwrites itself where words have
// 32 bits: ristretto's allocator shifts the number of the next buffer out of them. A memtable is
// flushed as one table, so it must not be larger.
func checkSizes(o badger.Options, bits int) error {
	if bits > 32 {
		return nil
	}
	if o.BaseTableSize < o.MemTableSize {
		return fmt.Errorf("tables of %d bytes below memtables of %d would lose data on a 32-bit machine", o.BaseTableSize, o.MemTableSize)
	}
	if o.ValueLogFileSize > largestFile {
		return fmt.Errorf("value-log files of %d bytes are too much for the address space of a 32-bit machine, at most %d fit", o.ValueLogFileSize, largestFile)
	}
	return nil
}
