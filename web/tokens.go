package web

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	tokenPrefix = "slc_" // by which a token is known when it is found where it should not be
	maxTokens   = 100
	tokenUser   = "token:" // begins the user in audit records of what was done with a token; no user's name has a colon
)

// Token is a key to the API for a program, without the key itself.
type Token struct {
	Name     string            `json:"name"`
	Role     string            `json:"role"`
	By       string            `json:"by"` // who made it
	Made     time.Time         `json:"made"`
	Expires  *time.Time        `json:"expires,omitempty"`   // missing: never
	LastUsed *time.Time        `json:"last_used,omitempty"` // since the gateway's start
	Hash     [sha256.Size]byte `json:"-"`
}

// madeToken is the answer to making a token: the one time that it is shown.
type madeToken struct {
	Token
	Secret string `json:"token"`
}

// tokens are those that open the API, known by their hashes. Its methods may be called from any goroutine.
type tokens struct {
	mu     sync.Mutex // guards what follows
	byHash map[[sha256.Size]byte]Token
}

// use finds a token and notes when: in memory alone, since a write for each request would wear out the disk.
func (t *tokens) use(hash [sha256.Size]byte) (session, bool) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.byHash[hash]
	if !ok || found.Expires != nil && !now.Before(*found.Expires) {
		return session{}, false
	}
	found.LastUsed = &now
	t.byHash[hash] = found
	until := time.Time{}
	if found.Expires != nil {
		until = *found.Expires
	}
	return session{user: tokenUser + found.Name, role: found.Role, until: until, program: true}, true
}

// list gives all tokens by name.
func (t *tokens) list() []Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Token, 0, len(t.byHash))
	for _, each := range t.byHash {
		all = append(all, each)
	}
	slices.SortFunc(all, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// set replaces all tokens; what is known of their use stays.
func (t *tokens) set(all []Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.byHash
	t.byHash = make(map[[sha256.Size]byte]Token, len(all))
	for _, each := range all {
		each.LastUsed = before[each.Hash].LastUsed
		t.byHash[each.Hash] = each
	}
}

func (s *Server) tokenRoutes(signedIn *gin.RouterGroup) {
	administrators := signedIn.Group("", administratorsOnly)
	administrators.GET("/tokens", s.listTokens)
	administrators.POST("/tokens", s.makeToken)
	administrators.DELETE("/tokens/:name", s.revokeToken)
}

type tokenList struct {
	Items []Token `json:"items"`
}

func (s *Server) listTokens(c *gin.Context) { answer(c, http.StatusOK, tokenList{s.tokens.list()}) }

// tokenRequest is the body of POST /api/v1/tokens.
type tokenRequest struct {
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Expires *time.Time `json:"expires,omitempty"`
}

func (s *Server) makeToken(c *gin.Context) {
	var request tokenRequest
	if !read(c, &request) || !goodName(c, request.Name) || !goodRole(c, request.Role) {
		return
	}
	if request.Expires != nil && !request.Expires.After(time.Now()) {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "expires", Detail: "that time is past"})
		return
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	all := s.tokens.list()
	if slices.ContainsFunc(all, func(t Token) bool { return t.Name == request.Name }) {
		refuse(c, problem{Status: http.StatusConflict, Title: "Taken", Field: "name", Detail: fmt.Sprintf("there is a token %q", request.Name)})
		return
	}
	if len(all) >= maxTokens {
		refuse(c, problem{Status: http.StatusConflict, Title: "Too many", Detail: fmt.Sprintf("there are %d tokens; revoke one that is not needed", maxTokens)})
		return
	}
	secret := tokenPrefix + rand.Text()
	made := Token{Name: request.Name, Role: request.Role, By: who(c).user, Made: time.Now(), Expires: request.Expires, Hash: sha256.Sum256([]byte(secret))}
	all = append(all, made)
	if err := s.options.Accounts.SetTokens(all); err != nil {
		s.accountsFailed(c, err)
		return
	}
	s.tokens.set(all)
	s.log.Info("a token was made", "token", made.Name, "role", made.Role, "user", who(c).user)
	s.recordChange(c, who(c).user, "token made", made.Name, nil, made)
	answer(c, http.StatusCreated, madeToken{Token: made, Secret: secret})
}

func (s *Server) revokeToken(c *gin.Context) {
	s.accounts.Lock()
	defer s.accounts.Unlock()
	all := s.tokens.list()
	at := slices.IndexFunc(all, func(t Token) bool { return t.Name == c.Param("name") })
	if at < 0 {
		refuse(c, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no token %q", c.Param("name"))})
		return
	}
	gone := all[at]
	all = slices.Delete(all, at, at+1)
	if err := s.options.Accounts.SetTokens(all); err != nil {
		s.accountsFailed(c, err)
		return
	}
	s.tokens.set(all)
	s.log.Info("a token was revoked", "token", gone.Name, "user", who(c).user)
	s.recordChange(c, who(c).user, "token revoked", gone.Name, gone, nil)
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow() // before what follows, which may end this very request
	s.requests.end(gone.Hash)
}
