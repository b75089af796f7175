package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// unknownUser is verified when there is no such user, so that the time of the answer does not tell
// which users exist.
var unknownUser = []byte("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")

const maxUser = 64 // bytes of a user's name

func (s *Server) signIn(c *gin.Context) {
	var request struct {
		User     string `json:"user"`
		Password string `json:"password"`
	}
	if !read(c, &request) {
		return
	}
	if request.User == "" || len(request.User) > maxUser {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "user", Detail: "a user's name has 1 to 64 bytes"})
		return
	}
	address := addressKey(c.Request.RemoteAddr)
	if wait := max(s.logins.address.try(address), s.logins.user.try(request.User)); wait > 0 {
		slowDown(c, wait)
		return
	}
	hash, role, found, err := s.options.Accounts.Password(request.User)
	if err != nil {
		s.accountsFailed(c, err)
		return
	}
	if !found {
		hash = unknownUser
	}
	right, ok := s.verify(c, hash, request.Password)
	if !ok {
		return
	}
	if !found || !right {
		s.log.Warn("a sign-in was refused", "user", request.User, "address", address)
		refuse(c, problem{Status: http.StatusUnauthorized, Title: "Sign-in refused", Detail: "user or password is wrong"})
		return
	}
	s.logins.address.succeeded(address)
	s.logins.user.succeeded(request.User)
	s.record(c, request.User, "sign-in", "")
	s.openSession(c, http.StatusOK, request.User, role)
}

// verify takes its turn and compares; ok is false when the request has been answered.
func (s *Server) verify(c *gin.Context, hash []byte, password string) (right, ok bool) {
	free, err := s.logins.hashing.take(c.Request.Context())
	if err != nil {
		s.busy(c, err)
		return false, false
	}
	defer free()
	right, err = verifyPassword(hash, password)
	if err != nil {
		s.accountsFailed(c, err)
		return false, false
	}
	return right, true
}

// setUp sets the administrator's password of a fresh gateway. Who can read the code that the gateway
// printed at its start has the box in hand.
func (s *Server) setUp(c *gin.Context) {
	var request struct {
		Code     string `json:"code"`
		Password string `json:"password"`
	}
	if !read(c, &request) {
		return
	}
	s.setup.Lock()
	defer s.setup.Unlock()
	needed, err := s.setUpNeeded()
	if err != nil {
		s.accountsFailed(c, err)
		return
	}
	if !needed {
		refuse(c, problem{Status: http.StatusConflict, Title: "Already set up", Detail: "the administrator has a password; sign in with it"})
		return
	}
	// One counter for everybody: the code guards the whole gateway and is short.
	if wait := s.logins.setup.try("setup"); wait > 0 {
		slowDown(c, wait)
		return
	}
	if s.options.SetupCode == "" || !sameCode(request.Code, s.options.SetupCode) {
		refuse(c, problem{Status: http.StatusForbidden, Field: "code", Title: "Wrong code", Detail: "this is not the code that the gateway printed at its start"})
		return
	}
	// The code was right, so nobody is guessing: a password that is too short costs no wait.
	s.logins.setup.succeeded("setup")
	hash, ok := s.hash(c, "password", request.Password)
	if !ok {
		return
	}
	if err := s.options.Accounts.SetPassword(administrator, hash, adminRole); err != nil {
		s.accountsFailed(c, err)
		return
	}
	s.log.Info("administrator's password was set on the page")
	s.record(c, administrator, "set-up", "")
	s.openSession(c, http.StatusCreated, administrator, adminRole)
}

// sameCode compares in a time that tells nothing, not even the length.
func sameCode(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func slowDown(c *gin.Context, wait time.Duration) {
	refuse(c, problem{Status: http.StatusTooManyRequests, Title: "Too many attempts", Detail: "wait a moment before the next attempt", retryAfter: wait})
}

func (s *Server) busy(c *gin.Context, err error) {
	if errors.Is(err, errBusy) {
		refuse(c, problem{Status: http.StatusServiceUnavailable, Detail: err.Error(), retryAfter: time.Second})
		return
	}
	c.Abort() // the caller has gone
}
