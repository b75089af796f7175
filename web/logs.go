package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// Logs are the gateway's own records, the last of which are kept. Its methods may be called from any
// goroutine.
type Logs interface {
	// Before gives up to limit records with numbers below before, the newest first; 0 is from the newest.
	Before(wanted LogFilter, before uint64, limit int) []LogRecord
	// After gives what is wanted of the records above a number, the oldest first, the number up to which
	// was looked, how many are gone, and a channel that is closed when there are more.
	After(wanted LogFilter, after uint64, limit int) (records []LogRecord, upTo, lost uint64, grown <-chan struct{})
	// Parts are the components that have said something.
	Parts() []string
	Level() LogLevel
	// SetLevel lets another level count for a time; none ends the one that counts.
	SetLevel(level, part string, during time.Duration)
}

// LogFilter is what is wanted of the records.
type LogFilter struct {
	Level string // and what is more serious: debug, info, warn, error
	Part  string // empty: all
	Text  string // somewhere in the record, in capitals or not
}

// LogRecord is one of the gateway's own records.
type LogRecord struct {
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`
	Level  string    `json:"level"` // debug, info, warn, error
	Part   string    `json:"part"`  // the component; empty: the gateway as a whole
	Text   string    `json:"text"`
	Attrs  []LogAttr `json:"attrs"`
}

// LogAttr is a detail of a record.
type LogAttr struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// LogLevel is from which level on records are written.
type LogLevel struct {
	Level string `json:"level"` // as configured
	// Override counts instead for a while.
	Override *LogOverride `json:"override,omitempty"`
	// Syslog is how the configured syslog server stands.
	Syslog *SyslogState `json:"syslog,omitempty"`
}

// LogOverride is a level that counts for a while.
type LogOverride struct {
	Level string    `json:"level"`
	Part  string    `json:"part"` // for which component; empty: all
	Until time.Time `json:"until"`
}

// SyslogState is how the gateway stands with its syslog server.
type SyslogState struct {
	Address   string `json:"address"`
	Connected bool   `json:"connected"` // over UDP nobody can tell
	Lost      uint64 `json:"lost"`      // records, since the start
	Error     string `json:"error,omitempty"`
}

var logLevels = []string{"debug", "info", "warn", "error"}

func (s *Server) logRoutes(signedIn *gin.RouterGroup) {
	operators := signedIn.Group("", operatorsOnly)
	operators.GET("/logs", s.logs)
	operators.GET("/logs/events", s.logEvents)
	operators.GET("/logs/level", func(c *gin.Context) { answer(c, http.StatusOK, s.options.Logs.Level()) })
	operators.PUT("/logs/level", s.setLogLevel)
	operators.DELETE("/logs/level", s.resetLogLevel)
}

// logPage is a page of records.
type logPage struct {
	Items []LogRecord `json:"items"`
	// Before is what to ask for next; absent at the end of what is kept.
	Before uint64   `json:"before,omitempty"`
	Parts  []string `json:"parts"`
}

// logFilter reads what is wanted; false means that the request has been refused.
func logFilter(c *gin.Context) (LogFilter, bool) {
	f := LogFilter{Level: c.DefaultQuery("level", logLevels[0]), Part: c.Query("part"), Text: c.Query("text")}
	if !slices.Contains(logLevels, f.Level) {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "level", Detail: "there are " + strings.Join(logLevels, ", ")})
		return f, false
	}
	return f, true
}

func (s *Server) logs(c *gin.Context) {
	filter, ok := logFilter(c)
	if !ok {
		return
	}
	before, ok := numberFrom(c, "before", 0, 1<<62)
	if !ok {
		return
	}
	limit, ok := numberFrom(c, "limit", usualPage, largestPage)
	if !ok {
		return
	}
	items := s.options.Logs.Before(filter, before, int(limit))
	page := logPage{Items: append([]LogRecord{}, items...), Parts: append([]string{}, s.options.Logs.Parts()...)}
	if n := len(items); n == int(limit) && items[n-1].Number > 1 {
		page.Before = items[n-1].Number
	}
	answer(c, http.StatusOK, page)
}

const (
	logBatch = 200
	logPulse = 5 * time.Second // at which a stream shows that it lives
)

// logEvents sends records as they come for as long as the reader listens; the end of the session ends it.
func (s *Server) logEvents(c *gin.Context) {
	filter, ok := logFilter(c)
	if !ok {
		return
	}
	after, ok := numberFrom(c, "after", 0, 1<<62)
	if !ok {
		return
	}
	if seen, err := strconv.ParseUint(c.GetHeader("Last-Event-ID"), 10, 62); err == nil {
		after = seen // a browser that connects again
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Too many pages are open", Detail: "close another page that shows this gateway", retryAfter: 5 * time.Second})
		return
	}
	control := http.NewResponseController(c.Writer)
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		_ = c.Error(err)
		return
	}
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no")
	pulse := time.NewTicker(logPulse)
	defer pulse.Stop()
	for {
		records, upTo, lost, grown := s.options.Logs.After(filter, after, logBatch)
		events := appendLogEvents(nil, records, lost)
		if err := control.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return
		}
		if _, err := c.Writer.Write(events); err != nil || control.Flush() != nil {
			return // the reader has gone, or reads too slowly
		}
		if upTo > after {
			after = upTo
			continue
		}
		select {
		case <-grown:
		case <-pulse.C:
		case <-c.Request.Context().Done():
			return
		case <-s.stopping:
			return
		}
	}
}

func appendLogEvents(b []byte, records []LogRecord, lost uint64) []byte {
	if lost > 0 {
		b = fmt.Appendf(b, "event: lost\ndata: {\"records\":%d}\n\n", lost)
	}
	for _, r := range records {
		body, err := json.Marshal(r)
		if err != nil {
			panic("bug: a record that JSON cannot hold: " + err.Error())
		}
		b = fmt.Appendf(b, "id: %d\nevent: record\ndata: %s\n\n", r.Number, body)
	}
	return append(b, ": \n\n"...) // a remark, so that a reader that has gone is noticed
}

// levelWanted is the body of PUT /logs/level.
type levelWanted struct {
	Level   string `json:"level"`
	Part    string `json:"part"`
	Minutes int    `json:"minutes"`
}

const longestLevel = 24 * 60 // minutes

func (s *Server) setLogLevel(c *gin.Context) {
	var wanted levelWanted
	if !read(c, &wanted) {
		return
	}
	switch {
	case !slices.Contains(logLevels, wanted.Level):
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "level", Detail: "there are " + strings.Join(logLevels, ", ")})
		return
	case wanted.Minutes < 1 || wanted.Minutes > longestLevel:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "minutes", Detail: fmt.Sprintf("minutes is a number from 1 to %d; log.level in the configuration sets the level for good", longestLevel)})
		return
	case len(wanted.Part) > 100:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "part", Detail: "no part has such a long name"})
		return
	}
	s.options.Logs.SetLevel(wanted.Level, wanted.Part, time.Duration(wanted.Minutes)*time.Minute)
	s.record(c, who(c).user, "log level set", strings.TrimSpace(wanted.Part+" "+wanted.Level))
	answer(c, http.StatusOK, s.options.Logs.Level())
}

func (s *Server) resetLogLevel(c *gin.Context) {
	s.options.Logs.SetLevel("info", "", 0)
	answer(c, http.StatusOK, s.options.Logs.Level())
}
