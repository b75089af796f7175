package web

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

const maxUsers = 100

// User is somebody who may sign in.
type User struct {
	Name string `json:"name"`
	Role string `json:"role"`
	// Sessions is how often the user is signed in now.
	Sessions int `json:"sessions"`
}

// goodNames are the names that users and tokens may have. A colon tells tokens from users.
var goodNames = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._@-]*$`)

func (s *Server) userRoutes(signedIn *gin.RouterGroup) {
	signedIn.PUT("/session/password", s.changePassword)
	administrators := signedIn.Group("", administratorsOnly)
	administrators.GET("/users", s.listUsers)
	administrators.POST("/users", s.addUser)
	administrators.PUT("/users/:name", s.changeUser)
	administrators.DELETE("/users/:name", s.removeUser)
}

type userList struct {
	Items []User `json:"items"`
}

func (s *Server) listUsers(c *gin.Context) {
	all, err := s.options.Accounts.Users()
	if err != nil {
		s.accountsFailed(c, err)
		return
	}
	list := userList{Items: append([]User{}, all...)}
	for i, each := range list.Items {
		list.Items[i].Sessions = s.sessions.count(each.Name)
	}
	answer(c, http.StatusOK, list)
}

// userRequest is the body of POST and PUT of users; a field that PUT is not given stays as it is.
type userRequest struct {
	Name     string `json:"name,omitempty"`
	Role     string `json:"role,omitempty"`
	Password string `json:"password,omitempty"`
}

// goodName says whether a user or token may be called so; false means that the request has been refused.
func goodName(c *gin.Context, name string) bool {
	if len(name) <= maxUser && goodNames.MatchString(name) {
		return true
	}
	refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "name", Detail: "a name has 1 to 64 bytes: letters, digits, and . _ @ - behind the first"})
	return false
}

func goodRole(c *gin.Context, role string) bool {
	if slices.Contains(roles, role) {
		return true
	}
	refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "role", Detail: "the roles are " + strings.Join(roles, ", ")})
	return false
}

// hash checks and hashes a new password, in its turn; ok is false when the request has been answered.
func (s *Server) hash(c *gin.Context, field, password string) (hash []byte, ok bool) {
	if err := CheckPassword(password); err != nil {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: field, Detail: err.Error()})
		return nil, false
	}
	free, err := s.logins.hashing.take(c.Request.Context())
	if err != nil {
		s.busy(c, err)
		return nil, false
	}
	defer free()
	if hash, err = HashPassword(password); err != nil {
		s.accountsFailed(c, err)
		return nil, false
	}
	return hash, true
}

func (s *Server) addUser(c *gin.Context) {
	var request userRequest
	if !read(c, &request) || !goodName(c, request.Name) || !goodRole(c, request.Role) {
		return
	}
	hash, ok := s.hash(c, "password", request.Password)
	if !ok {
		return
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	all, err := s.options.Accounts.Users()
	switch {
	case err != nil:
		s.accountsFailed(c, err)
		return
	case slices.ContainsFunc(all, func(u User) bool { return u.Name == request.Name }):
		refuse(c, problem{Status: http.StatusConflict, Title: "Taken", Field: "name", Detail: fmt.Sprintf("there is a user %q", request.Name)})
		return
	case len(all) >= maxUsers:
		refuse(c, problem{Status: http.StatusConflict, Title: "Too many", Detail: fmt.Sprintf("there are %d users; remove one that is not needed", maxUsers)})
		return
	}
	if err := s.options.Accounts.SetPassword(request.Name, hash, request.Role); err != nil {
		s.accountsFailed(c, err)
		return
	}
	made := User{Name: request.Name, Role: request.Role}
	s.log.Info("a user was added", "name", made.Name, "role", made.Role, "user", who(c).user)
	s.recordChange(c, who(c).user, "user added", made.Name, nil, stateOf(made, false))
	answer(c, http.StatusCreated, made)
}

// userState is a user in audit records.
type userState struct {
	Role     string `json:"role"`
	Password string `json:"password,omitempty"` // that it is another one
}

func stateOf(u User, newPassword bool) userState {
	state := userState{Role: u.Role}
	if newPassword {
		state.Password = "new"
	}
	return state
}

// changeUser gives a user another role or password, which ends their sessions.
func (s *Server) changeUser(c *gin.Context) {
	var request userRequest
	if !read(c, &request) {
		return
	}
	name := c.Param("name")
	if request.Name != "" && request.Name != name {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "name", Detail: "a user keeps the name; add another user instead"})
		return
	}
	if request.Role == "" && request.Password == "" {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "role", Detail: "say which role or password the user shall have"})
		return
	}
	if request.Role != "" && !goodRole(c, request.Role) {
		return
	}
	var hash []byte
	if request.Password != "" {
		var ok bool
		if hash, ok = s.hash(c, "password", request.Password); !ok {
			return
		}
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	old, role, found, err := s.options.Accounts.Password(name)
	switch {
	case err != nil:
		s.accountsFailed(c, err)
		return
	case !found:
		s.noUser(c)
		return
	}
	if request.Role == "" {
		request.Role = role
	}
	if role == adminRole && request.Role != adminRole && s.lastAdministrator(c, name) {
		return
	}
	if hash == nil {
		hash = old
	}
	if err := s.options.Accounts.SetPassword(name, hash, request.Role); err != nil {
		s.accountsFailed(c, err)
		return
	}
	before, after := User{Name: name, Role: role}, User{Name: name, Role: request.Role}
	s.log.Info("a user was changed", "name", name, "role", after.Role, "password", request.Password != "", "user", who(c).user)
	s.recordChange(c, who(c).user, "user changed", name, stateOf(before, false), stateOf(after, request.Password != ""))
	answer(c, http.StatusOK, after)
	s.endSessions(name)
}

func (s *Server) removeUser(c *gin.Context) {
	name := c.Param("name")
	s.accounts.Lock()
	defer s.accounts.Unlock()
	_, role, found, err := s.options.Accounts.Password(name)
	switch {
	case err != nil:
		s.accountsFailed(c, err)
		return
	case !found:
		s.noUser(c)
		return
	}
	if role == adminRole && s.lastAdministrator(c, name) {
		return
	}
	if err := s.options.Accounts.RemoveUser(name); errors.Is(err, ErrUnknown) {
		s.noUser(c)
		return
	} else if err != nil {
		s.accountsFailed(c, err)
		return
	}
	s.log.Info("a user was removed", "name", name, "user", who(c).user)
	s.recordChange(c, who(c).user, "user removed", name, stateOf(User{Role: role}, false), nil)
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	s.endSessions(name)
}

func (s *Server) noUser(c *gin.Context) {
	refuse(c, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no user %q", c.Param("name"))})
}

// lastAdministrator refuses to take the role from the only one who has it: nobody could give it back.
// It says whether the request has been answered.
func (s *Server) lastAdministrator(c *gin.Context, name string) bool {
	all, err := s.options.Accounts.Users()
	if err != nil {
		s.accountsFailed(c, err)
		return true
	}
	if slices.ContainsFunc(all, func(u User) bool { return u.Role == adminRole && u.Name != name }) {
		return false
	}
	refuse(c, problem{Status: http.StatusConflict, Title: "The last administrator", Detail: fmt.Sprintf("%s is the only administrator; make another one first", name)})
	return true
}

// setUpNeeded says whether nobody is there who could let others in.
func (s *Server) setUpNeeded() (bool, error) {
	all, err := s.options.Accounts.Users()
	return !slices.ContainsFunc(all, func(u User) bool { return u.Role == adminRole }), err
}

// endSessions signs a user out everywhere, and ends what is being sent there.
func (s *Server) endSessions(user string) {
	for _, hash := range s.sessions.closeAll(user) {
		s.requests.end(hash)
	}
}

// passwordRequest is the body of PUT /api/v1/session/password.
type passwordRequest struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// isOwnPassword says whether given is the password of whoever asks; false means that the request has been
// refused.
func (s *Server) isOwnPassword(c *gin.Context, field, given string) bool {
	user := who(c).user
	// Whoever finds a page that was left open must not guess either.
	if wait := s.logins.user.try(user); wait > 0 {
		slowDown(c, wait)
		return false
	}
	hash, _, found, err := s.options.Accounts.Password(user)
	if err != nil || !found {
		s.accountsFailed(c, errors.Join(err, errors.New("the user of a session is not there")))
		return false
	}
	right, ok := s.verify(c, hash, given)
	if !ok {
		return false
	}
	if !right {
		refuse(c, problem{Status: http.StatusForbidden, Field: field, Title: "Wrong password", Detail: "this is not the password that you sign in with"})
		return false
	}
	s.logins.user.succeeded(user)
	return true
}

// changePassword changes the caller's own password: all sessions of the user end, and a new one begins here.
func (s *Server) changePassword(c *gin.Context) {
	var request passwordRequest
	if !read(c, &request) {
		return
	}
	caller := who(c)
	if caller.program {
		refuse(c, problem{Status: http.StatusConflict, Title: "Not allowed", Detail: "a token has no password; make another token instead"})
		return
	}
	if !s.isOwnPassword(c, "old", request.Old) {
		return
	}
	hash, ok := s.hash(c, "new", request.New)
	if !ok {
		return
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	_, role, found, err := s.options.Accounts.Password(caller.user)
	if err != nil || !found {
		s.accountsFailed(c, errors.Join(err, errors.New("the user of a session is not there")))
		return
	}
	if err := s.options.Accounts.SetPassword(caller.user, hash, role); err != nil {
		s.accountsFailed(c, err)
		return
	}
	s.log.Info("a user changed the own password", "user", caller.user)
	s.record(c, caller.user, "password changed", caller.user)
	old := s.sessions.closeAll(caller.user)
	s.openSession(c, http.StatusOK, caller.user, role)
	for _, hash := range old {
		s.requests.end(hash)
	}
}
