package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"sluice/gateway/message"
)

// Restored is what Restore made.
type Restored struct {
	Exported        // what was read
	NewEpoch uint64 // of the restored log
}

// ErrNotEmpty is what Restore gives for a directory with anything in it.
var ErrNotEmpty = errors.New("the folder is not empty")

const (
	stagingDir   = "restoring"
	adminStaging = "admin" // in it
)

// Restore makes a log from an export, in a directory that is empty or not there. Messages keep their
// positions, cursors their places and devices their sequence numbers; the epoch is new, since the
// old log may have gone on after the export. A failure leaves nothing behind; a kill leaves a folder
// that no gateway takes for a log.
func Restore(ctx context.Context, dir string, from io.Reader, progress func(Exported)) (Restored, error) {
	return RestoreWith(ctx, dir, "", from, progress)
}

// RestoreWith is Restore that makes the database of users and revisions too, in adminDir, which is
// empty or not there and on the same file system; when the export has none, nothing is made there.
func RestoreWith(ctx context.Context, dir, adminDir string, from io.Reader, progress func(Exported)) (Restored, error) {
	for _, d := range []string{dir, adminDir} {
		if entries, err := os.ReadDir(d); d != "" && err == nil && len(entries) > 0 {
			return Restored{}, fmt.Errorf("restore into %s: %w", d, ErrNotEmpty)
		} else if d != "" && err != nil && !errors.Is(err, os.ErrNotExist) {
			return Restored{}, fmt.Errorf("restore into %s: %w", d, err)
		}
	}
	staging := filepath.Join(dir, stagingDir)
	restored, err := restoreInto(ctx, staging, adminDir != "", from, progress)
	if err == nil && restored.Admin > 0 && adminDir != "" {
		if err = os.Remove(adminDir); err == nil || errors.Is(err, os.ErrNotExist) {
			err = os.Rename(filepath.Join(staging, adminStaging), adminDir)
		}
	}
	if err == nil {
		err = settle(dir, staging)
	}
	if err != nil {
		return Restored{}, errors.Join(fmt.Errorf("restore into %s: %w", dir, err), os.RemoveAll(staging))
	}
	return restored, nil
}

// settle puts a finished log in its place: the log last but one, so that a kill at any step leaves
// either no log or a whole one.
func settle(dir, staging string) error {
	for _, name := range []string{"lock", "log", "tail"} {
		err := os.Rename(filepath.Join(staging, name), filepath.Join(dir, name))
		if err != nil && !(name == "tail" && errors.Is(err, os.ErrNotExist)) { // an empty log has none
			return err
		}
	}
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func restoreInto(ctx context.Context, dir string, withAdmin bool, from io.Reader, progress func(Exported)) (Restored, error) {
	in := newFrameReader(from)
	head, err := in.begin()
	if err != nil {
		return Restored{}, err
	}
	s, err := Open(Options{Dir: dir, FileSize: defaultFileSize}) // it takes the largest message that any gateway does
	if err != nil {
		return Restored{}, err
	}
	s.small.off, s.queue.noteOf = true, nil // what the small values say comes with the export
	r := &restorer{store: s, in: in, head: head, progress: progress}
	if withAdmin {
		r.adminDir = filepath.Join(dir, adminStaging)
	}
	r.sum = Exported{Epoch: head.Epoch, Time: head.Time, First: head.First, Last: head.Last}
	err = r.run(ctx)
	if r.admin != nil {
		err = errors.Join(err, r.admin.Close())
	}
	if err != nil {
		return Restored{}, errors.Join(err, s.Close())
	}
	epoch := s.epoch
	if err := s.Close(); err != nil {
		return Restored{}, err
	}
	report, err := Check(dir)
	if err != nil {
		return Restored{}, err
	}
	if len(report.Findings) > 0 {
		return Restored{}, fmt.Errorf("the restored log is not sound: %s", report.Findings[0])
	}
	return Restored{r.sum, epoch}, nil
}

// restorer fills an empty log through its ordinary ways in, so that whatever the log keeps beside
// its messages is made again.
type restorer struct {
	store    *Store
	in       *frameReader
	head     exportHead
	progress func(Exported)
	sum      Exported
	blocks   uint64
	next     message.Position
	devices  []exportedDevice
	cursors  []exportedCursor
	admin    *Admin // nil until the first of its entries comes; unless it is not wanted
	adminDir string
	queues   exportedQueues
	holes    []hole
	failed   atomic.Pointer[error] // of an append, from the committing goroutine
}

func (r *restorer) run(ctx context.Context) error {
	s := r.store
	r.next = r.head.First
	s.beginAt(r.head)
	if err := s.saveState(s.writer.state); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(running) }()
	err := r.fill(ctx)
	if err == nil {
		err = r.placeCursors(ctx)
	}
	stop()
	if ended := <-ran; err == nil {
		err = ended
	}
	if err != nil {
		return err
	}
	return r.finish()
}

// beginAt lets an empty log begin at the position where another one did.
func (s *Store) beginAt(head exportHead) {
	st := &s.writer.state
	st.epoch, st.head, st.tail = nextEpoch(head.Epoch, time.Now()), head.First, head.First-1
	s.epoch = st.epoch
	s.writer.clockBase = head.Clock // so that what cursors say about their last use stays true
	s.index.mu.Lock()
	s.index.head, s.index.tail = head.First, head.First-1
	s.index.mu.Unlock()
	s.queue.mu.Lock()
	s.queue.next = head.First
	s.queue.mu.Unlock()
}

// fill appends every message of the export.
func (r *restorer) fill(ctx context.Context) error {
	for {
		kind, body, err := r.in.next()
		if err != nil {
			return err
		}
		switch kind {
		case frameDevices:
			r.devices, err = decodeDevices(r.devices, body)
		case frameCursors:
			r.cursors, err = decodeCursors(r.cursors, body)
		case frameDone:
			err = decodeDone(r.cursors, body)
		case frameSmall:
			err = r.smallValues(body)
		case frameAdmin:
			err = r.adminEntries(body)
		case frameQueues:
			err = r.queues.decode(body)
		case frameBlock:
			err = r.block(ctx, body)
		case frameEnd:
			return r.end(ctx, body)
		default:
			err = fmt.Errorf("%w: a frame of kind %q", ErrExport, kind)
		}
		if err != nil {
			return err
		}
	}
}

func (r *restorer) block(ctx context.Context, body []byte) error {
	records, err := decodeBlock(body)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrExport, err)
	}
	first, last := records[0].Position, records[len(records)-1].Position
	if first < r.next || last > r.head.Last {
		return fmt.Errorf("%w: messages %d to %d are out of place", ErrExport, first, last)
	}
	if err := r.skipTo(ctx, first); err != nil {
		return err
	}
	for i := range records {
		if err := r.store.resumeQueue(&records[i]); err != nil {
			return err
		}
		if err := r.store.Append(ctx, &records[i].Message, r, 0); err != nil {
			return err
		}
	}
	r.next = last + 1
	r.blocks++
	r.sum.Messages += uint64(len(records))
	r.sum.Bytes = r.in.bytes
	if r.progress != nil {
		r.progress(r.sum)
	}
	return r.failure()
}

// Acknowledge hears what became of an append.
func (r *restorer) Acknowledge(_ uint64, _ message.Position, err error) {
	if err != nil {
		r.failed.CompareAndSwap(nil, &err)
	}
}

func (r *restorer) failure() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// skipTo leaves out positions that the export does not have: they were damaged, or trimmed while it
// was written. What came before must be durable, since a block has no holes.
func (r *restorer) skipTo(ctx context.Context, next message.Position) error {
	if next == r.next {
		return nil
	}
	if err := r.durable(ctx); err != nil {
		return err
	}
	r.holes = append(r.holes, hole{r.next, next - 1})
	if len(r.holes) > maxHoles {
		return fmt.Errorf("%w: more than %d spans of positions are missing in it", ErrExport, maxHoles)
	}
	q := &r.store.queue
	q.mu.Lock()
	q.next = next
	q.mu.Unlock()
	r.next = next
	return nil
}

const maxHoles = 1 << 16

// durable waits until everything appended is.
func (r *restorer) durable(ctx context.Context) error {
	for r.failure() == nil {
		tail, grown := r.store.Tail()
		if tail+1 >= r.next || r.sum.Messages == 0 {
			return nil
		}
		if failure := r.store.queue.failed(); failure != nil {
			return failure
		}
		select {
		case <-grown:
		case <-time.After(spaceRetry): // a failed log does not grow
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.failure()
}

func (r *restorer) end(ctx context.Context, body []byte) error {
	end, err := decodeEnd(body)
	if err != nil {
		return err
	}
	if end.Messages != r.sum.Messages || end.Blocks != r.blocks {
		return fmt.Errorf("%w: %d messages in %d blocks were read, it had %d in %d", ErrExport, r.sum.Messages, r.blocks, end.Messages, end.Blocks)
	}
	r.sum.Bytes = r.in.bytes
	if err := r.durable(ctx); err != nil {
		return err
	}
	if r.store.Head() != r.head.First {
		return fmt.Errorf("%w: there is not enough space for it", message.ErrFull)
	}
	return nil
}

func (r *restorer) placeCursors(ctx context.Context) error {
	set := &r.store.cursors
	var made []*Cursor
	for _, c := range r.cursors {
		cursor, err := r.store.OpenExpiringCursor(c.name, c.at+1, time.Duration(c.limit)*time.Millisecond)
		if err != nil {
			return err
		}
		cursor.Close()
		set.mu.Lock()
		_, tail := set.ends()
		cursor.position, cursor.done = fitRanges(cursor.position, tail, c.done)
		cursor.used = max(0, r.head.Clock-c.unused)
		set.soilLocked(cursor)
		set.mu.Unlock()
		made = append(made, cursor)
	}
	for _, cursor := range made {
		if err := cursor.Sync(ctx); err != nil {
			return err
		}
	}
	r.sum.Cursors = len(r.cursors)
	return nil
}

// finish writes what appending does not. Nothing else writes any more.
func (r *restorer) finish() error {
	s := r.store
	if r.next <= r.head.Last { // the end was lost: its positions are not given out again
		r.holes = append(r.holes, hole{r.next, r.head.Last})
		s.index.mu.Lock()
		s.index.tail = r.head.Last
		s.index.mu.Unlock()
	}
	for _, h := range r.holes {
		s.damage.add(h, errors.New("not in the export"), nil)
	}
	if err := s.recordHoles(); err != nil {
		return err
	}
	r.sum.Devices = len(r.devices)
	for _, d := range r.devices {
		b := newBatch(s.db)
		key := deviceKey(d.name)
		b.set(key, d.mark.value(key))
		if err := s.write(b); err != nil {
			return fmt.Errorf("write the sequence number of device %q: %w", d.name, err)
		}
	}
	s.queues.restored(r.queues, s.index.tail)
	if err := s.saveQueues(); err != nil {
		return err
	}
	return s.saveState(s.writer.state)
}
