package broker

import "sync"

// durable knows the filters of those who want their messages kept in the log: consumers, sessions that
// sleep and shared subscriptions that outlive connections.
type durable struct {
	mu   sync.RWMutex // guards what follows
	trie trie[string] // with each filter once
	uses map[string]int
}

func (d *durable) add(filter string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uses == nil {
		d.uses = make(map[string]int)
	}
	if d.uses[filter]++; d.uses[filter] == 1 {
		d.trie.add(filter, filter)
	}
}

func (d *durable) remove(filter string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uses[filter]--; d.uses[filter] == 0 {
		delete(d.uses, filter)
		d.trie.remove(filter, filter)
	}
}

func (d *durable) wants(topic string) bool {
	d.mu.RLock()
	none := d.trie.n == 0
	found, known := d.trie.known(topic)
	d.mu.RUnlock()
	if none || known {
		return len(found.entries) > 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.trie.match(topic).entries) > 0
}

// Wanted says whether somebody wants messages under topic kept in the log: a consumer, a session that
// sleeps, or a shared subscription that outlives its members' connections.
func (b *Broker) Wanted(topic string) bool { return b.durable.wants(topic) }
