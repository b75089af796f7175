package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// Firmware updates the whole system that the gateway runs on, where it has slots for it. Its methods may
// be called from any goroutine.
type Firmware interface {
	// FirmwareState answers at once, with what is known.
	FirmwareState() FirmwareState
	// Upload takes a bundle, checks it and begins to install it: an *UpdateError, ErrInstalling, ErrOnTrial,
	// ErrNoSlots, ErrNoSpace, ErrBundleSize or ErrUploadEnded. size is -1 when nobody knows.
	Upload(ctx context.Context, from io.Reader, size int64, name, by string) error
	// Stream begins to install a bundle from an http or https URL; ErrInstalling, ErrOnTrial, ErrNoSlots.
	Stream(url, by string) error
	// CancelUpload ends an upload; ErrUnknown when there is none, ErrInstalling when it is too late.
	CancelUpload() error
	// RestartMachine restarts the machine, into an update if one was installed; ErrInstalling, ErrNoSlots.
	RestartMachine(ctx context.Context, by string) error
}

// Why a Firmware refuses.
var (
	ErrInstalling  = errors.New("an update is being installed; wait until that has ended")
	ErrOnTrial     = errors.New("the system that runs is still on trial, and an update would overwrite the one to fall back to; wait until it is kept")
	ErrNoSlots     = errors.New("this machine has no slots for whole systems; its package manager updates the gateway")
	ErrBundleSize  = errors.New("the bundle is larger than any that can be installed")
	ErrUploadEnded = errors.New("the upload ended before the whole bundle had come")
)

// UpdateError says why a bundle is not installed.
type UpdateError struct{ Kind, Text string }

func (e *UpdateError) Error() string { return e.Text }

// FirmwareState is the answer of GET /api/v1/firmware.
type FirmwareState struct {
	// Kind is rauc: two slots of which one runs; package: the package manager updates the gateway; none:
	// nobody but who put the program there.
	Kind     string           `json:"kind"`
	Version  string           `json:"version"` // of the image that runs; of the gateway where there is no image
	Board    string           `json:"board"`   // empty without slots
	Slot     string           `json:"slot"`    // that runs, as the boot loader calls it
	Slots    []FirmwareSlot   `json:"slots"`
	Install  *FirmwareInstall `json:"install"` // null: none since the start
	Waiting  *FirmwareWaiting `json:"waiting"` // null: nothing waits for a restart of the machine
	Trial    *FirmwareTrial   `json:"trial"`   // null: what runs is proven
	History  []FirmwareEvent  `json:"history"` // the newest first
	Manager  string           `json:"manager"` // apt, opkg, apk or dnf; empty: none
	Commands []string         `json:"commands"`
	Problem  string           `json:"problem"` // why the installer cannot be asked; empty: it can
}

// FirmwareSlot is a place for a whole system.
type FirmwareSlot struct {
	Name      string     `json:"name"`
	Bootname  string     `json:"bootname"`
	State     string     `json:"state"`     // booted or inactive
	Status    string     `json:"status"`    // good or bad: whether the boot loader takes it for one that works
	Version   string     `json:"version"`   // empty: not known
	Installed *time.Time `json:"installed"` // null: not by an update
}

// FirmwareInstall is the installation that runs, or how the last one ended.
type FirmwareInstall struct {
	Running bool   `json:"running"`
	Phase   string `json:"phase"` // receiving, checking or installing
	Percent int    `json:"percent"`
	Message string `json:"message"` // the installer's words
	Source  string `json:"source"`
	By      string `json:"by"`
	Version string `json:"version"` // empty: not known yet
	Bytes   int64  `json:"bytes"`   // received
	Total   *int64 `json:"total"`   // null: nobody knows
	Error   string `json:"error"`   // empty: none
	// Reason is what kind of error it is: signature, signer, time, board, version, damaged, format, space,
	// network, modules, busy, missing or other; empty: none.
	Reason string `json:"reason"`
}

// FirmwareWaiting is an update that runs after the next restart of the machine.
type FirmwareWaiting struct {
	Slot    string `json:"slot"`
	Version string `json:"version"`
}

// FirmwareTrial is the proof of a system before it is kept.
type FirmwareTrial struct {
	Since  time.Time       `json:"since"`
	Until  time.Time       `json:"until"`
	Failed string          `json:"failed"` // why it went wrong; empty: it has not
	Checks []FirmwareCheck `json:"checks"`
}

// FirmwareCheck is one thing that must hold.
type FirmwareCheck struct {
	Name  string `json:"name"`  // log, configuration, listeners, uplinks, updater or stable
	State string `json:"state"` // waiting, good or bad
	Said  string `json:"said"`
}

// FirmwareEvent is something that happened.
type FirmwareEvent struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"` // installed, refused, restarting, kept, failed or fell-back
	Version string    `json:"version"`
	Slot    string    `json:"slot"`
	By      string    `json:"by"`
	Text    string    `json:"text"`
}

const firmwarePath = "/api/v1/firmware"

func (s *Server) firmwareRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/firmware", operatorsOnly, func(c *gin.Context) { answer(c, http.StatusOK, s.options.Firmware.FirmwareState()) })
	administrators := signedIn.Group("", administratorsOnly)
	administrators.POST("/firmware", s.installFirmware)
	administrators.DELETE("/firmware/install", s.cancelFirmware)
	administrators.POST("/firmware/restart", s.restartMachine)
}

// bundleURL is the body of a POST that sends no bundle.
type bundleURL struct {
	URL string `json:"url"`
}

func (s *Server) installFirmware(c *gin.Context) {
	switch kind, _, _ := mime.ParseMediaType(c.GetHeader("Content-Type")); kind {
	case "application/octet-stream":
		s.uploadFirmware(c)
	case "application/json", "":
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
		var wanted bundleURL
		if !read(c, &wanted) {
			return
		}
		from, err := url.Parse(wanted.URL)
		if err != nil || from.Host == "" || from.Scheme != "https" && from.Scheme != "http" || from.User != nil || len(wanted.URL) > 2000 {
			refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "url", Detail: "url is the address of a bundle, such as https://example.com/sluice.raucb, without a password in it"})
			return
		}
		s.record(c, who(c).user, "firmware install", wanted.URL)
		s.begun(c, s.options.Firmware.Stream(wanted.URL, who(c).user))
	default:
		refuse(c, problem{Status: http.StatusUnsupportedMediaType, Detail: "send the bundle as application/octet-stream, or {\"url\": …} as application/json"})
	}
}

func (s *Server) uploadFirmware(c *gin.Context) {
	ctx, end := s.untilStop(c.Request.Context())
	defer end()
	control := http.NewResponseController(c.Writer)
	if err := control.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
		return
	}
	name := strings.ToValidUTF8(c.Query("name"), "")
	if name == "" || len(name) > 200 {
		name = "bundle"
	}
	s.record(c, who(c).user, "firmware install", name)
	err := s.options.Firmware.Upload(ctx, &upload{c.Request.Body, control}, c.Request.ContentLength, name, who(c).user)
	_ = control.SetWriteDeadline(time.Now().Add(requestTime)) // for the answer
	s.begun(c, err)
}

// begun answers whether an installation has begun.
func (s *Server) begun(c *gin.Context, err error) {
	wrong, refused := errors.AsType[*UpdateError](err)
	switch {
	case err == nil:
		answer(c, http.StatusAccepted, s.options.Firmware.FirmwareState())
	case refused:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Title: "Bundle refused", Field: wrong.Kind, Detail: wrong.Text})
	case errors.Is(err, ErrInstalling), errors.Is(err, ErrOnTrial), errors.Is(err, ErrNoSlots):
		refuse(c, problem{Status: http.StatusConflict, Detail: err.Error()})
	case errors.Is(err, ErrNoSpace):
		refuse(c, problem{Status: http.StatusInsufficientStorage, Detail: "there is not enough space for the bundle; let the gateway stream it from a URL, or make room"})
	case errors.Is(err, ErrBundleSize):
		refuse(c, problem{Status: http.StatusRequestEntityTooLarge, Detail: err.Error()})
	case errors.Is(err, ErrUploadEnded), errors.Is(err, context.Canceled):
		refuse(c, problem{Status: http.StatusBadRequest, Detail: ErrUploadEnded.Error()})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the update could not be installed; the gateway's log says more"})
	}
}

func (s *Server) cancelFirmware(c *gin.Context) {
	switch err := s.options.Firmware.CancelUpload(); {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: "nothing is being uploaded"})
	case errors.Is(err, ErrInstalling):
		refuse(c, problem{Status: http.StatusConflict, Detail: "an installation cannot be stopped once it writes; until the machine is restarted it changes nothing that runs"})
	case err != nil:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError})
	default:
		s.record(c, who(c).user, "firmware upload cancelled", "")
		c.Status(http.StatusNoContent)
	}
}

func (s *Server) restartMachine(c *gin.Context) {
	s.record(c, who(c).user, "machine restart", "")
	switch err := s.options.Firmware.RestartMachine(c.Request.Context(), who(c).user); {
	case err == nil:
		answer(c, http.StatusAccepted, restarting{s.options.Gateway.Status().Started})
	case errors.Is(err, ErrInstalling), errors.Is(err, ErrNoSlots):
		refuse(c, problem{Status: http.StatusConflict, Detail: err.Error()})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusBadGateway, Title: "No restart", Detail: err.Error()})
	}
}
