package web

import (
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

// authenticate lets pass who is signed in. A cookie is sent by the browser whoever asks it to, so a
// change must also prove that it comes from our own page; a bearer token is proof by itself.
func (s *Server) authenticate(c *gin.Context) {
	token, bearer := token(c)
	found, ok := s.sessions.use(token)
	if !ok {
		c.Header("WWW-Authenticate", `Bearer realm="sluice"`)
		refuse(c, problem{Status: http.StatusUnauthorized, Detail: "sign in with POST /api/v1/session"})
		return
	}
	if !bearer && !safeMethod(c.Request.Method) && !trustedOrigin(c) {
		refuseForeign(c)
		return
	}
	c.Set(sessionKey, found)
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
	token, _ := token(c)
	if found, ok := s.sessions.use(token); ok {
		who = identity{SignedIn: true, User: found.user, Role: found.role}
	} else {
		_, _, exists, err := s.options.Accounts.Password(administrator)
		if err != nil {
			s.accountsFailed(c, err)
			return
		}
		who.SetupNeeded = !exists
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
	s.sessions.close(token)
	http.SetCookie(c.Writer, sessionCookie(c, "", -1))
	c.Status(http.StatusNoContent)
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
