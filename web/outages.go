package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Outages cuts an uplink on purpose and watches what becomes of its readings. Its methods may be called
// from any goroutine and answer at once.
type Outages interface {
	// Cut ends the uplink's connection and lets it open none for so long; ErrUnknown, ErrCut.
	Cut(uplink string, d time.Duration) (Outage, error)
	// Restore ends a cut before its time. Of one that is over it ends the watching; ErrUnknown.
	Restore(uplink string) error
	// Outage is the cut that runs, or how the last one since the start went; ErrUnknown.
	Outage(uplink string) (Outage, error)
}

// ErrCut refuses a cut because of another that is not over yet.
var ErrCut = errors.New("this uplink is being tested already")

// Outage is a cut of an uplink on purpose and what came of it.
type Outage struct {
	Active  bool       `json:"active"` // the uplink is cut now
	Started *time.Time `json:"started,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
	Peak    uint64     `json:"peak_backlog"`
	Backlog uint64     `json:"backlog"`
	Drained bool       `json:"drained"` // all that waited when the cut was over has been acknowledged
	Checked uint64     `json:"checked"` // readings that the cloud has acknowledged since the start
	Gaps    uint64     `json:"gaps"`    // readings that it has not, although later ones were to wait for them
	Repeats uint64     `json:"repeats"` // messages that were sent a second time
	Verdict string     `json:"verdict"` // none, running, draining, passed or failed
	Error   string     `json:"error,omitempty"`
}

const (
	shortestCut = 5   // seconds
	longestCut  = 120 // seconds
)

func (s *Server) outageRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/uplinks/:name/outage", s.outage)
	signedIn.POST("/uplinks/:name/outage", operatorsOnly, s.cut)
	signedIn.DELETE("/uplinks/:name/outage", operatorsOnly, s.restore)
}

func (s *Server) outage(c *gin.Context) {
	shown, err := s.options.Outages.Outage(c.Param("name"))
	if err != nil {
		s.outageFailed(c, err)
		return
	}
	answer(c, http.StatusOK, shown)
}

type cutFor struct {
	Seconds int `json:"seconds"`
}

func (s *Server) cut(c *gin.Context) {
	var wanted cutFor
	if !read(c, &wanted) {
		return
	}
	if wanted.Seconds < shortestCut || wanted.Seconds > longestCut {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "seconds", Detail: "from 5 to 120 seconds are possible"})
		return
	}
	shown, err := s.options.Outages.Cut(c.Param("name"), time.Duration(wanted.Seconds)*time.Second)
	if err != nil {
		s.outageFailed(c, err)
		return
	}
	s.log.Warn("an uplink is cut on purpose", "uplink", c.Param("name"), "seconds", wanted.Seconds, "user", who(c).user)
	s.record(c, who(c).user, "uplink cut", c.Param("name"))
	answer(c, http.StatusCreated, shown)
}

func (s *Server) restore(c *gin.Context) {
	if err := s.options.Outages.Restore(c.Param("name")); err != nil {
		s.outageFailed(c, err)
		return
	}
	s.record(c, who(c).user, "uplink restored", c.Param("name"))
	c.Status(http.StatusNoContent)
}

func (s *Server) outageFailed(c *gin.Context, err error) {
	if errors.Is(err, ErrCut) {
		refuse(c, problem{Status: http.StatusConflict, Title: "Busy", Detail: err.Error()})
		return
	}
	s.uplinkFailed(c, err)
}
