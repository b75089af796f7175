package store

import (
	"container/list"
	"sync"
	"weak"

	"sluice/gateway/message"
)

// cache keeps the blocks that were read or committed last, decompressed once for all readers.
type cache struct {
	bound int       // bytes
	lanes int       // bytes that blocks with lanes may take besides
	names sync.Pool // of *nameTable

	mu    sync.Mutex                   // guards what follows
	young map[message.Position]*cached // by last position: blocks that only the write-ahead log has
	known map[span]*list.Element
	order list.List // of *cached, the most recently used first
	cost  int
	laned int // what of cost is blocks with lanes

	dropped [cacheDropped]dropped // a ring
	oldest  int                   // in it
}

const (
	cacheBytes  = 3 << 19
	cacheBlocks = 256
	// lanesBytes: the queues of a topic are read by consumers that drift apart by some blocks, and each would
	// decompress all of them for itself. With eight consumers on a backlog 4 MiB open each block 2.4 times.
	lanesBytes = 12 << 20
	blockCost  = 512 // bytes of memory that a block takes beside its content

	// cacheDropped is more than one transaction brings: nobody can read its blocks before all of them
	// are there, and by then the first have been dropped.
	cacheDropped = 4 * commitBlocks
)

// dropped is a block that the bound pushed out. It is garbage, but as long as the collector has not
// come for it, it need not be read and decompressed again.
type dropped struct {
	span  span
	block weak.Pointer[cached]
}

// span names a block. Its last position alone does not: a checkpoint keeps that.
type span struct{ first, last message.Position }

// cached is one block. Whoever comes first loads it, the others wait for him.
type cached struct {
	span span
	cost int  // guarded by cache.mu
	has  bool // lanes; guarded by cache.mu

	once      sync.Once
	unchecked *block // just committed, and nobody has asked for it yet
	content   *block
	err       error
	laned     sync.Once // the content's lanes are made
}

// entry gives the place of a block, and makes it when there is none.
func (c *cache) entry(at span) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.young[at.last]; ok && b.span == at {
		return b
	}
	if e, ok := c.known[at]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*cached)
	}
	b := c.droppedLocked(at)
	if b == nil {
		b = &cached{span: at}
	}
	c.addLocked(b)
	c.shrinkLocked()
	return b
}

// put keeps a block that was just committed.
func (c *cache) put(g *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := g.cached()
	b.cost = blockCost + cap(g.plain) + (markCost/markEvery+8)*int(g.count)
	c.addLocked(b)
	c.shrinkLocked()
}

// hold keeps one that is nowhere else but in the write-ahead log, until release.
func (c *cache) hold(g *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil {
		c.young = make(map[message.Position]*cached)
	}
	c.young[g.last()] = g.cached()
}

// release lets go of those in a span, which Badger has now.
func (c *cache) release(first, last message.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, b := range c.young {
		if b.span.first >= first && at <= last {
			delete(c.young, at)
		}
	}
}

func (g *group) cached() *cached {
	return &cached{span: span{g.first, g.last()}, unchecked: groupBlock(g)}
}

func (c *cache) addLocked(b *cached) {
	if c.known == nil {
		c.known = make(map[span]*list.Element)
	}
	c.known[b.span] = c.order.PushFront(b)
	c.countLocked(b, +1)
}

// peek gives a block that is there already and leaves the order alone; nil when it is not.
func (c *cache) peek(at span) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.young[at.last]; ok && b.span == at {
		return b
	}
	if e, ok := c.known[at]; ok {
		return e.Value.(*cached)
	}
	return c.droppedLocked(at)
}

// droppedLocked gives a block that was dropped and that the collector has not come for; nil when there
// is none.
func (c *cache) droppedLocked(at span) *cached {
	for i := range c.dropped {
		if c.dropped[i].span == at {
			return c.dropped[i].block.Value()
		}
	}
	return nil
}

// loaded accounts for a block that has come into memory.
func (c *cache) loaded(b *cached, cost int, lanes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.known[b.span]
	here := ok && e.Value == b
	if here {
		c.countLocked(b, -1)
	}
	b.cost, b.has = cost, lanes // also of one that was dropped meanwhile: it may come back
	if here {
		c.countLocked(b, +1)
		c.shrinkLocked()
	}
}

// countLocked adds or takes away what a block costs.
func (c *cache) countLocked(b *cached, sign int) {
	c.cost += sign * b.cost
	if b.has {
		c.laned += sign * b.cost
	}
}

// forget drops a block that could not be loaded, so that the next reader tries again.
func (c *cache) forget(b *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.known[b.span]; ok && e.Value == b {
		c.dropLocked(e)
	}
	for i := range c.dropped {
		if c.dropped[i].span == b.span {
			c.dropped[i] = dropped{}
		}
	}
}

func (c *cache) shrinkLocked() {
	for (c.cost-min(c.laned, c.lanes) > c.bound || c.order.Len() > cacheBlocks) && c.order.Len() > 1 {
		b := c.order.Back().Value.(*cached)
		c.dropLocked(c.order.Back())
		c.dropped[c.oldest] = dropped{b.span, weak.Make(b)}
		c.oldest = (c.oldest + 1) % cacheDropped
	}
}

func (c *cache) dropLocked(e *list.Element) {
	b := c.order.Remove(e).(*cached)
	delete(c.known, b.span)
	c.countLocked(b, -1)
}

// borrowNames gives names to make records with; they go back with names.Put.
func (c *cache) borrowNames() *nameTable {
	if n, ok := c.names.Get().(*nameTable); ok {
		return n
	}
	return new(nameTable)
}
