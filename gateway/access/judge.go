package access

import (
	"context"
	"encoding/binary"
	"runtime/debug"
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
	files []*passwordFile
	*past

	delayed, hashed atomic.Uint64
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

// sit waits, unless too many do; false refuses.
func (p *past) sit(ctx context.Context, wait time.Duration, address key) bool {
	if !p.waiting.take(address) {
		return false
	}
	defer p.waiting.leave(address)
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
	wanted, real := j.hashFor(u, from)
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
	if wanted.memory >= 1<<10 {
		j.swollen.Store(true)
	}
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
func (j *judge) hashFor(u *user, from origin) (h *hash, real bool) {
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
func (p *past) take(ctx context.Context) (why string) {
	if p.queued.Add(1) > mostInQueue+hashesAtOnce {
		p.queued.Add(-1)
		return "too many passwords wait to be compared"
	}
	select {
	case p.turns <- struct{}{}:
		return ""
	case <-ctx.Done():
		p.queued.Add(-1)
		return "there was no time left to compare the password"
	}
}

// free gives the turn back, and with the last one the memory that hashing took: a gateway that
// allocates little would otherwise keep it until its heap has doubled, which may be never.
func (p *past) free() {
	<-p.turns
	if p.queued.Add(-1) == 0 && p.swollen.Swap(false) {
		debug.FreeOSMemory()
	}
}
