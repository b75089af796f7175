package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Clock is the machine's clock. Its methods may be called from any goroutine.
type Clock interface {
	Time() Time
	// SetTime sets the clock unless now is zero, and the zone unless it is empty. The error is a
	// *FieldError for what cannot be, a *ByHandError where somebody else has to.
	SetTime(now time.Time, zone string) error
}

// Time is what the machine's clock shows.
type Time struct {
	Now  time.Time `json:"now"`
	Zone string    `json:"zone"` // such as Asia/Shanghai; the gateway counts in it from its next start on
	// Synchronised is whether something keeps the clock right, by what the kernel says.
	Synchronised bool   `json:"synchronised"`
	Source       string `json:"source"`  // ntp, page (it was set there since the start), cloud or none
	CanSet       bool   `json:"can_set"` // this process may set clock and zone
}

// ByHandError says that the gateway may not do something, and what to type to do it.
type ByHandError struct{ Why, Command string }

// Error implements error.
func (e *ByHandError) Error() string { return e.Why + "; on the machine, type: " + e.Command }

// The years that a clock may be set to: before there was no gateway, and after it is no clock.
const firstYear, lastYear = 2020, 2100

func (s *Server) time(c *gin.Context) { answer(c, http.StatusOK, s.options.Clock.Time()) }

func (s *Server) setTime(c *gin.Context) {
	var wanted struct {
		Now  time.Time `json:"now"`
		Zone string    `json:"zone"`
	}
	if !read(c, &wanted) {
		return
	}
	if wanted.Now.IsZero() && wanted.Zone == "" {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "now", Detail: "say the time, the zone or both"})
		return
	}
	if year := wanted.Now.UTC().Year(); !wanted.Now.IsZero() && (year < firstYear || year > lastYear) {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "now", Detail: "a year from 2020 to 2100 is wanted"})
		return
	}
	before := s.options.Clock.Time()
	err := s.options.Clock.SetTime(wanted.Now, wanted.Zone)
	byHand, must := errors.AsType[*ByHandError](err)
	wrong, isWrong := errors.AsType[*FieldError](err)
	switch {
	case must:
		refuse(c, problem{Status: http.StatusConflict, Title: "To be done by hand", Detail: byHand.Error()})
	case isWrong:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: wrong.Field, Detail: wrong.Text})
	case err != nil:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the clock could not be set; the gateway's log says more"})
	default:
		now := s.options.Clock.Time()
		s.recordChange(c, who(c).user, "clock set", wanted.Zone, clockState{before.Now, before.Zone}, clockState{now.Now, now.Zone})
		answer(c, http.StatusOK, now)
	}
}

// clockState is the clock in audit records.
type clockState struct {
	Now  time.Time `json:"now"`
	Zone string    `json:"zone"`
}
