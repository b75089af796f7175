package web

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	cookieName    = "sluice_session"
	administrator = "admin" // the user that set-up creates
	sessionKey    = "session"
)

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
	if s.until.IsZero() {
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
	err := s.sessions.close(token)
	s.record(c, caller.user, "sign-out", "")
	http.SetCookie(c.Writer, sessionCookie(c, "", -1))
	if err != nil {
		s.accountsFailed(c, err) // a restart would bring the session back
	} else {
		c.Status(http.StatusNoContent)
		c.Writer.WriteHeaderNow()
	}
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
