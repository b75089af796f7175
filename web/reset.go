package web

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Resetter brings the gateway back to what it was when it was new.
type Resetter interface {
	// Reset notes durably that everything of the gateway's own is to be removed at its next start, and
	// begins to start it anew; ErrNoRestart where nobody would. There is no way back from it.
	Reset() error
}

// factoryResetRequest is the body of POST /api/v1/reset.
type factoryResetRequest struct {
	Password string `json:"password"`
}

// reset asks for the password again: a session that somebody left open is not enough, and a token, which
// has none, is not either.
func (s *Server) reset(c *gin.Context) {
	var request factoryResetRequest
	if !read(c, &request) {
		return
	}
	if who(c).program {
		refuse(c, problem{Status: http.StatusForbidden, Field: "password", Detail: "a token has no password; sign in for this"})
		return
	}
	if !s.isOwnPassword(c, "password", request.Password) {
		return
	}
	started := s.options.Gateway.Status().Started
	s.record(c, who(c).user, "factory reset", "")
	switch err := s.options.Resetter.Reset(); {
	case errors.Is(err, ErrNoRestart):
		refuse(c, problem{Status: http.StatusConflict, Title: "No restart", Detail: err.Error()})
	case err != nil:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the reset could not be noted; the gateway's log says more"})
	default:
		answer(c, http.StatusAccepted, restarting{started})
	}
}
