package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// Uplinks does what is asked of uplinks beside what Status tells of them. Its methods may be called
// from any goroutine.
type Uplinks interface {
	// Test opens a connection of its own to the uplink's cloud, sends one message there that is marked
	// as a test, and reports each step as it ends. It returns why it failed; ErrUnknown and
	// ErrNotAllowed, for a kind that cannot be tested, before any step.
	Test(ctx context.Context, name string, report func(TestStep)) error
	// Aside lists what was set aside for an uplink, the oldest first, from a position on, and says
	// where to go on; 0: there is no more.
	Aside(ctx context.Context, name string, from uint64, limit int) (list []Aside, next uint64, err error)
}

// TestStep is one step of the test of an uplink, as it ended.
type TestStep struct {
	Step   string  `json:"step"`             // what was shown, as in "port open"
	Detail string  `json:"detail,omitempty"` // what was found
	Took   float64 `json:"took_ms"`
	Error  string  `json:"error,omitempty"` // plain words; the step failed
}

// TestResult ends the answer to a test. An answer without it was cut off.
type TestResult struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Aside is a message that an uplink's cloud did not want.
type Aside struct {
	Position uint64    `json:"position"` // of what is kept, by which it is looked at and sent again
	Topic    string    `json:"topic"`    // the one that it was for
	Stored   time.Time `json:"stored"`   // when it was set aside
	Bytes    int       `json:"bytes"`
	Reason   string    `json:"reason"` // the cloud's
	Tries    int       `json:"tries"`
	Origin   uint64    `json:"origin"` // position of the message that it is a copy of
}

// testTime is how long the test of an uplink may take, over all its addresses.
const testTime = 2 * time.Minute

// testUplink tests an uplink of the configuration.
func (s *Server) testUplink(c *gin.Context) {
	name := c.Param("name")
	s.tested(c, name, func(ctx context.Context, report func(TestStep)) error {
		return s.options.Uplinks.Test(ctx, name, report)
	})
}

// tested sends each step of a test as a line of JSON when it ends.
func (s *Server) tested(c *gin.Context, name string, test func(context.Context, func(TestStep)) error) {
	select {
	case s.tests <- struct{}{}:
		defer func() { <-s.tests }()
	default:
		refuse(c, problem{Status: http.StatusConflict, Title: "Busy", Detail: "another uplink is being tested"})
		return
	}
	ctx, end := s.untilStop(c.Request.Context())
	defer end()
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	control := http.NewResponseController(c.Writer)
	// The server's limit is for requests that are over soon.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
		return
	}
	lines := &lineWriter{to: c.Writer, control: control, begin: func() {
		c.Header("Content-Type", "application/x-ndjson")
		c.Header("X-Accel-Buffering", "no") // a proxy must not collect lines
	}}
	err := test(ctx, func(step TestStep) { lines.write(step) })
	_, wrong := errors.AsType[*UplinkError](err)
	if wrong || errors.Is(err, ErrUnknown) || errors.Is(err, ErrNotAllowed) {
		s.uplinkFailed(c, err)
		return
	}
	result, outcome := TestResult{OK: err == nil}, "passed"
	if err != nil {
		result.Error, outcome = err.Error(), "failed"
	}
	s.log.Info("an uplink was tested on request", "uplink", name, "outcome", outcome, "user", who(c).user)
	s.record(c, who(c).user, "uplink tested", name+": "+outcome)
	lines.write(result)
}

// lineWriter writes values as lines of JSON that are sent at once. After a failure it is silent: the
// reader has gone.
type lineWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
	begin   func()
	begun   bool
	broken  bool
}

func (w *lineWriter) write(value any) {
	if w.broken {
		return
	}
	if !w.begun {
		w.begun = true
		w.begin()
	}
	line, err := json.Marshal(value)
	if err != nil {
		panic("bug: a line that JSON cannot hold: " + err.Error())
	}
	if err := w.control.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		w.broken = true
		return
	}
	if _, err := w.to.Write(append(line, '\n')); err != nil {
		w.broken = true
		return
	}
	w.broken = w.control.Flush() != nil
}

// asidePage is a stretch of what was set aside for an uplink.
type asidePage struct {
	Items []Aside `json:"items"`
	// Next is what to ask for next; absent at the end of the list.
	Next uint64 `json:"next,omitempty"`
}

func (s *Server) aside(c *gin.Context) {
	limit, ok := numberFrom(c, "limit", usualPage, largestPage)
	if !ok {
		return
	}
	var from uint64
	if text := c.Query("next"); text != "" {
		var err error
		if from, err = strconv.ParseUint(text, 10, 63); err != nil {
			refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "next", Detail: "next is what the answer before has under that name"})
			return
		}
	}
	list, next, err := s.options.Uplinks.Aside(c.Request.Context(), c.Param("name"), from, int(limit))
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	answer(c, http.StatusOK, asidePage{Items: append([]Aside{}, list...), Next: next})
}
