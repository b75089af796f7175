package store

import (
	"hash/maphash"
	"strings"
)

// topicSet says which topics a block may hold: a Bloom filter with one hash. The index knows that of older
// blocks; of the newest one every reader of a single topic would else look at each record, a hundred
// devices that wait for commands among them.
type topicSet [16]uint64

var topicSeed = maphash.MakeSeed()

func (s *topicSet) add(topic []byte) {
	at := maphash.Bytes(topicSeed, topic) % (64 * uint64(len(s)))
	s[at/64] |= 1 << (at % 64)
}

func (s *topicSet) has(topic string) bool {
	at := maphash.String(topicSeed, topic) % (64 * uint64(len(s)))
	return s[at/64]&(1<<(at%64)) != 0
}

// mayHold is false when no record of the block has one of these topics.
func (b *block) mayHold(topics []string) bool {
	set := b.topics.Load()
	if set == nil { // two who come at once make the same
		set = new(topicSet)
		for r := b.from(0); r.step(); {
			set.add(r.raw.topic.of(b.plain[r.start:]))
		}
		b.topics.Store(set)
	}
	for _, topic := range topics {
		if set.has(topic) {
			return true
		}
	}
	return false
}

// areTopics says that filters have no wildcards.
func areTopics(filters []string) bool {
	for _, f := range filters {
		if strings.ContainsAny(f, "+#") {
			return false
		}
	}
	return true
}
