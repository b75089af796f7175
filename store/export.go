package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// An export holds a log's messages, cursors and sequence numbers apart from Badger, its keys and its
// versions; FORMAT.md draws it. It is written and read front to back and needs the memory of a block.
const (
	exportMagic = "SluiceLog1\n"

	frameHead    = 'h' // JSON: exportHead
	frameDevices = 'd'
	frameCursors = 'c'
	frameDone    = 'r' // done ranges of cursors that have some
	frameQueues  = 'q'
	frameBlock   = 'b'
	frameSmall   = 's' // small values, and what is carried
	frameAdmin   = 'a' // users, revisions and audit records
	frameEnd     = 'e' // JSON: exportEnd

	maxFrame    = maxPlain + maxPlain/4 + 1<<20 // more than any block can need
	maxJSON     = 4 << 10
	framesNames = 256 // cursors or devices in a frame
)

// ErrExport is behind every error that says that a stream is not a whole export.
var ErrExport = errors.New("not a whole export of a log")

// Exported is what an export holds, or how far it has come.
type Exported struct {
	Epoch       uint64           // of the log that was exported
	Time        time.Time        // of the beginning of the export
	First, Last message.Position // the span of positions that it covers
	Messages    uint64
	Bytes       int64 // of the stream
	Cursors     int
	Devices     int
	Values      int // of sessions, groups, topics and retained messages
	Admin       int // users, revisions and audit records
}

type exportHead struct {
	Epoch uint64           `json:"epoch"`
	First message.Position `json:"first"`
	Last  message.Position `json:"last"`
	Clock int64            `json:"clock"` // the log clock
	Time  time.Time        `json:"time"`
}

type exportEnd struct {
	Messages uint64 `json:"messages"`
	Blocks   uint64 `json:"blocks"`
}

// moment is the small state of a log at one transaction: Last, cursors and sequence numbers agree.
type moment struct {
	head    exportHead
	cursors []exportedCursor
	devices []exportedDevice
	small   []exportedValue // without carried messages: those are read when their turn comes
	queues  [][]byte        // pages as they are saved
	at      queueMark
}

type exportedCursor struct {
	name   string
	at     message.Position
	unused int64 // milliseconds of the log clock
	limit  int64
	done   []Range
}

type exportedDevice struct {
	name string
	mark deviceMark
}

// Backup writes an export of the log as it is now, while appending goes on: everything that was
// durable at the call, and no more. It pins nothing: what every cursor passes and retention trims
// before its turn comes is missing. progress, unless nil, is called now and then from this goroutine.
func (s *Store) Backup(ctx context.Context, to io.Writer, progress func(Exported)) (Exported, error) {
	return s.backup(ctx, to, nil, progress)
}

func (s *Store) backup(ctx context.Context, to io.Writer, admin *Admin, progress func(Exported)) (Exported, error) {
	err := s.checkpointed(ctx)
	var m moment
	if err == nil {
		m, err = s.moment()
	}
	if err != nil {
		return Exported{}, fmt.Errorf("back up the log: %w", err)
	}
	// Badger shows a transaction a moment before its records may be read.
	for {
		tail, grown := s.Tail()
		if tail >= m.head.Last {
			break
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return Exported{}, ctx.Err()
		}
	}
	return s.export(ctx, m, to, admin, progress)
}

// BackupWith is Backup that takes along the users, revisions and audit records.
func (s *Store) BackupWith(ctx context.Context, to io.Writer, admin *Admin, progress func(Exported)) (Exported, error) {
	return s.backup(ctx, to, admin, progress)
}

// Export writes everything that can be read in the log.
func (c *Closed) Export(ctx context.Context, to io.Writer, progress func(Exported)) (Exported, error) {
	return c.ExportWith(ctx, to, nil, progress)
}

// ExportWith is Export that takes along the users, revisions and audit records; admin may be nil.
func (c *Closed) ExportWith(ctx context.Context, to io.Writer, admin *Admin, progress func(Exported)) (Exported, error) {
	m, err := c.store.moment()
	if err != nil {
		return Exported{}, fmt.Errorf("export the log: %w", err)
	}
	// The state may speak of an end that is gone; restoring must not give its positions out again.
	m.head.Last = max(m.head.Last, c.store.index.tail, c.store.writer.state.tail)
	return c.store.export(ctx, m, to, admin, progress)
}

func (s *Store) moment() (m moment, err error) {
	if !s.use.TryRLock() {
		return m, message.ErrClosed
	}
	defer s.use.RUnlock()
	if s.gone {
		return m, message.ErrClosed
	}
	s.reshape.Lock() // no checkpoint is half written
	defer s.reshape.Unlock()
	now := s.clock()
	m.queues, m.at = s.queues.snapshot() // before the rest: restoring counts on from here
	m.head = exportHead{Epoch: s.epoch, Clock: now, Time: time.Now().UTC()}
	err = s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(stateKey)
		if err != nil {
			return err
		}
		var st state
		if err := item.Value(func(value []byte) (err error) { st, err = decodeState(value); return err }); err != nil {
			return err
		}
		m.head.First = max(st.head, 1)
		m.head.Last = max(m.head.First-1, lastOf(txn, prefixHeader))
		err = eachDevice(txn, func(name string, mark deviceMark) {
			m.devices = append(m.devices, exportedDevice{name, mark})
			m.head.Last = max(m.head.Last, mark.at)
		})
		if err != nil {
			return err
		}
		err = eachCursor(txn, func(name string, c cursorMark) {
			m.cursors = append(m.cursors, exportedCursor{name, c.at, max(0, now-c.used), c.idle, c.done})
			m.head.Last = max(m.head.Last, c.last())
		})
		if err != nil {
			return err
		}
		m.small, err = smallValues(txn, func(at message.Position) { m.head.Last = max(m.head.Last, at) })
		return err
	})
	return m, err
}

// lastOf gives the position of the last key with a prefix, 0 when there is none.
func lastOf(txn *badger.Txn, prefix byte) message.Position {
	it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
	defer it.Close()
	it.Seek([]byte{prefix + 1})
	if !it.ValidForPrefix([]byte{prefix}) {
		return 0
	}
	last, _ := positionOf(it.Item().Key())
	return last
}

func eachCursor(txn *badger.Txn, visit func(name string, c cursorMark)) error {
	it := txn.NewIterator(badger.DefaultIteratorOptions)
	defer it.Close()
	for it.Seek([]byte{prefixCursor}); it.ValidForPrefix([]byte{prefixCursor}); it.Next() {
		key := it.Item().KeyCopy(nil)
		err := it.Item().Value(func(value []byte) error {
			c, mark, err := decodeCursor(key, value)
			if err != nil {
				c, mark = cursorMark{}, present // from the beginning: a repeat is better than a loss
			}
			if mark == present {
				visit(string(key[1:]), c)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// export writes the stream.
func (s *Store) export(ctx context.Context, m moment, to io.Writer, admin *Admin, progress func(Exported)) (sum Exported, err error) {
	w := frameWriter{to: bufio.NewWriterSize(to, 64<<10)}
	sum = Exported{
		Epoch: m.head.Epoch, Time: m.head.Time, First: m.head.First, Last: m.head.Last,
		Cursors: len(m.cursors), Devices: len(m.devices),
	}
	w.begin(m.head)
	for first := 0; first < len(m.devices); first += framesNames {
		w.frame(frameDevices, appendDevices(nil, m.devices[first:min(first+framesNames, len(m.devices))]))
	}
	for first := 0; first < len(m.cursors); first += framesNames {
		w.frame(frameCursors, appendCursors(nil, m.cursors[first:min(first+framesNames, len(m.cursors))]))
	}
	w.doneRanges(m.cursors)
	if sum.Values, err = s.exportSmall(ctx, &w, m.small); err != nil {
		return sum, err
	}
	if sum.Admin, err = w.admin(admin); err != nil {
		return sum, err
	}
	for _, page := range m.queues {
		w.frame(frameQueues, appendQueues(m.at, page))
	}
	blocks, err := s.exportBlocks(ctx, &w, m.head, func(messages uint64) {
		sum.Messages, sum.Bytes = messages, w.bytes
		if progress != nil {
			progress(sum)
		}
	})
	if err != nil {
		return sum, err
	}
	carried, err := s.carriedMeanwhile(m.small)
	if err == nil {
		_, err = s.exportSmall(ctx, &w, carried)
	}
	if err != nil {
		return sum, err
	}
	w.json(frameEnd, exportEnd{sum.Messages, blocks})
	if w.err == nil {
		w.err = w.to.Flush()
	}
	if w.err != nil {
		return sum, fmt.Errorf("write the export: %w", w.err)
	}
	sum.Bytes = w.bytes
	return sum, nil
}

func (s *Store) exportBlocks(ctx context.Context, w *frameWriter, span exportHead, written func(messages uint64)) (blocks uint64, err error) {
	var scratch []byte
	var messages uint64
	g := &group{}
	flush := func() {
		if g.count == 0 {
			return
		}
		scratch = appendBlock(scratch[:0], g.plain, g.chunks, g.first, g.base)
		w.frame(frameBlock, scratch)
		messages, blocks = messages+uint64(g.count), blocks+1
		g = &group{plain: g.plain[:0], chunks: g.chunks[:0], refs: g.refs}
		if cap(scratch) > 2*blockPayload {
			scratch, g.plain = nil, nil // one large message must not pin its memory
		}
		written(messages)
	}
	for from := span.First; from <= span.Last && w.err == nil; {
		if err := ctx.Err(); err != nil {
			return blocks, err
		}
		records, err := s.blockFrom(from)
		if err != nil {
			return blocks, err
		}
		if len(records) == 0 {
			break
		}
		for i := range records {
			r := &records[i]
			if r.Position > span.Last {
				break
			}
			size := recordBound(&r.Message)
			if g.count > 0 && (r.Position != g.last()+1 || !g.fits(&r.Message, size)) {
				flush()
			}
			if g.count == 0 {
				g.first = r.Position
			}
			g.add(&r.Message, placeOf(r), size, nil, 0)
		}
		from = records[len(records)-1].Position + 1
	}
	flush()
	if w.err != nil {
		return blocks, fmt.Errorf("write the export: %w", w.err)
	}
	return blocks, nil
}

func appendDevices(b []byte, devices []exportedDevice) []byte {
	b = binary.AppendUvarint(b, uint64(len(devices)))
	for _, d := range devices {
		b = appendText(b, d.name)
		b = binary.AppendUvarint(b, d.mark.seq)
		b = binary.AppendUvarint(b, uint64(d.mark.at))
	}
	return b
}

func appendCursors(b []byte, cursors []exportedCursor) []byte {
	b = binary.AppendUvarint(b, uint64(len(cursors)))
	for _, c := range cursors {
		b = appendText(b, c.name)
		b = binary.AppendUvarint(b, uint64(c.at))
		b = binary.AppendUvarint(b, uint64(c.unused))
		b = binary.AppendUvarint(b, uint64(c.limit))
	}
	return b
}

// doneRanges writes nothing when no cursor has any: so older programs can read it.
func (w *frameWriter) doneRanges(cursors []exportedCursor) {
	var some []exportedCursor
	for _, c := range cursors {
		if len(c.done) > 0 {
			some = append(some, c)
		}
	}
	for list := range slices.Chunk(some, framesNames) {
		w.frame(frameDone, appendDone(nil, list))
	}
}

func appendDone(b []byte, cursors []exportedCursor) []byte {
	b = binary.AppendUvarint(b, uint64(len(cursors)))
	for _, c := range cursors {
		b = appendText(b, c.name)
		b = binary.AppendUvarint(b, uint64(len(c.done)))
		for _, r := range c.done {
			b = binary.AppendUvarint(b, uint64(r.First))
			b = binary.AppendUvarint(b, uint64(r.Last))
		}
	}
	return b
}

func appendQueues(as queueMark, page []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(as.at))
	b = binary.AppendUvarint(b, as.start)
	return append(b, page...)
}

// frameWriter writes frames; the first error stays.
type frameWriter struct {
	to     *bufio.Writer
	frames uint64
	bytes  int64
	err    error
}

func (w *frameWriter) begin(head exportHead) {
	w.write([]byte(exportMagic))
	w.json(frameHead, head)
}

func (w *frameWriter) json(kind byte, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("bug: an export's " + string(kind) + " is not JSON: " + err.Error())
	}
	w.frame(kind, text)
}

func (w *frameWriter) frame(kind byte, body []byte) {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)))
	w.write(head)
	w.write(body)
	w.write(binary.BigEndian.AppendUint32(nil, frameSum(w.frames, head, body)))
	w.frames++
}

// frameSum covers the frame's number too, so that none can be missing or out of its place.
func frameSum(number uint64, head, body []byte) uint32 {
	sum := crc32.Checksum(binary.BigEndian.AppendUint64(nil, number), castagnoli)
	return crc32.Update(crc32.Update(sum, castagnoli, head), castagnoli, body)
}

func (w *frameWriter) write(b []byte) {
	if w.err == nil {
		_, w.err = w.to.Write(b)
		w.bytes += int64(len(b))
	}
}
