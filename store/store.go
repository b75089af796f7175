// Package store is the durable log: one sequence of messages in which every message has a position,
// the cursors over it, and the last sequence number of each device. It hides Badger, group commit,
// blocks and their compression, retention, and what to do when the disk is full or damaged.
// FORMAT.md draws what lies on disk.
package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// Store is an open log. Appending, reading and cursors may be used from any goroutine; nothing
// becomes durable before Run, or in the end Close, commits it.
type Store struct {
	opts   Options
	log    *slog.Logger
	db     *badger.DB
	lock   *os.File
	epoch  uint64
	opened time.Time // with its monotonic reading: the log clock counts from here

	queue   queue
	queues  *queueTable
	index   index
	cursors cursors
	small   small
	cache   cache
	space   space
	damage  damage

	young    young
	settling chan chan struct{} // asks the committer for a checkpoint; it closes what it gets

	postings postings
	reshape  sync.Mutex // held while blocks leave the log or take the place of others
	packing  []byte     // room for a checkpoint to compress a block; guarded by reshape

	gate    gate          // between Badger's commits and its collector
	collect chan struct{} // capacity 1: the value log should be collected now
	filler  atomic.Bool   // the collector found nothing: see fill
	fills   atomic.Int32  // how often fill may still help
	ghosts  atomic.Bool   // a collection may have brought keys back: see sweep
	dropped atomic.Uint64 // state.dropped for Stats
	leaving atomic.Uint64 // what lies below is being trimmed: its absence is no damage

	// use is held for reading while Badger is used by others than the committer; Close takes it.
	use  sync.RWMutex
	gone bool

	lifeMu  sync.Mutex // guards what follows
	stop    chan struct{}
	ran     chan struct{} // closed when Run has returned; nil before it was called
	stopped bool

	wal    *wal
	writer writer // with wal and young, of the goroutine that commits: Open, then Run, then Close
}

// writer is what only the committing goroutine touches.
type writer struct {
	state     state
	clockBase int64    // the log clock at opened
	ready     []sealed // taken from the queue and not yet committed, the oldest first
	scratch   []byte
	spare     [][]byte // of blocks that were committed
	spared    int      // bytes in them
	removed   int64    // bytes of blocks since the collector was last called for them
	trimmedAt time.Time
	sweptAt   time.Time
	tailedAt  time.Time
	clockedAt time.Time
	pressedAt time.Time
	marked    message.Position
}

// Open finds or makes the log in a directory and recovers what a kill or a power cut left. It
// starts nothing of ours: Run commits.
func Open(options Options) (*Store, error) {
	opts, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	lock, err := claim(opts.Dir)
	if err != nil {
		return nil, err
	}
	s, err := open(opts, lock)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return s, nil
}

func open(opts Options, lock *os.File) (*Store, error) {
	s := &Store{
		opts:    opts,
		log:     opts.Logger,
		lock:    lock,
		opened:  time.Now(),
		stop:    make(chan struct{}),
		collect: make(chan struct{}, 1),

		young:    young{limit: opts.youngBytes},
		settling: make(chan chan struct{}),
		space:    space{dir: opts.Dir, limit: opts.Limit, fileSize: opts.FileSize},
		cache:    cache{bound: opts.cacheBytes, lanes: opts.lanesBytes},
		damage:   damage{dir: filepath.Join(opts.Dir, "damaged"), log: opts.Logger},
		queue:    newQueue(opts),
	}
	s.queues = s.queue.queues
	s.openSmall()

	free, err := s.spaceToOpen()
	if err != nil {
		return nil, inWords(opts.Dir, err)
	}
	if free < s.space.floor() {
		// Badger would die of SIGBUS on its first page.
		return nil, fmt.Errorf("open the log in %s: no space left: %d bytes are free, %d are needed", opts.Dir, free, s.space.floor())
	}
	if err := s.openFiles(); err != nil {
		return nil, err
	}
	return s, nil
}

// openFiles opens the database and loads what memory needs of it. What Badger cannot open, or opens
// with something missing, is salvaged once.
func (s *Store) openFiles() error {
	logger := &badgerLog{log: s.log, onSyncFailure: s.fail}
	care, err := nurse(s.opts.Dir, "log", &s.damage)
	if err != nil {
		return inWords(s.opts.Dir, err)
	}
	for {
		s.db, err = openBadger(s.opts.Dir, badgerOptions(filepath.Join(s.opts.Dir, "log"), s.opts.FileSize, logger))
		if err == nil {
			var replayed replayed
			if replayed, err = s.replay(); err == nil {
				err = s.recover(care, replayed.lost)
			}
			if err == nil {
				err = care.done()
			}
			if err == nil {
				if s.wal, err = openWAL(s.walDir(), s.opts.walSize(), replayed.last); err != nil {
					err = inWords(s.opts.Dir, err)
				}
			}
			if err == nil {
				return nil
			}
			s.db.Close()
			if !errors.Is(err, errGaps) {
				return fmt.Errorf("open the log in %s: %w", s.opts.Dir, err)
			}
		}
		if care.salvaged {
			return err
		}
		if err := care.salvage(err); err != nil {
			return inWords(s.opts.Dir, err)
		}
	}
}

// Close makes everything that was accepted durable and closes the log. Run, if it still runs, is
// stopped first.
func (s *Store) Close() error {
	s.lifeMu.Lock()
	if s.stopped {
		s.lifeMu.Unlock()
		return nil
	}
	s.stopped = true
	close(s.stop)
	ran := s.ran
	s.lifeMu.Unlock()
	if ran != nil {
		<-ran
	}
	s.drain() // cursors may have moved since Run returned
	s.space.forget()
	if s.queue.failed() == nil && s.space.admits(s.young.bytes()) { // else the next start does it
		s.settle()
	}
	s.awaitCheckpoint()
	s.saveQueuesAtEnd()
	s.cursors.end(message.ErrClosed)

	s.use.Lock()
	defer s.use.Unlock()
	s.gone = true
	err := s.closeBadger()
	if err == nil && s.young.none() && s.queue.failed() == nil {
		err = clearWAL(s.walDir())
	}
	err = errors.Join(err, s.wal.close())
	if err == nil {
		err = s.markTail()
	}
	if unlock := s.lock.Close(); err == nil {
		err = unlock
	}
	if err != nil {
		return fmt.Errorf("close the log in %s: %w", s.opts.Dir, err)
	}
	return s.queue.failed()
}

// fail makes the log refuse everything: what was synced cannot be known any more.
func (s *Store) fail(cause error) {
	if s.queue.fail(cause) {
		s.log.Error("the log's disk failed, nothing is acknowledged until a restart", "err", cause)
		s.queue.wake()
	}
}

// clock is the log clock in milliseconds: the time that this log has been open, over all runs. It
// never jumps, whatever the wall clock does.
func (s *Store) clock() int64 { return s.writer.clockBase + time.Since(s.opened).Milliseconds() }

// tailFile holds epoch and last position outside Badger, so that a log whose end vanished together
// with every record of it is noticed.
func (s *Store) tailFile() string { return filepath.Join(s.opts.Dir, "tail") }

// markTail writes the tail file when it has something new to say.
func (s *Store) markTail() error {
	_, tail := s.index.ends()
	if tail == s.writer.marked {
		return nil
	}
	temporary := s.tailFile() + ".new"
	file, err := os.Create(temporary)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%d %d", s.epoch, tail)
	_, err = fmt.Fprintf(file, "%s %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temporary, s.tailFile())
	}
	if err == nil {
		s.writer.marked = tail
	}
	return err
}

// readTail gives what the tail file says; a missing or mangled one says nothing.
func (s *Store) readTail() (epoch uint64, tail message.Position) {
	content, err := os.ReadFile(s.tailFile())
	if err != nil {
		return 0, 0
	}
	// A flipped digit would claim positions that never were.
	var sum uint32
	if n, err := fmt.Sscanf(string(content), "%d %d %08x\n", &epoch, &tail, &sum); err != nil || n != 3 ||
		sum != crc32.Checksum(fmt.Appendf(nil, "%d %d", epoch, tail), castagnoli) {
		return 0, 0
	}
	return epoch, tail
}

// newEpoch gives an epoch above every other that this gateway ever had, as far as can be known: the
// wall clock where it is plausible, else a number that is lower than any plausible clock's.
func newEpoch(now time.Time) uint64 {
	if now.Year() >= 2024 {
		return uint64(now.UnixMilli())
	}
	return 1 + rand.Uint64N(1<<40-1)
}

// nextEpoch follows epoch after a lost tail.
func nextEpoch(epoch uint64, now time.Time) uint64 { return max(epoch+1, newEpoch(now)) }

var errNoState = errors.New("the log has messages but its state is gone")
