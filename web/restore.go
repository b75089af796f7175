package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Restorer lets a backup take the place of the log. Its methods may be called from any goroutine.
type Restorer interface {
	// Restore reads a backup to its end, checks it and starts the gateway anew with it; where that
	// cannot be, it waits for the next start. ErrRestoring; ErrNoSpace; a *BackupError when it is no backup.
	// size is what is expected, -1 when nobody knows.
	Restore(ctx context.Context, from io.Reader, size int64, by string, keepOld bool) (Restore, error)
	// RestoreProgress is the restore that runs, or how the last one ended.
	RestoreProgress() Restore
}

// Why a Restorer refuses.
var (
	ErrRestoring = errors.New("a backup is being restored already")
	ErrNoSpace   = errors.New("there is not enough space for the backup beside the log that is in use")
)

// BackupError says why a file is no backup.
type BackupError struct{ Problem string }

func (e *BackupError) Error() string { return e.Problem }

// Restore is how far a restore is.
type Restore struct {
	// State is none; receiving; ready, until the gateway starts anew; trying, while the gateway has only
	// just begun with it; done; undone, when the old log had to come back; or failed.
	State    string     `json:"state"`
	By       string     `json:"by,omitempty"`
	Started  *time.Time `json:"started,omitempty"`
	Finished *time.Time `json:"finished,omitempty"`
	Bytes    int64      `json:"bytes"`              // received so far
	Total    *int64     `json:"total,omitempty"`    // that will come
	Messages uint64     `json:"messages"`           // restored so far
	Error    string     `json:"error,omitempty"`    // why it failed or was undone
	Backup   *time.Time `json:"backup,omitempty"`   // when the backup was made
	Epoch    uint64     `json:"epoch,omitempty"`    // of the new log
	KeepOld  bool       `json:"keep_old,omitempty"` // the log that was in use stays in a folder of its own
}

const restorePath = "/api/v1/restore"

func (s *Server) restoreRoutes(signedIn *gin.RouterGroup) {
	administrators := signedIn.Group("", administratorsOnly)
	administrators.POST("/restore", s.restoreBackup)
	administrators.GET("/restore", func(c *gin.Context) { answer(c, http.StatusOK, s.options.Restorer.RestoreProgress()) })
}

// uploadPatience is how long the sender may take for one piece of an upload.
const uploadPatience = 30 * time.Second

// upload is a body of any length from a sender that keeps sending.
type upload struct {
	from    io.Reader
	control *http.ResponseController
}

func (u *upload) Read(b []byte) (int, error) {
	if err := u.control.SetReadDeadline(time.Now().Add(uploadPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return u.from.Read(b)
}

func (s *Server) restoreBackup(c *gin.Context) {
	keep := c.Query("keep")
	if keep != "" && keep != "true" && keep != "false" {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "keep", Detail: "keep is true or false"})
		return
	}
	ctx, end := s.untilStop(c.Request.Context())
	defer end()
	control := http.NewResponseController(c.Writer)
	if err := control.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
		return
	}
	s.record(c, who(c).user, "restore", "")
	begun, err := s.options.Restorer.Restore(ctx, &upload{c.Request.Body, control}, c.Request.ContentLength, who(c).user, keep == "true")
	_ = control.SetWriteDeadline(time.Now().Add(requestTime)) // for the answer
	bad, isBad := errors.AsType[*BackupError](err)
	switch {
	case err == nil:
		answer(c, http.StatusAccepted, begun)
	case errors.Is(err, ErrRestoring):
		refuse(c, problem{Status: http.StatusConflict, Title: "Busy", Detail: err.Error()})
	case errors.Is(err, ErrNoSpace):
		refuse(c, problem{Status: http.StatusInsufficientStorage, Detail: err.Error()})
	case isBad:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Title: "Not a backup", Detail: bad.Problem})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the backup could not be restored; the gateway's log says more"})
	}
}
