package store

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"sluice/gateway/message"
)

const (
	visitBlocks  = 32   // that one call of Visit looks through, at most
	visitRecords = 4096 // after which it looks into no more blocks
	visitors     = 2    // goroutines that decompress: the rest of the machine has other work
)

// Stored is what Visit shows of a record. Payload is only good until the visit returns.
type Stored struct {
	Position message.Position
	Time     int64 // Message.Time
	Topic    int   // which of those that were asked for
	Payload  []byte
}

// Visit shows, in order, the durable records at or behind from whose topic is one of topics and whose
// Message.Time lies between since and until, both inclusive. Blocks that by their times or by the
// index hold no such record are not read, and none of them is put into the cache: a look at a month must
// not push out what the readers at the tail are at. A call looks through a bounded part of the log; next
// is where to go on, 0 when nothing is left. What was trimmed or damaged is skipped.
//
// A block's times are judged by its first record and the next block's. What a clock that jumped there
// and back within one block has stamped elsewhere may be passed over.
func (s *Store) Visit(from message.Position, since, until int64, topics []string, visit func(Stored)) (next message.Position, err error) {
	if !s.use.TryRLock() {
		return from, message.ErrClosed // only Close takes it for writing
	}
	defer s.use.RUnlock()
	if s.gone {
		return from, message.ErrClosed
	}
	if len(topics) == 0 || since > until {
		return 0, nil
	}
	v := visiting{store: s, since: since, until: until, topics: topics}
	from, err = v.choose(from)
	if err != nil {
		return from, err
	}
	for shown := 0; len(v.chosen) > 0; {
		if shown >= visitRecords {
			return v.chosen[0].from, nil
		}
		n := min(len(v.chosen), len(v.looks))
		v.read(n)
		for i := range n {
			look := &v.looks[i]
			if look.err != nil {
				if err := s.skip(look.header, look.err); err != nil {
					return look.from, err
				}
				// It is gone, or part of a larger block: choose anew from here.
				return s.behindTrim(look.from), nil
			}
			look.show(visit)
			shown += len(look.found)
		}
		v.chosen = v.chosen[n:]
	}
	return from, nil
}

// visiting is one call of Visit.
type visiting struct {
	store        *Store
	since, until int64
	topics       []string
	chosen       []chosenBlock
	looks        []blockLook
}

type chosenBlock struct {
	header header
	from   message.Position // within it
}

// choose notes the next blocks that may hold something, and gives the position behind them; 0 when no
// block behind them may.
func (v *visiting) choose(from message.Position) (message.Position, error) {
	for range visitBlocks {
		h, found := v.store.index.within(from, v.since, v.until)
		if !found {
			from = 0
			break
		}
		from = max(from, h.first)
		candidate, err := v.store.nextCandidate(from, v.topics)
		if err != nil {
			return from, err
		}
		if candidate > h.last() {
			from = candidate
			continue
		}
		v.chosen = append(v.chosen, chosenBlock{h, candidate})
		from = h.last() + 1
	}
	n := min(visitors, runtime.GOMAXPROCS(0), len(v.chosen))
	v.looks = make([]blockLook, n)
	for i := range v.looks {
		v.looks[i].visiting = v
	}
	return from, nil
}

// read looks through the next n blocks, each in a goroutine.
func (v *visiting) read(n int) {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	for i := range n {
		look := &v.looks[i]
		look.header, look.from = v.chosen[i].header, v.chosen[i].from
		if i == n-1 {
			look.read()
			return
		}
		helpers.Go(look.read)
	}
}

// blockLook is what was found in one block. Its memory is used again for the next.
type blockLook struct {
	*visiting
	header header
	from   message.Position
	err    error
	plain  []byte // of the chunk that is looked at
	kept   []byte // payloads
	found  []foundRecord
}

type foundRecord struct {
	at      message.Position
	time    int64
	topic   int
	payload part // of kept
}

func (l *blockLook) read() {
	l.kept, l.found, l.err = l.kept[:0], l.found[:0], nil
	// What panics here must cost one block, as in view.
	defer func() {
		if r := recover(); r != nil {
			l.err = fmt.Errorf("%w: %v", errBlock, r)
		}
	}()
	if c := l.store.cache.peek(span{l.header.first, l.header.last()}); c != nil {
		b, err := l.store.content(c, l.header)
		if err == nil {
			err = l.walk(b.plain, b.chunks, b.first, b.base)
		}
		l.err = err
		return
	}
	l.err = l.store.inBlock(l.header, func(value []byte) error {
		l.kept, l.found = l.kept[:0], l.found[:0]
		layout, err := parseLayout(value)
		if err == nil {
			err = l.header.suits(layout.first, layout.count)
		}
		if err != nil {
			return err
		}
		at := layout.first
		for i := range layout.chunks {
			c := &layout.chunks[i]
			if at+message.Position(c.records) > l.from {
				if cap(l.plain) < c.size {
					l.plain = make([]byte, max(c.size, chunkPayload))
				}
				if err := c.decode(l.plain[:c.size]); err != nil {
					return err
				}
				if err := l.walk(l.plain[:c.size], []chunk{{c.size, c.records}}, at, layout.base); err != nil {
					return err
				}
			}
			at += message.Position(c.records)
		}
		return nil
	})
}

// walk takes what matches in chunks that lie one behind the other, whose first record is at that position.
func (l *blockLook) walk(plain []byte, chunks []chunk, at message.Position, base int64) error {
	start := 0
	var r rawRecord
	for _, c := range chunks {
		time := base
		for range c.records {
			b := plain[start:c.end]
			size := r.parse(b)
			if size == 0 {
				return fmt.Errorf("%w: the record at %d", errBlock, at)
			}
			time += r.time
			if at >= l.from && time >= l.since && time <= l.until {
				if topic := l.which(r.topic.of(b)); topic >= 0 {
					from := len(l.kept)
					l.kept = append(l.kept, r.payload.of(b)...)
					l.found = append(l.found, foundRecord{at, time, topic, part{from, len(l.kept)}})
				}
			}
			start += size
			at++
		}
	}
	return nil
}

// which gives the place of a topic among those that are asked for, -1 when it is none of them.
func (l *blockLook) which(topic []byte) int {
	for i, wanted := range l.topics {
		if string(topic) == wanted {
			return i
		}
	}
	return -1
}

func (l *blockLook) show(visit func(Stored)) {
	for i := range l.found {
		f := &l.found[i]
		visit(Stored{f.at, f.time, f.topic, f.payload.of(l.kept)})
	}
}

// disorder is how far the times of messages may lie behind those stored before them without a clock that
// jumps: a reading waits for a busy log.
const disorder = 60_000 // milliseconds

// within gives the first block that ends at or behind from and may hold messages of these times.
func (ix *index) within(from message.Position, since, until int64) (header, bool) {
	since, until = minus(since, disorder), minus(until, -disorder)
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	for i := ix.searchLocked(from); i < len(ix.blocks); i++ {
		earliest, latest := ix.blocks[i].time, int64(math.MaxInt64)
		if i+1 < len(ix.blocks) {
			earliest, latest = min(earliest, ix.blocks[i+1].time), max(earliest, ix.blocks[i+1].time)
		}
		if latest >= since && earliest <= until {
			return ix.blocks[i], true
		}
	}
	return header{}, false
}

// minus subtracts without running over either end.
func minus(a, b int64) int64 {
	switch d := a - b; {
	case b > 0 && d > a:
		return math.MinInt64
	case b < 0 && d < a:
		return math.MaxInt64
	default:
		return d
	}
}
