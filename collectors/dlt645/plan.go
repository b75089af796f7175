package dlt645

import (
	"cmp"
	"context"
	"slices"
)

// request is one identifier to ask for, and the points that the answer holds.
type request struct {
	id     ID
	block  bool // id is a block that the driver chose, not the configuration
	points []int
	places []int // where in the answer; -1: all of it
}

// What is known of a block.
type blockState byte

const (
	goodBlock    blockState = iota
	doubtedBlock            // nothing came, but nothing else did either
	badBlock
)

// plan makes the fewest requests: one for each identifier, and one for each block of which at least
// two values are asked for.
func (m *meter) plan() {
	m.requests, m.start = nil, 0
	m.planned = m.lessons()
	members := map[ID]int{}
	for i := range m.points {
		if block, _, ok := m.points[i].block(m.link); ok {
			members[block]++
		}
	}
	for i := range m.points {
		p := &m.points[i]
		id, place, isBlock := p.id, p.at, false
		if block, index, ok := p.block(m.link); ok && members[block] > 1 {
			id, place, isBlock = block, index*p.format.bytes, true
		}
		at := slices.IndexFunc(m.requests, func(q request) bool { return q.id == id && q.block == isBlock })
		if at < 0 {
			at = len(m.requests)
			m.requests = append(m.requests, request{id: id, block: isBlock})
		}
		q := &m.requests[at]
		q.points, q.places = append(q.points, i), append(q.places, place)
	}
}

// block gives the block that brings the point, as long as it is worth trying. A point whose format
// the configuration says is what it says, not what the standard has in the block.
func (p *point) block(l *link) (block ID, index int, ok bool) {
	if !l.useBlocks || p.at >= 0 {
		return ID{}, 0, false
	}
	if usual, ok := known(p.id); !ok || usual != p.format {
		return ID{}, 0, false
	}
	block, index, ok = blockOf(p.id)
	return block, index, ok && l.state(block) == goodBlock
}

func (l *link) state(block ID) blockState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocks[block]
}

// lessons counts what has been learned: a plan that is older is made anew.
func (l *link) lessons() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.learned
}

func (l *link) learn(block ID, s blockState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.blocks == nil {
		l.blocks = map[ID]blockState{}
	}
	l.blocks[block] = s
	l.learned++
}

// suspect doubts the blocks of these requests: a meter that answers nothing may be absent, or silent
// about blocks. The next poll does without them.
func (m *meter) suspect(failed []int) {
	for _, at := range failed {
		m.learn(m.requests[at].id, doubtedBlock)
	}
}

// probe asks for one doubted block now that the meter has answered other requests.
func (m *meter) probe(ctx context.Context) {
	m.mu.Lock()
	var doubted []ID
	for block, s := range m.blocks {
		if s == doubtedBlock {
			doubted = append(doubted, block)
		}
	}
	m.mu.Unlock()
	if len(doubted) == 0 {
		return
	}
	block := slices.MinFunc(doubted, func(a, b ID) int { return cmp.Compare(a.code, b.code) })
	switch _, err := m.fetch(ctx, m.client, block); {
	case err == nil:
		m.learn(block, goodBlock)
	case answered(err) || silent(err):
		m.learn(block, badBlock)
	}
}
