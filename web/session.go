package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	cookieName   = "sluice_session"
	maxSessions  = 64
	idleLimit    = 12 * time.Hour
	sessionLimit = 7 * 24 * time.Hour

	administrator = "admin" // the user that set-up creates
	sessionKey    = "session"
)

// session is one signed-in user. A watching page counts as use.
type session struct {
	user   string
	role   string
	opened time.Time
	used   time.Time

	until   time.Time // when a token ends; zero: never
	program bool      // it is a token of a program
}

// sessions holds who is signed in, by the hash of the token: what is in memory opens no door. They
// end with the process.
type sessions struct {
	mu     sync.Mutex // guards what follows
	byHash map[[sha256.Size]byte]session
}

func newSessions() *sessions {
	return &sessions{byHash: map[[sha256.Size]byte]session{}}
}

// open returns the token of a new session; at the limit the one unused for longest ends.
func (s *sessions) open(user, role string) string {
	token := rand.Text()
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
	s.byHash[sha256.Sum256([]byte(token))] = session{user: user, role: role, opened: now, used: now}
	return token
}

func (s *sessions) use(token string) (session, bool) {
	hash := sha256.Sum256([]byte(token))
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byHash[hash]
	if !ok {
		return session{}, false
	}
	if found.over(now) {
		delete(s.byHash, hash)
		return session{}, false
	}
	found.used = now
	s.byHash[hash] = found
	return found, true
}

func (s *sessions) close(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byHash, sha256.Sum256([]byte(token)))
}

// closeAll ends the sessions of a user and gives their hashes.
func (s *sessions) closeAll(user string) (ended [][sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, each := range s.byHash {
		if each.user == user {
			delete(s.byHash, hash)
			ended = append(ended, hash)
		}
	}
	return ended
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
	return now.Sub(s.used) > idleLimit || now.Sub(s.opened) > sessionLimit
}

// token is the request's bearer token, else its cookie's.
func token(c *gin.Context) (token string, bearer bool) {
	if kind, value, ok := strings.Cut(c.GetHeader("Authorization"), " "); ok && strings.EqualFold(kind, "Bearer") {
		return strings.TrimSpace(value), true
	}
	cookie, err := c.Request.Cookie(cookieName)
	if err != nil {
		return "", false
	}
	return cookie.Value, false
}

// holder finds out who sends a request: a session, by its cookie or as a bearer token, or an API token.
func (s *Server) holder(token string) (session, bool) {
	if strings.HasPrefix(token, tokenPrefix) {
		return s.tokens.use(sha256.Sum256([]byte(token)))
	}
	return s.sessions.use(token)
}

// authenticate lets pass who is signed in. A cookie is sent by the browser whoever asks it to, so a
// change must also prove that it comes from our own page; a bearer token is proof by itself.
func (s *Server) authenticate(c *gin.Context) {
	token, bearer := token(c)
	// What is being answered when the session ends, ends with it: it must be known before the session is
	// looked for.
	ctx, done := s.requests.begin(c.Request.Context(), sha256.Sum256([]byte(token)))
	defer done()
	found, ok := s.holder(token)
	if !ok || !bearer && found.program {
		c.Header("WWW-Authenticate", `Bearer realm="sluice"`)
		refuse(c, problem{Status: http.StatusUnauthorized, Detail: "sign in with POST /api/v1/session"})
		return
	}
	if !bearer && !safeMethod(c.Request.Method) && !trustedOrigin(c) {
		refuseForeign(c)
		return
	}
	ctx, cancel := context.WithDeadline(ctx, found.end())
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Set(sessionKey, found)
	c.Next()
}

// end is when a session ends however much it is used.
func (s session) end() time.Time {
	switch {
	case !s.program:
		return s.opened.Add(sessionLimit)
	case s.until.IsZero():
		return time.Now().Add(10 * sessionLimit) // a stream may well end then and be asked for again
	}
	return s.until
}

// identity is the answer of GET /api/v1/session.
type identity struct {
	SignedIn    bool   `json:"signed_in"`
	User        string `json:"user,omitempty"`
	Role        string `json:"role,omitempty"`
	SetupNeeded bool   `json:"setup_needed"`
}

func (s *Server) whoAmI(c *gin.Context) {
	var who identity
	token, bearer := token(c)
	if found, ok := s.holder(token); ok && (bearer || !found.program) {
		who = identity{SignedIn: true, User: found.user, Role: found.role}
	} else {
		needed, err := s.setUpNeeded()
		if err != nil {
			s.accountsFailed(c, err)
			return
		}
		who.SetupNeeded = needed
	}
	answer(c, http.StatusOK, who)
}

// opened is the answer to a successful sign-in.
type opened struct {
	Token string `json:"token"`
	User  string `json:"user"`
	Role  string `json:"role"`
}

func (s *Server) openSession(c *gin.Context, status int, user, role string) {
	token := s.sessions.open(user, role)
	http.SetCookie(c.Writer, sessionCookie(c, token, 0))
	answer(c, status, opened{Token: token, User: user, Role: role})
}

func (s *Server) signOut(c *gin.Context) {
	token, _ := token(c)
	caller := who(c)
	if caller.program {
		refuse(c, problem{Status: http.StatusConflict, Title: "Not allowed", Detail: "a token does not sign out; revoke it with DELETE /api/v1/tokens/NAME"})
		return
	}
	s.sessions.close(token)
	s.record(c, caller.user, "sign-out", "")
	http.SetCookie(c.Writer, sessionCookie(c, "", -1))
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	s.requests.end(sha256.Sum256([]byte(token)))
}

func sessionCookie(c *gin.Context, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: c.Request.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}

func (s *Server) accountsFailed(c *gin.Context, err error) {
	_ = c.Error(err)
	refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the accounts could not be read or written; the gateway's log says more"})
}
