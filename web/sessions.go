package web

import (
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"
)

const (
	maxSessions  = 64
	idleLimit    = 12 * time.Hour
	sessionLimit = 7 * 24 * time.Hour

	// coarse is how old what is kept of the last use may be: a write for each request would wear out the disk. A
	// session that goes on after a restart ends up to this much earlier, never later.
	coarse = time.Hour
)

// session is one signed-in user. A watching page counts as use.
type session struct {
	user   string
	role   string
	opened time.Time
	used   time.Time

	until   time.Time // when it ends however much it is used; zero: never
	program bool      // it is a token of a program
}

// KeptSession is what outlives the gateway of a session: the token itself is nowhere, the role is the user's.
type KeptSession struct {
	Hash    [sha256.Size]byte // of the token
	User    string
	Created time.Time
	Used    time.Time // up to an hour before the last use
	Expires time.Time // however much it is used
}

// sessions holds who is signed in, by the hash of the token: what is in memory and on disk opens no door. Its
// methods may be called from any goroutine.
type sessions struct {
	accounts Accounts
	log      *slog.Logger

	saving sync.Mutex // one after another: what is written last is the newest

	mu     sync.Mutex // guards what follows
	saved  time.Time
	byHash map[[sha256.Size]byte]session
}

// openSessions begins with those that were kept, of users that are still there.
func openSessions(accounts Accounts, log *slog.Logger) (*sessions, error) {
	now := time.Now()
	s := &sessions{accounts: accounts, log: log, saved: now, byHash: map[[sha256.Size]byte]session{}}
	kept, err := accounts.Sessions()
	if err != nil {
		// Nobody is kept out for good by them: whoever was signed in signs in again.
		log.Warn("who was signed in could not be read; everybody has to sign in again", "err", err)
		return s, nil
	}
	for _, k := range kept {
		_, role, found, err := accounts.Password(k.User)
		if err != nil {
			return nil, err
		}
		// Of one from the future nobody knows the age: the clock has gone back.
		if !found || k.Created.After(now) || k.Used.After(now) || len(s.byHash) >= maxSessions {
			continue
		}
		// now carries the monotonic clock: a clock that is set later ends nobody's session.
		back := session{
			user: k.User, role: role,
			opened: now.Add(k.Created.Sub(now)), used: now.Add(k.Used.Sub(now)), until: now.Add(k.Expires.Sub(now)),
		}
		if !back.over(now) {
			s.byHash[k.Hash] = back
		}
	}
	return s, nil
}

// open returns the token of a new session; at the limit the one unused for longest ends.
func (s *sessions) open(user, role string) string {
	token := rand.Text()
	s.add(sha256.Sum256([]byte(token)), user, role)
	_ = s.save() // it works all the same, until the gateway restarts
	return token
}

func (s *sessions) add(hash [sha256.Size]byte, user, role string) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var longest [sha256.Size]byte
	var unused time.Time
	for hash, old := range s.byHash {
		if old.over(now) {
			delete(s.byHash, hash)
			continue
		}
		if unused.IsZero() || old.used.Before(unused) {
			longest, unused = hash, old.used
		}
	}
	if len(s.byHash) >= maxSessions {
		delete(s.byHash, longest)
	}
	s.byHash[hash] = session{user: user, role: role, opened: now, used: now, until: now.Add(sessionLimit)}
}

func (s *sessions) use(token string) (session, bool) {
	found, known, due := s.touch(sha256.Sum256([]byte(token)))
	if due {
		_ = s.save() // the next hour tries again
	}
	return found, known
}

// touch notes that a session is used; due says that this must be kept.
func (s *sessions) touch(hash [sha256.Size]byte) (found session, known, due bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, known = s.byHash[hash]; !known {
		return session{}, false, false
	}
	if found.over(now) {
		delete(s.byHash, hash)
		return session{}, false, false
	}
	found.used = now
	s.byHash[hash] = found
	if due = now.Sub(s.saved) >= coarse; due {
		s.saved = now // nobody else writes the same
	}
	return found, true, due
}

// close ends a session: here at once, and durably unless it gives an error.
func (s *sessions) close(token string) error {
	s.mu.Lock()
	delete(s.byHash, sha256.Sum256([]byte(token)))
	s.mu.Unlock()
	return s.save()
}

// closeAll ends the sessions of a user, whom the accounts have signed out durably already, and gives their hashes.
func (s *sessions) closeAll(user string) (ended [][sha256.Size]byte) {
	s.mu.Lock()
	for hash, each := range s.byHash {
		if each.user == user {
			delete(s.byHash, hash)
			ended = append(ended, hash)
		}
	}
	s.mu.Unlock()
	if len(ended) > 0 {
		_ = s.save() // another save may have been under way when the accounts did it
	}
	return ended
}

// save keeps who is signed in now. What cannot be kept is logged.
func (s *sessions) save() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	err := s.accounts.SetSessions(s.snapshot())
	if err != nil {
		s.log.Warn("who is signed in could not be written down", "err", err)
	}
	return err
}

func (s *sessions) snapshot() []KeptSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = time.Now()
	all := make([]KeptSession, 0, len(s.byHash))
	for hash, each := range s.byHash {
		if !each.over(s.saved) {
			all = append(all, KeptSession{Hash: hash, User: each.user, Created: each.opened, Used: each.used, Expires: each.until})
		}
	}
	return all
}

// count is how many sessions a user has.
func (s *sessions) count(user string) (n int) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.byHash {
		if each.user == user && !each.over(now) {
			n++
		}
	}
	return n
}

func (s session) over(now time.Time) bool {
	return now.Sub(s.used) > idleLimit || now.After(s.until)
}
