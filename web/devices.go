package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// Devices tries out devices that need not be configured, and writes to those that are. Its methods may be
// called from any goroutine.
type Devices interface {
	// Try asks a device once, as its section describes it, and keeps nothing; a SectionError for a section
	// that cannot be, ErrTrying while its line or too many others are being tried. What the device or its
	// line does wrong is part of the Trial.
	Try(ctx context.Context, wanted TrialRequest) (Trial, error)
	// Write sends a command to a device and waits for its reply; ErrUnknown. What becomes of the command
	// is part of the answer.
	Write(ctx context.Context, device, user string, values json.RawMessage) (Written, error)
}

// TrialRequest is a device as the configuration would have it, with the line it is on if that is not
// configured yet.
type TrialRequest struct {
	Device json.RawMessage `json:"device"`
	Bus    json.RawMessage `json:"bus,omitempty"`
}

// Trial is what one poll of a device gave.
type Trial struct {
	Took     float64          `json:"took_ms"`
	Points   []TriedPoint     `json:"points"`
	More     int              `json:"more,omitempty"` // points that were left out, because there are so many
	Problems []SectionProblem `json:"problems"`       // warnings about the section
	Error    string           `json:"error"`          // why there are no points; empty: there are
}

// TriedPoint is one point of a Trial.
type TriedPoint struct {
	Name  string `json:"name"`
	Unit  string `json:"unit,omitempty"`
	Value any    `json:"value"`         // a JSON scalar; null when there is none
	Raw   string `json:"raw,omitempty"` // the registers in hex digits, where the driver can tell
	Error string `json:"error,omitempty"`
}

// SectionProblem is something about a part of a section: where, by keys, names and numbers from 0, and what.
type SectionProblem struct {
	Path []string `json:"path"`
	Line int      `json:"line,omitempty"` // of the file that it would be in
	Text string   `json:"text"`
}

// SectionError says why a section of the configuration cannot be; it has at least one problem.
type SectionError struct{ Problems []SectionProblem }

// Error implements error.
func (e *SectionError) Error() string {
	return strings.TrimPrefix(strings.Join(e.Problems[0].Path, ".")+": "+e.Problems[0].Text, ": ")
}

// Written is what became of a command.
type Written struct {
	OK     bool            `json:"ok"`
	Values json.RawMessage `json:"values"` // as the device gives them back: an object
	Error  string          `json:"error"`
	// Before is what the points that were to be written had in the last reading, as far as that is known. It is for
	// the audit log, and no part of the answer.
	Before map[string]any `json:"-"`
}

const (
	tryPath   = "/api/v1/devices/try"
	maxTry    = 2 << 20          // bytes of a section with its points
	tryTime   = 30 * time.Second // for one poll, its turn on the line included
	writeTime = 30 * time.Second // until a command has its reply
	slack     = 10 * time.Second // to send the answer
)

func (s *Server) deviceRoutes(signedIn *gin.RouterGroup) {
	signedIn.POST(strings.TrimPrefix(tryPath, "/api/v1"), operatorsOnly, s.tryDevice)
	signedIn.POST("/devices/write", operatorsOnly, s.writeDevice)
}

// takeTime lets an answer take longer than most.
func takeTime(c *gin.Context, most time.Duration) (ctx context.Context, cancel context.CancelFunc) {
	control := http.NewResponseController(c.Writer)
	if err := control.SetWriteDeadline(time.Now().Add(most + slack)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
	}
	return context.WithTimeout(c.Request.Context(), most)
}

func (s *Server) tryDevice(c *gin.Context) {
	var wanted TrialRequest
	if !read(c, &wanted) {
		return
	}
	if !isObject(wanted.Device) {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "device", Detail: "device is the section of a device, an object"})
		return
	}
	if wanted.Bus != nil && !isObject(wanted.Bus) {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "bus", Detail: "bus is the section of a line, an object"})
		return
	}
	ctx, cancel := takeTime(c, tryTime)
	defer cancel()
	trial, err := s.options.Devices.Try(ctx, wanted)
	if err != nil {
		s.deviceFailed(c, err)
		return
	}
	answer(c, http.StatusOK, trial)
}

// writeRequest is the body of POST /api/v1/devices/write.
type writeRequest struct {
	Device string          `json:"device"`
	Values json.RawMessage `json:"values"` // points and what to write, in this order
}

func (s *Server) writeDevice(c *gin.Context) {
	var request writeRequest
	if !read(c, &request) {
		return
	}
	if !isObject(request.Values) || len(bytes.Trim(request.Values, "{} \t\r\n")) == 0 {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "values", Detail: "say what to write, as in {\"setpoint\":42}"})
		return
	}
	ctx, cancel := takeTime(c, writeTime)
	defer cancel()
	user := who(c).user
	done, err := s.options.Devices.Write(ctx, request.Device, user, request.Values)
	if err != nil {
		s.deviceFailed(c, err)
		return
	}
	outcome := ""
	if !done.OK {
		outcome = ": " + done.Error
	}
	before, after := done.states()
	s.recordChange(c, user, "device written", shortened(request.Device+" "+string(request.Values)+outcome), before, after)
	answer(c, http.StatusOK, done)
}

// states are the values before and after, for an audit record: of the points that the device gave back.
func (w Written) states() (before, after any) {
	var now map[string]any
	if json.Unmarshal(w.Values, &now) != nil || len(now) == 0 {
		return nil, nil // nothing was changed, as far as anybody knows
	}
	was := map[string]any{}
	for name := range now {
		if value, known := w.Before[name]; known {
			was[name] = value
		}
	}
	return was, now
}

// shortened keeps the subject of an audit record to a line.
func shortened(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func isObject(value json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimSpace(value), []byte("{"))
}

func (s *Server) deviceFailed(c *gin.Context, err error) {
	wrong, isWrong := errors.AsType[*SectionError](err)
	switch {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Field: "device", Detail: err.Error()})
	case isWrong:
		first := wrong.Problems[0]
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: strings.Join(first.Path, "."), Detail: first.Text, Problems: wrong.Problems})
	case errors.Is(err, ErrTrying):
		refuse(c, problem{Status: http.StatusConflict, Title: "Busy", Detail: err.Error(), retryAfter: time.Second})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the gateway could not do it; its log says more"})
	}
}

// ErrTrying refuses a trial because of others that run.
var ErrTrying = errors.New("another device is being tried")
