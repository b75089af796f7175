package store

import (
	"cmp"
	"fmt"
	"slices"

	"sluice/gateway/message"
)

// What one step of carrying takes at most; all of it is in memory until it is written.
const (
	carrySteps = 64
	carryBytes = 1 << 20
)

// carryLimit bounds what carried messages may take on disk: two files.
func (s *Store) carryLimit() int64 { return 2 * s.opts.FileSize }

// carry makes ready for the head to pass upTo: the small state is in step with the log, and the
// retained messages that lie up to there are kept as values of their own. Beyond the limit of those
// they are forgotten, and counted. It runs on the committing goroutine.
func (s *Store) carry(upTo message.Position) error {
	if err := s.settleSmall(); err != nil {
		return err
	}
	for {
		step := s.small.retained.below(upTo)
		if len(step) == 0 {
			return nil
		}
		var values []*tracked
		bytes := 0
		for _, p := range step {
			content, err := s.carriedContent(p.at)
			if err != nil {
				s.log.Warn("a retained message cannot be carried on", "topic", p.topic.topic, "position", p.at, "err", err)
			}
			if v := s.keepCarried(p.topic, p.at, content); v != nil {
				values = append(values, v)
			}
			if bytes += len(content); bytes > carryBytes {
				break
			}
		}
		s.space.wrote(int64(bytes))
		if err := s.flushSmall(values...); err != nil {
			return err
		}
	}
}

type retainedPlace struct {
	topic *retainedTopic
	at    message.Position
}

// below gives some of the retained messages that lie in the log up to a position, the oldest first.
func (r *retained) below(upTo message.Position) (step []retainedPlace) {
	r.small.mu.Lock()
	defer r.small.mu.Unlock()
	if r.count == 0 || upTo < r.lowest {
		return nil
	}
	r.lowest = 1<<63 - 1
	r.root.all(func(t *retainedTopic) { step = r.collectLocked(step, t, upTo) })
	slices.SortFunc(step, func(a, b retainedPlace) int { return cmp.Compare(a.at, b.at) })
	if len(step) > 0 {
		r.lowest = step[0].at // there may be more
	}
	return step[:min(len(step), carrySteps)]
}

func (r *retained) collectLocked(step []retainedPlace, t *retainedTopic, upTo message.Position) []retainedPlace {
	switch {
	case t.carried > 0:
	case t.at <= upTo:
		step = append(step, retainedPlace{t, t.at})
	default:
		r.lowest = min(r.lowest, t.at)
	}
	return step
}

// carriedContent is the record at a position as a block of its own.
func (s *Store) carriedContent(at message.Position) ([]byte, error) {
	h, found := s.index.find(at)
	if !found || h.first > at {
		return nil, errAbsent
	}
	records, err := s.records(h)
	if err != nil {
		return nil, err
	}
	r := &records[at-h.first]
	g := &group{first: at}
	g.put(&r.Message, placeOf(r), recordBound(&r.Message))
	return appendBlock(nil, g.plain, g.chunks, g.first, g.base), nil
}

// keepCarried gives a retained message its content, or forgets it when there is none or no room.
func (s *Store) keepCarried(t *retainedTopic, at message.Position, content []byte) *tracked {
	r := &s.small.retained
	s.small.mu.Lock()
	defer s.small.mu.Unlock()
	if t.gone || t.at != at {
		return nil // cannot be: only the committing goroutine replaces it
	}
	if content != nil && r.carried+int64(len(content)) > s.carryLimit() {
		r.refused++
		if r.refused&(r.refused-1) == 0 { // now and then
			s.log.Warn("retained messages are forgotten for want of space", "topic", t.topic, "forgotten", r.refused, "limit", s.carryLimit())
		}
		content = nil
	}
	if content == nil {
		r.forgetLocked(t)
	} else {
		t.content, t.carried = content, uint64(len(content))
		r.carried += int64(len(content))
	}
	s.small.soilLocked(&t.tracked)
	return &t.tracked
}

// carriedProblem says what is wrong with a carried message; nil when nothing is.
func carriedProblem(key, value []byte) error {
	if len(key) != 5 || key[0] != prefixCarried {
		return fmt.Errorf("%w: key %q is of no carried message", errValue, key)
	}
	if len(value) == 2+4 {
		mark, _, err := unsealSmall(key, value)
		if err == nil && mark != absent {
			err = fmt.Errorf("%w under key %q: mark %d", errValue, key, mark)
		}
		return err
	}
	records, err := decodeBlock(value)
	if err == nil && len(records) != 1 {
		err = fmt.Errorf("%w under key %q: %d messages", errValue, key, len(records))
	}
	return err
}
