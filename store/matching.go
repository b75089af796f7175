package store

import (
	"errors"
	"math/bits"
	"slices"
	"sort"
	"strings"

	"sluice/gateway/message"
)

// matchBlocks bounds the blocks that one call of ReadMatching looks through.
const matchBlocks = 16

// ReadMatching appends to dst up to most durable records, in order, that stand at or behind from and
// whose topic matches one of the filters, which must be valid MQTT filters. next is where to go on:
// no record between from and next matches but those returned. Blocks that the index knows to hold no
// such topic are not read. A call looks through a bounded part of the log, so it may return no
// record although next has moved; when next is behind the tail there is none yet. What was trimmed
// or damaged is skipped.
func (s *Store) ReadMatching(dst []message.Record, from message.Position, most int, filters []string) (records []message.Record, next message.Position, err error) {
	if !s.use.TryRLock() {
		return dst, from, message.ErrClosed // only Close takes it for writing
	}
	defer s.use.RUnlock()
	if s.gone {
		return dst, from, message.ErrClosed
	}
	all := slices.Contains(filters, "#") // nearly all: what begins with '$' is still to be kept out
	single := areTopics(filters)
	for range matchBlocks {
		if most <= 0 {
			break
		}
		_, tail := s.index.ends()
		if !all {
			if from, err = s.nextCandidate(from, filters); err != nil {
				return dst, from, err
			}
		}
		h, ok := s.index.find(from)
		if !ok {
			if from <= tail {
				from = tail + 1
			}
			break
		}
		b, err := s.block(h)
		if err != nil {
			if err := s.skip(h, err); err != nil {
				return dst, from, err
			}
			from = s.behindTrim(from)
			continue
		}
		if single && !b.mayHold(filters) {
			from = b.last() + 1
			continue
		}
		start := len(dst)
		dst, from = s.appendMatching(dst, b, uint32(max(from, h.first)-b.first), filters, most)
		most -= len(dst) - start
	}
	return dst, from, nil
}

// appendMatching is ReadMatching in one block. What it remembers is large, and who waits for a single
// topic seldom comes as far as here.
func (s *Store) appendMatching(dst []message.Record, b *block, record uint32, filters []string, most int) ([]message.Record, message.Position) {
	match := matcher{filters: filters, names: s.cache.borrowNames()}
	defer s.cache.names.Put(match.names)
	return match.appendTo(dst, b, record, most)
}

// matcher remembers which of the topics that it met one of the filters matches.
type matcher struct {
	filters []string
	names   *nameTable
	known   [nameSlots]verdict
}

// verdict is about the text in one slot of the names.
type verdict struct {
	topic          string
	given, matches bool
}

// appendTo appends up to most records of a block from that one on, and says where to go on.
func (m *matcher) appendTo(dst []message.Record, b *block, record uint32, most int) ([]message.Record, message.Position) {
	for r := b.from(record); r.step(); {
		topic, slot := r.topic(m.names)
		if !m.wants(topic, slot) {
			continue
		}
		if most == 0 {
			return dst, b.first + message.Position(r.record)
		}
		most--
		dst = grown(dst, 1)
		dst = dst[:len(dst)+1]
		r.make(&dst[len(dst)-1], topic, m.names)
	}
	return dst, b.last() + 1
}

func (m *matcher) wants(topic string, slot int) bool {
	if slot < 0 {
		return matchesAny(m.filters, topic)
	}
	v := &m.known[slot]
	if !v.given || v.topic != topic {
		*v = verdict{topic, true, matchesAny(m.filters, topic)}
	}
	return v.matches
}

func matchesAny(filters []string, topic string) bool {
	for _, f := range filters {
		if message.Match(f, topic) {
			return true
		}
	}
	return false
}

// nextCandidate gives the first position at or behind from where something may match. Where the
// index says nothing that is from itself.
func (s *Store) nextCandidate(from message.Position, filters []string) (message.Position, error) {
	p := &s.postings
	for {
		p.mu.RLock()
		at, skipped := p.pending.candidate(from, filters)
		i := sort.Search(len(p.runs), func(i int) bool { return p.runs[i].last >= from })
		var r *run
		if i < len(p.runs) && p.runs[i].first <= from {
			r = p.runs[i]
		}
		p.mu.RUnlock()
		switch {
		case skipped:
			if at <= from {
				return from, nil
			}
			from = at // behind pending, or at a block that may match
			continue
		case r == nil:
			return from, nil
		}
		set, err := s.candidates(r, filters)
		if err != nil && !unreadable(err) {
			return from, err
		}
		if err != nil {
			return from, nil // the run was merged away just now, or is damaged: read the log itself
		}
		next, found := set.next(from)
		if found {
			return next, nil
		}
		from = r.last + 1
	}
}

// candidate is nextCandidate within pending; covered says whether pending knows about from.
func (p *pending) candidate(from message.Position, filters []string) (next message.Position, covered bool) {
	if p == nil || from < p.first || from > p.last() {
		return from, false
	}
	start := sort.Search(len(p.lasts), func(i int) bool { return p.lasts[i] >= from })
	best := len(p.lasts)
	take := func(list *blockList) {
		at, _ := slices.BinarySearch(list.blocks, uint16(start))
		if at < len(list.blocks) {
			best = min(best, int(list.blocks[at]))
		}
	}
	for _, f := range filters {
		if exact(f) {
			if list, known := p.topics[topicKey(f)]; known {
				take(list)
			}
			continue
		}
		for key, list := range p.topics {
			if mayMatch(f, key) {
				take(list)
				if best == start {
					break
				}
			}
		}
	}
	if best == len(p.lasts) {
		return p.last() + 1, true
	}
	return max(from, p.block(uint16(best)).first), true
}

func exact(filter string) bool { return !strings.ContainsAny(filter, "+#") }

// mayMatch says whether a filter matches a topic of which the index has key.
func mayMatch(filter, key string) bool {
	return len(key) == maxTopicKey || message.Match(filter, key)
}

// filterPrefix is what the keys of all topics that filter matches begin with.
func filterPrefix(filter string) string {
	if at := strings.IndexAny(filter, "+#"); at >= 0 {
		prefix := filter[:at]
		if filter[at] == '#' {
			prefix = strings.TrimSuffix(prefix, "/") // "a/#" matches "a" too [MQTT-4.7.1-2]
		}
		return topicKey(prefix)
	}
	return topicKey(filter)
}

type candidateKey struct {
	run     uint64
	filters string
}

// blockSet says which blocks of a run may match.
type blockSet struct {
	root *root
	bits []uint64
}

func (b *blockSet) add(blocks []uint32) {
	for _, n := range blocks {
		b.bits[n/64] |= 1 << (n % 64)
	}
}

// next gives the first position at or behind from in a block of the set.
func (b *blockSet) next(from message.Position) (message.Position, bool) {
	n := sort.Search(len(b.root.lasts), func(i int) bool { return b.root.lasts[i] >= from })
	for ; n < len(b.root.lasts); n++ {
		word := b.bits[n/64] >> (n % 64)
		if word == 0 {
			n = n | 63
			continue
		}
		n += bits.TrailingZeros64(word)
		return max(from, b.root.block(uint32(n)).first), true
	}
	return 0, false
}

// candidates finds the blocks of a run that may hold what one of the filters matches. Readers ask
// for the same again and again while they pass through a run.
func (s *Store) candidates(r *run, filters []string) (*blockSet, error) {
	p := &s.postings
	key := candidateKey{r.id, strings.Join(filters, "\x00")}
	p.mu.RLock()
	known := p.candidates[key]
	p.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	at, err := s.rootOf(r)
	if err != nil {
		return nil, s.lostRun(r, err)
	}
	set := &blockSet{root: at, bits: make([]uint64, (len(at.lasts)+63)/64)}
	for _, f := range filters {
		prefix := filterPrefix(f)
		err := s.scan(r, at, topicEntries, []byte(prefix), func(key []byte, blocks []uint32, _ []uint64) {
			if mayMatch(f, string(key)) {
				set.add(blocks)
			}
		})
		if err != nil {
			return nil, s.lostRun(r, err)
		}
	}
	p.mu.Lock()
	if len(p.candidates) >= cachedCandidates || p.candidates == nil {
		p.candidates = make(map[candidateKey]*blockSet)
	}
	p.candidates[key] = set
	p.mu.Unlock()
	return set, nil
}

// lostRun notes a run that cannot be read although it is listed: the indexer makes it again.
func (s *Store) lostRun(r *run, err error) error {
	if !unreadable(err) {
		return err
	}
	p := &s.postings
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.runs, r) && !slices.Contains(p.lost, r) {
		p.lost = append(p.lost, r)
	}
	return errors.Join(errValue, err)
}
