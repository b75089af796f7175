package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	hashesAtOnce = 2    // they are made to be slow: a flood must not take every core
	mostInQueue  = 1024 // attempts that wait for their turn to be hashed
	mostDelayed  = 256  // attempts that wait because others failed
	delayedEach  = 8    // of one address
	mostKnown    = 4096 // verified passwords, and pairs of user and address
	longestInput = 4096 // bytes of a password; no device has a longer one
)

// judge compares passwords with hashes, two at a time, and slows down who fails.
//
// An address that keeps failing waits up to a minute, a user only up to four seconds, since a
// stranger can make a user wait. Where a user has come from before, not even that counts: only the
// failures of the two together do. So neither a stranger nor a device with a wrong password behind
// the same address keeps out those who were in.
//
// What failed is counted while the turn to hash is held. So at most two attempts are judged before
// their failures count, and a thousand devices that come at once with the right password are none.
type judge struct {
	files  []*passwordFile
	secret [sha256.Size]byte // of this process

	address, user, pair *throttle
	waiting             *seats
	turns               chan struct{}
	queued              atomic.Int64

	delayed, hashed atomic.Uint64

	mu       sync.Mutex // guards what follows
	verified map[string]key
	known    map[key]struct{}
}

func newJudge(files []*passwordFile) *judge {
	j := &judge{
		files:    files,
		address:  newThrottle(5, time.Minute),
		user:     newThrottle(10, 4*time.Second),
		pair:     newThrottle(5, 4*time.Second),
		waiting:  newSeats(mostDelayed, delayedEach),
		turns:    make(chan struct{}, hashesAtOnce),
		verified: make(map[string]key),
		known:    make(map[key]struct{}),
	}
	rand.Read(j.secret[:]) // never fails
	return j
}

// origin are the names under which an attempt is counted.
type origin struct{ address, user, pair key }

func (j *judge) originOf(a *Attempt) origin {
	address := addressName(a.Address)
	return origin{j.key("address", address), j.key("user", a.User), j.key("pair", address, a.User)}
}

// key is a name under the process's secret, so that nobody can choose names that collide or read
// passwords from memory.
func (j *judge) key(parts ...string) (k key) {
	mac := hmac.New(sha256.New, j.secret[:])
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	mac.Sum(k[:0])
	return k
}

// password says why the password of an attempt is refused, or nothing. A u of nil, a user that does
// not exist, costs as much as a wrong password.
func (j *judge) password(ctx context.Context, u *user, a *Attempt) (why string) {
	if len(j.files) == 0 {
		return "there are no users with a password"
	}
	if len(a.Password) > longestInput {
		return "the password is too long"
	}
	from := j.originOf(a)
	delayed := false
	for {
		wait := j.due(from)
		if wait == 0 {
			again, why := j.try(ctx, u, a, from)
			if !again {
				return why
			}
			continue
		}
		if !delayed {
			delayed = true
			j.delayed.Add(1)
		}
		if !j.sit(ctx, wait, from.address) {
			return "too many attempts failed before"
		}
	}
}

// due says how long an attempt has to wait for what failed before it.
func (j *judge) due(from origin) time.Duration {
	if j.knows(from.pair) {
		return j.pair.wait(from.pair)
	}
	return max(j.address.wait(from.address), j.user.wait(from.user))
}

// sit waits, unless too many do; false refuses.
func (j *judge) sit(ctx context.Context, wait time.Duration, address key) bool {
	if !j.waiting.take(address) {
		return false
	}
	defer j.waiting.leave(address)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try judges an attempt, unless others have failed while it waited for its turn: again says so.
func (j *judge) try(ctx context.Context, u *user, a *Attempt, from origin) (again bool, why string) {
	wanted, real := j.hashFor(u, a.User, from)
	proof := j.key("verified", wanted.text, string(a.Password))
	if real && j.remembers(u.name, proof) {
		j.succeeded(from)
		return false, ""
	}
	if why := j.take(ctx); why != "" {
		return false, why
	}
	defer j.free()
	if j.due(from) > 0 {
		return true, ""
	}
	// Another device with the same user may have done the work meanwhile.
	if real && j.remembers(u.name, proof) {
		j.succeeded(from)
		return false, ""
	}
	j.hashed.Add(1)
	right := wanted.matches(a.Password)
	if !right || !real {
		j.failed(from)
		return false, refusalOf(u, real)
	}
	j.remember(u.name, proof)
	j.succeeded(from)
	return false, ""
}

func refusalOf(u *user, real bool) string {
	switch {
	case u == nil:
		return "there is no such user"
	case u.password == nil:
		return "the user comes with a certificate, not with a password"
	case !real:
		return "the user's password file cannot be used"
	}
	return "the password is wrong"
}

// hashFor gives the hash to compare with: the user's own, or that of somebody else, always the same,
// so that the time does not tell which users exist.
func (j *judge) hashFor(u *user, name string, from origin) (h *hash, real bool) {
	if u != nil && u.password != nil {
		if h := u.password.load(); h != nil {
			return h, true
		}
	}
	at := binary.BigEndian.Uint64(from.user[:]) % uint64(len(j.files))
	if h := j.files[at].load(); h != nil {
		return h, false
	}
	return &nobody, false
}

// nobody stands in where no hash can be read.
var nobody = hash{algorithm: argon2id, memory: ownMemory, rounds: ownRounds, lanes: ownLanes, salt: make([]byte, 16), key: make([]byte, 32)}

// take waits for the turn, which free gives back; otherwise it says why there is none.
func (j *judge) take(ctx context.Context) (why string) {
	if j.queued.Add(1) > mostInQueue+hashesAtOnce {
		j.queued.Add(-1)
		return "too many passwords wait to be compared"
	}
	select {
	case j.turns <- struct{}{}:
		return ""
	case <-ctx.Done():
		j.queued.Add(-1)
		return "there was no time left to compare the password"
	}
}

// free gives the turn back, and with the last one the memory that hashing took: a gateway that
// allocates little would otherwise keep it until its heap has doubled, which may be never.
func (j *judge) free() {
	<-j.turns
	if j.queued.Add(-1) == 0 {
		debug.FreeOSMemory()
	}
}

func (j *judge) failed(from origin) {
	j.address.failed(from.address)
	j.user.failed(from.user)
	if j.knows(from.pair) {
		j.pair.failed(from.pair)
	}
}

func (j *judge) succeeded(from origin) {
	j.address.succeeded(from.address)
	j.user.succeeded(from.user)
	j.pair.succeeded(from.pair)
	j.mu.Lock()
	defer j.mu.Unlock()
	makeRoom(j.known, from.pair)
	j.known[from.pair] = struct{}{}
}

func (j *judge) knows(pair key) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, known := j.known[pair]
	return known
}

func (j *judge) remembers(name string, proof key) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	verified, ok := j.verified[name]
	return ok && hmac.Equal(verified[:], proof[:])
}

func (j *judge) remember(name string, proof key) {
	j.mu.Lock()
	defer j.mu.Unlock()
	makeRoom(j.verified, name)
	j.verified[name] = proof
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
