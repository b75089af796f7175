package mqtt5

// order decides which message may be sent when. A broker of MQTT 5 may refuse one message and take
// those behind it, so of one key only so many are under way at once, by default one; keys take turns,
// and all together stay within what the broker allows. It is guarded by its link's mutex.
type order struct {
	perKey int // messages of one key that may be under way
	quota  int // further messages that the broker allows
	keys   map[string]*key
	ready  fifo[*key] // those that may send, in turn
	taken  int        // messages that wait or are under way
}

// key is what is known of the messages of one key. It is forgotten when there are none.
type key struct {
	name     string
	waiting  fifo[*pending]
	out      int  // under way
	refusing bool // one was refused, and whoever sends does not know yet
	queued   bool // it is in ready
}

func newOrder(perKey int) order {
	return order{perKey: perKey, keys: make(map[string]*key)}
}

// add takes a message.
func (o *order) add(name string, p *pending) {
	k := o.keys[name]
	if k == nil {
		k = &key{name: name}
		o.keys[name] = k
	}
	p.key = k
	k.waiting.push(p)
	o.taken++
	o.settle(k)
}

// settle gives a key its turn, or forgets it.
func (o *order) settle(k *key) {
	switch {
	case k.queued:
	case !k.refusing && k.out < o.perKey && k.waiting.len() > 0:
		k.queued = true
		o.ready.push(k)
	case !k.refusing && k.out == 0 && k.waiting.len() == 0:
		delete(o.keys, k.name)
	}
}

// next gives the message that is to be sent now, or nil. What is acknowledged is under way then;
// of anything else nothing is heard any more.
func (o *order) next() *pending {
	for o.ready.len() > 0 {
		k := o.ready.first()
		if k.refusing || k.waiting.len() == 0 { // since it queued up
			o.ready.pop()
			k.queued = false
			o.settle(k)
			continue
		}
		acknowledged := k.waiting.first().acknowledged()
		if acknowledged && o.quota == 0 {
			return nil
		}
		o.ready.pop()
		k.queued = false
		p := k.waiting.pop()
		if acknowledged {
			k.out++
			o.quota--
		}
		o.settle(k)
		return p
	}
	return nil
}

// written forgets a message without acknowledgement.
func (o *order) written() { o.taken-- }

// acknowledged forgets a message that was under way.
func (o *order) acknowledged(p *pending) {
	p.key.out--
	o.quota++
	o.taken--
	o.settle(p.key)
}

// refuse is acknowledged, and stops the key until release.
func (o *order) refuse(p *pending) {
	p.key.refusing = true
	o.acknowledged(p)
}

// release gives what was held back since refuse, and lets the key go on.
func (o *order) release(k *key) []*pending {
	held := k.waiting.take()
	o.taken -= len(held)
	k.refusing = false
	o.settle(k)
	return held
}

// clear gives all that wait.
func (o *order) clear() []*pending {
	var all []*pending
	for _, k := range o.keys {
		all = append(all, k.waiting.take()...)
	}
	o.taken -= len(all)
	o.ready.take()
	return all
}

// fifo is a queue that keeps its memory. What it holds is bounded by who fills it.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }
func (f *fifo[T]) first() T { return f.items[f.head] }

func (f *fifo[T]) push(item T) {
	if f.head > 32 && f.head >= len(f.items)/2 { // what is used up is more than what is left
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, item)
}

func (f *fifo[T]) pop() T {
	var none T
	item := f.items[f.head]
	f.items[f.head] = none
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return item
}

// take gives everything and leaves nothing.
func (f *fifo[T]) take() []T {
	all := f.items[f.head:]
	f.items, f.head = nil, 0
	return all
}
