package store

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"sluice/gateway/message"
)

// Options say where the log lies and how much it may keep.
type Options struct {
	Dir string // the log's own directory; it is made when missing

	// Limit is the disk space that the log may use in all, 0 for what the file system has. Near it
	// what every cursor has passed is trimmed early; then either producers are refused or, with
	// DropOldest, the oldest blocks are dropped although a cursor still wants them.
	Limit      int64
	DropOldest bool

	// RetentionAge and RetentionSize bound what is kept behind the slowest cursor; 0 is no bound.
	// With both 0 it is kept until the limit is near.
	RetentionAge  time.Duration
	RetentionSize int64

	// Profile chooses the sizes below that are 0, and those of the caches.
	Profile Profile

	// FileSize is the size of one value-log file; when 0 the profile's, 4 MiB or 16, or less under a
	// small limit. A message may be at most a quarter of it.
	FileSize int64

	// PendingBytes bounds what waits for the disk; Append blocks beyond it. 0: the profile's, 1 MiB
	// or 8, or half a file, whichever is less.
	PendingBytes int

	// Linger is how long what AppendLazy accepted may wait for company before it is synced: 0 means
	// 500 ms, less than 0 not at all.
	Linger time.Duration

	// Urgent, unless nil, says which messages are taken also when the log is full: commands and their
	// replies. They have half a file of the reserve until there is space again.
	Urgent func(*message.Message) bool

	// Passed, unless nil, is called now and then by the goroutine that commits and gives the position up
	// to which nobody but cursors wants anything any more: consumer groups, whose offsets do not pin the
	// log by themselves. It must not block. Under DropOldest a full disk takes from them as from
	// cursors.
	Passed func() message.Position

	// Inbound, unless nil, says of a message with QoS 2 from which session it came and with which packet
	// id, so that the session remembers the id as soon as the message is durable. It is asked again
	// after a kill: the answer must follow from the message alone.
	Inbound func(*message.Message) (session string, id uint16, ok bool)

	// RetainFor, unless nil, says how long a retained message is kept; 0 is for ever. As Inbound.
	RetainFor func(*message.Message) time.Duration

	// OnGap hears what was dropped although a cursor still wanted it. It is called by the
	// goroutine that commits: it must not block and must not append.
	OnGap func(Gap)

	Logger *slog.Logger

	cacheBytes int // the profile's, as the next
	lanesBytes int
	youngBytes int // of records that may be in the write-ahead log alone; 0: the profile's, less than 0: none
}

// Gap is what a drop under DropOldest took from the cursors that had not passed it.
type Gap struct {
	From, To message.Position // both inclusive
	Messages uint64
	Devices  []DeviceGap
}

// DeviceGap is the span of sequence numbers that a Gap took from one device, both inclusive.
type DeviceGap struct {
	Device   string
	From, To uint64
}

const (
	defaultFileSize = 16 << 20
	smallestFile    = 1 << 20 // Badger takes no less
	largestFile     = 64 << 20
	filesInLimit    = 5 // a limit below this many files would be all reserve

	defaultLinger = 500 * time.Millisecond
	// lingerReadings of one device end the linger: half of what its poller may have without a sync,
	// so that it need not wait.
	lingerReadings = 32

	commitBlocks = 8 // in one transaction at most

	// A block of at least this size goes to the value log. A smaller one, that an orderly end leaves, is
	// kept in the LSM, where it pins no file.
	valueThreshold = 4000
	memTableSize   = 128 << 10 // see badgerOptions

	blockPayload = 512 << 10 // where a block is closed
	chunkPayload = 64 << 10  // where a chunk within it is closed
)

// withDefaults gives the options as the store uses them, or says what is wrong with them.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("open the log: no directory was given")
	}
	sizes, err := o.Profile.sizes()
	if err != nil {
		return o, fmt.Errorf("open the log in %s: %w", o.Dir, err)
	}
	if o, err = o.onWords(wordBits); err != nil {
		return o, err
	}
	if o.FileSize == 0 {
		o.FileSize = within(sizes.file, o.Limit)
	}
	if o.FileSize < smallestFile || o.FileSize > largestFile {
		return o, fmt.Errorf("open the log in %s: a file size of %d is not within %d and %d", o.Dir, o.FileSize, smallestFile, largestFile)
	}
	if o.Limit != 0 && o.Limit < filesInLimit*o.FileSize {
		return o, fmt.Errorf("open the log in %s: a limit of %d bytes is too small, it must hold %d files of %d", o.Dir, o.Limit, filesInLimit, o.FileSize)
	}
	if o.RetentionAge < 0 || o.RetentionSize < 0 {
		return o, fmt.Errorf("open the log in %s: retention cannot be negative", o.Dir)
	}
	if o.PendingBytes <= 0 {
		o.PendingBytes = min(sizes.pending, int(o.FileSize/2))
	}
	if o.Linger == 0 {
		o.Linger = defaultLinger
	}
	o.cacheBytes, o.lanesBytes = sizes.cache, sizes.lanes
	if o.youngBytes == 0 {
		o.youngBytes = min(sizes.young, int(o.FileSize/8))
	}
	o.youngBytes = max(o.youngBytes, 0)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// walSize is the size of one file of the write-ahead log: a generation that hardly compresses is full a
// little early.
func (o Options) walSize() int64 { return max(int64(o.youngBytes), 256<<10) }

// largestMessage is the most that a message may take in a block. Badger refuses a value above a
// file's size; a quarter leaves room for several in one.
func (o Options) largestMessage() int { return largestOnWords(int(o.FileSize/4), wordBits) }

// badgerOptions are those measured as best for blocks in the value log. The memtable is tiny so
// that it is flushed often: only a flush and the compaction after it tell Badger which values are
// stale, and without that no file is ever collected. The price is few entries in a transaction,
// see batch.
func badgerOptions(dir string, fileSize int64, logger badger.Logger) badger.Options {
	o := badger.DefaultOptions(dir)
	o.SyncWrites = true
	o.MemTableSize = memTableSize
	o.NumMemtables = 1
	o.NumLevelZeroTables = 1
	o.NumLevelZeroTablesStall = 3
	o.BaseTableSize = 256 << 10 // below MemTableSize Badger silently loses data on 32 bit
	o.BaseLevelSize = 2 << 20
	o.NumCompactors = 2
	o.ValueThreshold = valueThreshold
	o.ValueLogFileSize = fileSize
	o.Compression = options.None // blocks are compressed already
	o.BlockCacheSize = 0         // so a cached table block would only be a second copy of a mapped page
	o.IndexCacheSize = 0
	o.DetectConflicts = false // one goroutine writes
	o.MetricsEnabled = false
	o.NumGoroutines = 2
	o.Logger = logger
	return o
}
