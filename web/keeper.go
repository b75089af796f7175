package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// Keeper backs the log up and keeps records of what was done to the gateway. Its methods may be
// called from any goroutine.
type Keeper interface {
	// Backup writes the log as it is now; ErrBusy, before anything is written, while another backup
	// is being written.
	Backup(ctx context.Context, to io.Writer) error
	// BackupProgress is the progress of the backup that runs, or how the last one ended.
	BackupProgress() Backup
	// DropCursor forgets a cursor, with what only it keeps; ErrUnknown, ErrInUse.
	DropCursor(name string) error
	// Record makes an audit record durable.
	Record(Audit) error
	// FindAudits and Revisions give up to limit entries, the newest first, with numbers below before;
	// 0 is from the newest.
	FindAudits(wanted AuditFilter, before uint64, limit int) ([]Audit, error)
	Revisions(before uint64, limit int) ([]Revision, error)
	// Revision gives one with its text; ErrUnknown.
	Revision(number uint64) (RevisionText, error)
}

// Why a Keeper refuses.
var (
	ErrBusy    = errors.New("another backup is being written")
	ErrUnknown = errors.New("there is no such thing")
	ErrInUse   = errors.New("it is in use")
)

// Backup is the progress of a backup.
type Backup struct {
	State    string     `json:"state"` // none, running, done, failed
	Error    string     `json:"error,omitempty"`
	Started  *time.Time `json:"started,omitempty"`
	Finished *time.Time `json:"finished,omitempty"`
	Messages uint64     `json:"messages"` // written so far
	Total    uint64     `json:"total"`    // positions that it covers: at least as many as messages
	Bytes    int64      `json:"bytes"`    // written so far
}

// Revision is one configuration that was in force, without its text.
type Revision struct {
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`
	Author string    `json:"author"`
	Bytes  int       `json:"bytes"`
}

// RevisionText is a Revision with its text, in which secrets are hidden.
type RevisionText struct {
	Revision
	Text string `json:"text"`
}

func (s *Server) keeperRoutes(signedIn *gin.RouterGroup) {
	administrators := signedIn.Group("", administratorsOnly)
	administrators.POST("/backup", s.backup)
	administrators.GET("/backup", s.backupProgress)
	administrators.DELETE("/log/cursors/*name", s.dropCursor)
	administrators.GET("/revisions", s.revisions)
	administrators.GET("/revisions/:number", s.revision)
	administrators.GET("/audit", s.audits)
}

// who is the session of a request that authenticate let pass.
func who(c *gin.Context) session {
	found, ok := c.MustGet(sessionKey).(session)
	if !ok {
		panic("bug: a request without a session")
	}
	return found
}

// backup sends the log as a download. One that fails on its way is cut off, so that half a backup
// does not look like a whole one.
func (s *Server) backup(c *gin.Context) {
	ctx, end := s.untilStop(c.Request.Context())
	defer end()
	control := http.NewResponseController(c.Writer)
	// The server's limits are for requests that are over soon.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
		return
	}
	name := "sluice-" + time.Now().UTC().Format("20060102T150405Z") + ".sluicelog"
	d := &download{to: c.Writer, control: control, begin: func() {
		c.Header("Content-Type", "application/octet-stream")
		c.Header("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
		s.record(c, who(c).user, "backup", name)
	}}
	err := s.options.Keeper.Backup(ctx, d)
	switch {
	case err == nil:
	case d.begun:
		s.log.Warn("a backup was cut off", "err", err)
		panic(http.ErrAbortHandler)
	case errors.Is(err, ErrBusy):
		refuse(c, problem{Status: http.StatusConflict, Title: "Busy", Detail: err.Error()})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the log could not be read; the gateway's log says more"})
	}
}

// downloadPatience is how long a reader may take for one piece of a download.
const downloadPatience = 30 * time.Second

// download writes an answer of any length to a reader that keeps reading.
type download struct {
	to      io.Writer
	control *http.ResponseController
	begin   func()
	begun   bool
}

func (d *download) Write(b []byte) (int, error) {
	if !d.begun {
		d.begun = true
		d.begin()
	}
	if err := d.control.SetWriteDeadline(time.Now().Add(downloadPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return d.to.Write(b)
}

func (s *Server) backupProgress(c *gin.Context) {
	answer(c, http.StatusOK, s.options.Keeper.BackupProgress())
}

func (s *Server) dropCursor(c *gin.Context) {
	name := strings.TrimPrefix(c.Param("name"), "/") // names have slashes themselves
	err := s.options.Keeper.DropCursor(name)
	switch {
	case err == nil:
		s.log.Info("a cursor was dropped on request", "cursor", name, "user", who(c).user)
		s.record(c, who(c).user, "cursor dropped", name)
		c.Status(http.StatusNoContent)
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no cursor %q", name)})
	case errors.Is(err, ErrInUse):
		refuse(c, problem{Status: http.StatusConflict, Title: "In use", Detail: fmt.Sprintf("cursor %q is in use; take away what uses it first", name)})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the cursor could not be dropped; the gateway's log says more"})
	}
}

const (
	usualPage   = 50
	largestPage = 200
)

// page of a list that is read from the newest entry backwards.
type listPage[T any] struct {
	Items []T `json:"items"`
	// Before is what to ask for next; absent at the end of the list.
	Before uint64 `json:"before,omitempty"`
}

func (s *Server) revisions(c *gin.Context) {
	list(s, c, s.options.Keeper.Revisions, func(r Revision) uint64 { return r.Number })
}

func list[T any](s *Server, c *gin.Context, newest func(before uint64, limit int) ([]T, error), number func(T) uint64) {
	before, ok := numberFrom(c, "before", 0, 1<<62)
	if !ok {
		return
	}
	limit, ok := numberFrom(c, "limit", usualPage, largestPage)
	if !ok {
		return
	}
	items, err := newest(before, int(limit))
	if err != nil {
		s.accountsFailed(c, err)
		return
	}
	page := listPage[T]{Items: append([]T{}, items...)}
	if n := len(items); n > 0 && n == int(limit) && number(items[n-1]) > 1 {
		page.Before = number(items[n-1])
	}
	answer(c, http.StatusOK, page)
}

// numberFrom reads a query parameter from 1 to most; false means that the request has been refused.
func numberFrom(c *gin.Context, name string, missing, most uint64) (uint64, bool) {
	text := c.Query(name)
	if text == "" {
		return missing, true
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || n > most {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: name, Detail: fmt.Sprintf("%s is a number from 1 to %d", name, most)})
		return 0, false
	}
	return n, true
}

func (s *Server) revision(c *gin.Context) {
	number, err := strconv.ParseUint(c.Param("number"), 10, 62)
	if err != nil {
		refuse(c, problem{Status: http.StatusNotFound, Detail: "revisions have numbers"})
		return
	}
	found, err := s.options.Keeper.Revision(number)
	switch {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no revision %d; the last 1,000 are kept", number)})
	case err != nil:
		s.accountsFailed(c, err)
	default:
		answer(c, http.StatusOK, found)
	}
}
