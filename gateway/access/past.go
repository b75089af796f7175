package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// past is what is known of the attempts so far. It outlives a change of the configuration.
type past struct {
	secret [sha256.Size]byte // of this process

	address, user, pair *throttle
	waiting             *seats
	turns               chan struct{}
	queued              atomic.Int64
	swollen             atomic.Bool // by a hash of 1 MiB or more

	mu       sync.Mutex // guards what follows
	verified map[string]key
	known    map[key]struct{}
}

func newPast() *past {
	p := &past{
		address:  newThrottle(5, time.Minute),
		user:     newThrottle(10, 4*time.Second),
		pair:     newThrottle(5, 4*time.Second),
		waiting:  newSeats(mostDelayed, delayedEach),
		turns:    make(chan struct{}, hashesAtOnce),
		verified: make(map[string]key),
		known:    make(map[key]struct{}),
	}
	rand.Read(p.secret[:]) // never fails
	return p
}

// origin are the names under which an attempt is counted.
type origin struct{ address, user, pair key }

func (p *past) originOf(a *Attempt) origin {
	address := addressName(a.Address)
	return origin{p.key("address", address), p.key("user", a.User), p.key("pair", address, a.User)}
}

// key is a name under the process's secret, so that nobody can choose names that collide or read
// passwords from memory.
func (p *past) key(parts ...string) (k key) {
	mac := hmac.New(sha256.New, p.secret[:])
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	mac.Sum(k[:0])
	return k
}

// due says how long an attempt has to wait for what failed before it.
func (p *past) due(from origin) time.Duration {
	if p.knows(from.pair) {
		return p.pair.wait(from.pair)
	}
	return max(p.address.wait(from.address), p.user.wait(from.user))
}

func (p *past) failed(from origin) {
	p.address.failed(from.address)
	p.user.failed(from.user)
	if p.knows(from.pair) {
		p.pair.failed(from.pair)
	}
}

func (p *past) succeeded(from origin) {
	p.address.succeeded(from.address)
	p.user.succeeded(from.user)
	p.pair.succeeded(from.pair)
	p.mu.Lock()
	defer p.mu.Unlock()
	makeRoom(p.known, from.pair)
	p.known[from.pair] = struct{}{}
}

func (p *past) knows(pair key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.known[pair]
	return known
}

func (p *past) remembers(name string, proof key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	verified, ok := p.verified[name]
	return ok && hmac.Equal(verified[:], proof[:])
}

func (p *past) remember(name string, proof key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	makeRoom(p.verified, name)
	p.verified[name] = proof
}

// makeRoom keeps a table bounded: any entry goes, it costs one more hash.
func makeRoom[K comparable, V any](table map[K]V, next K) {
	if _, there := table[next]; there || len(table) < mostKnown {
		return
	}
	for name := range table {
		delete(table, name)
		return
	}
}

// addressName is the name by which an address is counted: a whole /64 is one subscriber in IPv6.
func addressName(remote string) string {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	ip := address.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}
