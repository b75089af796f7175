package main

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"

	"sluice/gateway/message"
)

// The peers get the group commit that our store has: blocks of 512 KiB in chunks of 64 KiB, up to
// eight of them in one sync, the next ones compressed while it runs, 8 MiB pending at most.
const (
	blockPayload = 512 << 10
	chunkPayload = 64 << 10
	commitBlocks = 8
	pendingBytes = 8 << 20
)

// block is a group of messages as it is stored under its last position.
type block struct {
	last   uint64
	stored []byte
}

type waiter struct {
	ack   message.Acknowledger
	token uint64
}

type group struct {
	first   uint64
	plain   []byte
	waiters []waiter
}

// committer turns messages into blocks, and hands as many as wait to write, which syncs them.
type committer struct {
	write  func([]block) error
	finish func() error
	wake   chan struct{}
	done   chan struct{}

	mu      sync.Mutex // guards what follows
	room    *sync.Cond
	groups  []*group
	next    uint64
	pending int
	closed  bool
	err     error
}

func newCommitter(write func([]block) error, finish func() error) *committer {
	c := &committer{write: write, finish: finish, wake: make(chan struct{}, 1), done: make(chan struct{}), next: 1}
	c.room = sync.NewCond(&c.mu)
	go c.run()
	return c
}

func (c *committer) Append(m *message.Message, ack message.Acknowledger, token uint64) error {
	size := len(m.Topic) + len(m.Payload) + 32
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.pending > 0 && c.pending+size > pendingBytes && c.err == nil {
		c.room.Wait()
	}
	if c.err != nil || c.closed {
		return fmt.Errorf("closed: %w", c.err)
	}
	if n := len(c.groups); n == 0 || len(c.groups[n-1].plain)+size > blockPayload {
		c.groups = append(c.groups, &group{first: c.next, plain: make([]byte, 0, 4096)})
	}
	g := c.groups[len(c.groups)-1]
	before := len(g.plain)
	g.plain = binary.AppendVarint(g.plain, m.Time)
	g.plain = binary.AppendUvarint(g.plain, uint64(len(m.Topic)))
	g.plain = append(g.plain, m.Topic...)
	g.plain = binary.AppendUvarint(g.plain, uint64(len(m.Payload)))
	g.plain = append(g.plain, m.Payload...)
	g.waiters = append(g.waiters, waiter{ack, token})
	c.pending += len(g.plain) - before
	c.next++
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// take gives the oldest group; with full only if nothing can join it any more.
func (c *committer) take(full bool) *group {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.groups) == 0 || full && len(c.groups) == 1 {
		return nil
	}
	g := c.groups[0]
	c.groups = c.groups[1:]
	return g
}

func (c *committer) run() {
	defer close(c.done)
	var groups []*group
	var blocks []block
	add := func(full bool) bool {
		if len(groups) == commitBlocks {
			return false
		}
		g := c.take(full)
		if g == nil {
			return false
		}
		groups = append(groups, g)
		blocks = append(blocks, block{g.first + uint64(len(g.waiters)) - 1, compress(g)})
		return true
	}
	result := make(chan error, 1)
	for {
		for add(false) {
		}
		if len(groups) == 0 {
			c.mu.Lock()
			ended := c.closed && len(c.groups) == 0
			c.mu.Unlock()
			if ended {
				return
			}
			<-c.wake
			continue
		}
		writing, inFlight := groups, blocks
		groups, blocks = nil, nil
		go func() { result <- c.write(inFlight) }()
		var err error
		for waiting := true; waiting; {
			if add(true) {
				select {
				case err = <-result:
					waiting = false
				default:
				}
				continue
			}
			select {
			case err = <-result:
				waiting = false
			case <-c.wake:
			}
		}
		c.settle(writing, err)
	}
}

func (c *committer) settle(groups []*group, err error) {
	c.mu.Lock()
	for _, g := range groups {
		c.pending -= len(g.plain)
	}
	if err != nil {
		c.err = err
	}
	c.room.Broadcast()
	c.mu.Unlock()
	for _, g := range groups {
		for i, w := range g.waiters {
			w.ack.Acknowledge(w.token, message.Position(g.first)+message.Position(i), err)
		}
	}
}

func (c *committer) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	<-c.done
	return c.finish()
}

// compress writes chunks: plain length 4, stored length 4, S2.
func compress(g *group) []byte {
	var out []byte
	out = binary.BigEndian.AppendUint32(out, uint32(len(g.waiters)))
	scratch := make([]byte, s2.MaxEncodedLen(chunkPayload))
	for plain := g.plain; len(plain) > 0; {
		n := min(chunkPayload, len(plain))
		stored := s2.Encode(scratch, plain[:n])
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		out = binary.BigEndian.AppendUint32(out, uint32(len(stored)))
		out = append(out, stored...)
		plain = plain[n:]
	}
	return out
}
