package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// Alarms tells of alarms. Its methods may be called from any goroutine.
type Alarms interface {
	// Active gives what is raised, the worst first and of those the newest.
	Active() []Alarm
	Counts() AlarmCount
	// Past gives what the log tells of alarms, the newest first; next is where to go on, 0 at the end.
	Past(ctx context.Context, wanted PastAlarms) (list []AlarmEvent, next uint64, err error)
	// Acknowledge returns when it is durable that a user has seen an alarm; ErrUnknown.
	Acknowledge(ctx context.Context, id, user, note string) (Alarm, error)
	Notifications() []Notification
	// TestNotification sends a test message and waits for what becomes of it; ErrUnknown.
	TestNotification(ctx context.Context, name string) error
}

// AlarmCount is how many alarms are raised.
type AlarmCount struct {
	Active         int `json:"active"`
	Critical       int `json:"critical"`
	Warning        int `json:"warning"`
	Info           int `json:"info"`
	Unacknowledged int `json:"unacknowledged"`
	// Excess counts what was not watched or raised because there were too many, since the start.
	Excess uint64 `json:"excess"`
}

// Alarm is one that is raised.
type Alarm struct {
	ID           string     `json:"id"`
	Alarm        string     `json:"alarm"` // the rule's name
	Severity     string     `json:"severity"`
	Device       string     `json:"device"`
	Point        string     `json:"point,omitempty"`
	Value        any        `json:"value"` // the last one; a JSON scalar, null when there is none
	Text         BusText    `json:"text"`
	Since        time.Time  `json:"since"`
	Ending       bool       `json:"ending"` // what it is about is over, and the delay of its end is running
	Acknowledged *AlarmNote `json:"acknowledged,omitempty"`
}

// AlarmNote is who has seen an alarm, and what they said.
type AlarmNote struct {
	By   string    `json:"by"`
	Note string    `json:"note,omitempty"`
	Time time.Time `json:"time"`
}

// AlarmEvent is something that the log tells of an alarm.
type AlarmEvent struct {
	Position uint64    `json:"position"`
	ID       string    `json:"id"`
	Alarm    string    `json:"alarm"`
	State    string    `json:"state"` // raised, cleared, acknowledged; gap: messages were lost at the disk limit
	Severity string    `json:"severity"`
	Device   string    `json:"device"`
	Point    string    `json:"point,omitempty"`
	Value    any       `json:"value"`
	Text     BusText   `json:"text"`
	Time     time.Time `json:"time"`
	Since    time.Time `json:"since"`
	By       string    `json:"by,omitempty"`
	Note     string    `json:"note,omitempty"`
}

// PastAlarms says which events are wanted.
type PastAlarms struct {
	Before                         uint64 // a position; 0: the end of the log
	Limit                          int
	Alarm, Device, Severity, State string // empty: any
}

// Lets says whether an event is wanted.
func (p *PastAlarms) Lets(e *AlarmEvent) bool {
	return (p.Alarm == "" || p.Alarm == e.Alarm) && (p.Device == "" || p.Device == e.Device) &&
		(p.Severity == "" || p.Severity == e.Severity) && (p.State == "" || p.State == e.State)
}

// Notification is a way to tell people.
type Notification struct {
	Name      string     `json:"name"`
	Kind      string     `json:"kind"` // email or webhook
	To        []string   `json:"to"`
	Waiting   int        `json:"waiting"` // events that nobody was told of yet
	Sent      uint64     `json:"sent"`    // messages since the start
	LastSent  *time.Time `json:"last_sent,omitempty"`
	LastError string     `json:"last_error,omitempty"`
	NextTry   *time.Time `json:"next_try,omitempty"`
}

func (s *Server) alarmRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/alarms", s.alarms)
	signedIn.GET("/alarms/past", s.pastAlarms)
	signedIn.POST("/alarms/:id/acknowledge", operatorsOnly, s.acknowledge)
	signedIn.POST("/alarms/notify/:name/test", administratorsOnly, s.testNotification)
}

// alarmList is the answer of GET /api/v1/alarms.
type alarmList struct {
	Items         []Alarm        `json:"items"`
	Total         int            `json:"total"` // that the filter lets through
	Counts        AlarmCount     `json:"counts"`
	Notifications []Notification `json:"notifications"`
}

const maxAlarms = 1000 // of one answer

func (s *Server) alarms(c *gin.Context) {
	limit, ok := numberFrom(c, "limit", largestPage, maxAlarms)
	if !ok {
		return
	}
	severity, device, seen := c.Query("severity"), c.Query("device"), c.Query("acknowledged")
	if !oneOf(c, "severity", severity, "info", "warning", "critical") || !oneOf(c, "acknowledged", seen, "true", "false") {
		return
	}
	list := alarmList{Items: []Alarm{}, Counts: s.options.Alarms.Counts(), Notifications: s.options.Alarms.Notifications()}
	for _, a := range s.options.Alarms.Active() {
		if severity != "" && a.Severity != severity || device != "" && a.Device != device || seen != "" && (a.Acknowledged != nil) != (seen == "true") {
			continue
		}
		if list.Total++; len(list.Items) < int(limit) {
			list.Items = append(list.Items, a)
		}
	}
	answer(c, http.StatusOK, list)
}

// alarmPage is the answer of GET /api/v1/alarms/past.
type alarmPage struct {
	Items []AlarmEvent `json:"items"`
	Next  uint64       `json:"next,omitempty"` // for before; missing at the end
}

func (s *Server) pastAlarms(c *gin.Context) {
	wanted := PastAlarms{Alarm: c.Query("alarm"), Device: c.Query("device"), Severity: c.Query("severity"), State: c.Query("state")}
	limit, ok := numberFrom(c, "limit", usualPage, largestPage)
	if !ok {
		return
	}
	wanted.Limit = int(limit)
	if text := c.Query("before"); text != "" {
		before, err := strconv.ParseUint(text, 10, 63)
		if err != nil || before == 0 {
			refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "before", Detail: "before is a position, which is a number from 1 on"})
			return
		}
		wanted.Before = before
	}
	if !oneOf(c, "severity", wanted.Severity, "info", "warning", "critical") || !oneOf(c, "state", wanted.State, "raised", "cleared", "acknowledged", "gap") {
		return
	}
	list, next, err := s.options.Alarms.Past(c.Request.Context(), wanted)
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	answer(c, http.StatusOK, alarmPage{Items: append([]AlarmEvent{}, list...), Next: next})
}

// acknowledgeRequest is the body of POST /api/v1/alarms/{id}/acknowledge.
type acknowledgeRequest struct {
	Note string `json:"note,omitempty"`
}

const maxNote = 500 // characters

func (s *Server) acknowledge(c *gin.Context) {
	var request acknowledgeRequest
	if !read(c, &request) {
		return
	}
	if utf8.RuneCountInString(request.Note) > maxNote {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "note", Detail: fmt.Sprintf("a note has at most %d characters", maxNote)})
		return
	}
	done, err := s.options.Alarms.Acknowledge(c.Request.Context(), c.Param("id"), who(c).user, request.Note)
	switch {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: "no alarm with this identifier is raised; it may have ended"})
	case err != nil:
		s.messagesFailed(c, err)
	default:
		s.record(c, who(c).user, "alarm acknowledged", fmt.Sprintf("%s of %s %s", done.Alarm, done.Device, done.Point))
		answer(c, http.StatusOK, done)
	}
}

func (s *Server) testNotification(c *gin.Context) {
	name := c.Param("name")
	err := s.options.Alarms.TestNotification(c.Request.Context(), name)
	switch {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no notification %q", name)})
	case err != nil:
		refuse(c, problem{Status: http.StatusBadGateway, Title: "Not delivered", Detail: err.Error()})
	default:
		s.record(c, who(c).user, "notification tested", name)
		c.Status(http.StatusNoContent)
	}
}

// oneOf checks a query parameter that may be missing; false means that the request has been refused.
func oneOf(c *gin.Context, name, value string, known ...string) bool {
	if value == "" {
		return true
	}
	for _, k := range known {
		if value == k {
			return true
		}
	}
	refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: name, Detail: fmt.Sprintf("%s is one of %q", name, known)})
	return false
}
