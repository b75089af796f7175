package broker

// Stats are the broker's counters.
type Stats struct {
	Handed   uint64 // messages put into the inboxes of live subscriptions and members of shares
	Dropped  uint64 // messages of Hand and of QoS 0 for which an inbox had no room
	Live     int    // subscriptions that the router hands messages to
	Behind   int    // subscriptions that read the log themselves
	Sleeping int    // sessions whose client is away
	Filters  int    // of subscriptions, shares, and sleeping sessions for which nothing has come
	Shares   int
}

// Stats gives the counters as they are now.
func (b *Broker) Stats() Stats {
	r := &b.router
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := Stats{
		Handed: r.handed.Load(), Dropped: r.dropped.Load(),
		Sleeping: len(r.sleepers), Filters: r.trie.n, Shares: len(r.shares),
	}
	for s := range r.open {
		if s.live { // it changes under the router's mutex only
			stats.Live++
		}
	}
	stats.Behind = len(r.open) - stats.Live
	return stats
}
