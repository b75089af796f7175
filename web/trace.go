package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Tracer follows one reading from the poll to the acknowledgement. Its method may be called from any goroutine.
type Tracer interface {
	// Trace reports the steps of the device's next reading as they happen. It returns true when every
	// uplink that forwards it has its acknowledgement, false when ctx ended before; ErrUnknown,
	// ErrTracing before any step. report is called from one goroutine.
	Trace(ctx context.Context, device string, report func(TraceStep)) (complete bool, err error)
}

// ErrTracing refuses a trace because of others that run.
var ErrTracing = errors.New("too many readings are being followed already")

// TraceStep is one step of a reading's way. Its time is the gateway's.
type TraceStep struct {
	Step     string         `json:"step"` // polled, stored, sent, acknowledged
	At       time.Time      `json:"at"`
	Device   string         `json:"device"`
	Seq      uint64         `json:"seq"`
	Position uint64         `json:"position,omitempty"` // in the log
	Uplink   string         `json:"uplink,omitempty"`
	Bytes    int            `json:"bytes,omitempty"`   // as stored; of sent: of the payload on its way
	Value    map[string]any `json:"value,omitempty"`   // the first points, of polled
	Uplinks  []string       `json:"uplinks,omitempty"` // of stored: those that forward it
}

// TraceEnd ends the events of a trace.
type TraceEnd struct {
	Complete bool `json:"complete"` // every uplink that forwards the reading has its acknowledgement
}

// traceTime is how long a reading is waited for and followed.
const traceTime = 60 * time.Second

func (s *Server) trace(c *gin.Context) {
	device := c.Query("device")
	ctx, end := s.untilStop(c.Request.Context())
	defer end()
	ctx, cancel := context.WithTimeout(ctx, traceTime)
	defer cancel()
	control := http.NewResponseController(c.Writer)
	// The server's limit is for requests that are over soon.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
		return
	}
	begun := false
	send := func(event string, data any) {
		if !begun {
			begun = true
			c.Header("Content-Type", "text/event-stream")
			c.Header("X-Accel-Buffering", "no") // a proxy must not collect events
		}
		body, err := json.Marshal(data)
		if err != nil {
			panic("bug: a step that JSON cannot hold: " + err.Error())
		}
		if err := control.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			cancel()
			return
		}
		if _, err := fmt.Fprintf(c.Writer, "event: %s\ndata: %s\n\n", event, body); err != nil || control.Flush() != nil {
			cancel() // the reader has gone
		}
	}
	complete, err := s.options.Tracer.Trace(ctx, device, func(step TraceStep) { send("step", step) })
	switch {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Field: "device", Detail: fmt.Sprintf("there is no device %q", device)})
	case errors.Is(err, ErrTracing):
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Busy", Detail: err.Error(), retryAfter: 5 * time.Second})
	case err != nil:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError})
	default:
		send("end", TraceEnd{Complete: complete})
	}
}
