package hj212

// memory knows the last messages that were delivered, so that a repetition is acknowledged and not
// delivered again.
type memory struct {
	known map[string]struct{}
	ring  [remembered]string
	next  int
}

// remembered is how many messages a station knows: loggers repeat the last one, a few times.
const remembered = 256

func (m *memory) has(key string) bool {
	_, known := m.known[key]
	return known
}

func (m *memory) add(key string) {
	if m.known == nil {
		m.known = make(map[string]struct{}, remembered)
	}
	if m.has(key) {
		return
	}
	delete(m.known, m.ring[m.next])
	m.ring[m.next] = key
	m.known[key] = struct{}{}
	m.next = (m.next + 1) % remembered
}
