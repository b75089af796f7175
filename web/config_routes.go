package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	configPath  = "/api/v1/config"
	previewPath = configPath + "/preview"
	maxConfig   = 8 << 20         // bytes of a change
	configTime  = 2 * time.Minute // to send one
	maxEdits    = 20_000          // of one change
)

func (s *Server) configRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/config", s.configuration)
	signedIn.GET("/config/state", s.configState)
	signedIn.GET("/config/schema", s.configSchema)
	signedIn.POST("/config/preview", operatorsOnly, s.previewConfig)
	administrators := signedIn.Group("", administratorsOnly)
	administrators.PUT("/config", s.applyConfig)
	administrators.POST("/config/reload", s.reloadConfig)
	administrators.POST("/config/confirm", s.confirmConfig)
	administrators.DELETE("/config/pending", s.rollBackConfig)
	administrators.GET("/revisions/:number/diff", s.revisionDiff)
	administrators.POST("/revisions/:number/restore", s.restoreRevision)
}

func quoted(etag string) string { return `"` + etag + `"` }

func (s *Server) configuration(c *gin.Context) {
	shown, err := s.options.Configurator.Configuration()
	if err != nil {
		s.configFailed(c, err)
		return
	}
	c.Header("ETag", quoted(shown.ETag))
	answer(c, http.StatusOK, shown)
}

func (s *Server) configState(c *gin.Context) {
	answer(c, http.StatusOK, s.options.Configurator.State())
}

func (s *Server) configSchema(c *gin.Context) {
	answer(c, http.StatusOK, s.options.Configurator.Schema())
}

func (s *Server) previewConfig(c *gin.Context) {
	change, ok := readChange(c)
	if !ok {
		return
	}
	preview, err := s.options.Configurator.Preview(change, c.Query("document") == "true")
	if err != nil {
		s.configFailed(c, err)
		return
	}
	answer(c, http.StatusOK, preview)
}

// readChange reads a change, which may be as large as a configuration.
func readChange(c *gin.Context) (change ConfigChange, ok bool) {
	if err := http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(configTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
		return change, false
	}
	if !read(c, &change) {
		return change, false
	}
	wrong := ""
	switch {
	case change.Text == nil && len(change.Edits) == 0:
		wrong = "give a whole text, or edits"
	case change.Text != nil && len(change.Edits) > 0:
		wrong = "give a whole text or edits, not both"
	case len(change.Edits) > maxEdits:
		wrong = fmt.Sprintf("%d edits; %d are possible at once: change whole lists", len(change.Edits), maxEdits)
	}
	if wrong != "" {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "edits", Detail: wrong})
		return change, false
	}
	return change, true
}

// ifMatch is the tag that a change begins from; false means that the request has been refused.
func ifMatch(c *gin.Context) (string, bool) {
	tag := strings.Trim(strings.TrimPrefix(c.GetHeader("If-Match"), "W/"), `" `)
	if tag == "" {
		refuse(c, problem{Status: http.StatusPreconditionRequired, Field: "If-Match", Detail: "send the etag of the configuration that the change was made from in the header If-Match"})
		return "", false
	}
	return tag, true
}

func (s *Server) applyConfig(c *gin.Context) {
	etag, ok := ifMatch(c)
	if !ok {
		return
	}
	change, ok := readChange(c)
	if !ok {
		return
	}
	applied, err := s.options.Configurator.Apply(change, etag, who(c).user)
	s.applied(c, "configuration applied", applied, err)
}

func (s *Server) reloadConfig(c *gin.Context) {
	applied, err := s.options.Configurator.Reload(who(c).user)
	s.applied(c, "configuration file applied", applied, err)
}

func (s *Server) restoreRevision(c *gin.Context) {
	number, ok := revisionNumber(c, c.Param("number"))
	if !ok {
		return
	}
	etag, ok := ifMatch(c)
	if !ok {
		return
	}
	applied, err := s.options.Configurator.Restore(number, etag, who(c).user)
	s.applied(c, fmt.Sprintf("revision %d restored", number), applied, err)
}

func (s *Server) applied(c *gin.Context, action string, applied ConfigApplied, err error) {
	if err != nil {
		s.configFailed(c, err)
		return
	}
	s.recordKeys(c, action, fmt.Sprintf("revision %d", applied.Revision), applied.Changes)
	c.Header("ETag", quoted(applied.ETag))
	answer(c, http.StatusOK, applied)
}

type confirmation struct {
	ID string `json:"id"`
}

func (s *Server) confirmConfig(c *gin.Context) {
	var which confirmation
	if !read(c, &which) {
		return
	}
	if err := s.options.Configurator.Confirm(which.ID); err != nil {
		s.configFailed(c, err)
		return
	}
	s.record(c, who(c).user, "configuration confirmed", "")
	c.Status(http.StatusNoContent)
}

func (s *Server) rollBackConfig(c *gin.Context) {
	changes, err := s.options.Configurator.RollBack(who(c).user)
	if err != nil {
		s.configFailed(c, err)
		return
	}
	s.recordKeys(c, "configuration rolled back", "", changes)
	c.Status(http.StatusNoContent)
}

type diffAnswer struct {
	Diff []DiffLine `json:"diff"`
}

func (s *Server) revisionDiff(c *gin.Context) {
	from, ok := revisionNumber(c, c.Param("number"))
	if !ok {
		return
	}
	to, ok := numberFrom(c, "to", 0, 1<<62)
	if !ok {
		return
	}
	diff, err := s.options.Configurator.Diff(from, to)
	if err != nil {
		s.configFailed(c, err)
		return
	}
	answer(c, http.StatusOK, diffAnswer{append([]DiffLine{}, diff...)})
}

func revisionNumber(c *gin.Context, text string) (uint64, bool) {
	number, err := strconv.ParseUint(text, 10, 62)
	if err != nil || number == 0 {
		refuse(c, problem{Status: http.StatusNotFound, Detail: "revisions have numbers"})
		return 0, false
	}
	return number, true
}

func (s *Server) configFailed(c *gin.Context, err error) {
	wrong, mistaken := errors.AsType[*SectionError](err)
	switch {
	case mistaken:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Title: "The configuration would have mistakes", Detail: wrong.Error(), Problems: wrong.Problems})
	case errors.Is(err, ErrChanged):
		refuse(c, problem{Status: http.StatusPreconditionFailed, Field: "If-Match", Detail: err.Error()})
	case errors.Is(err, ErrFileDiffers), errors.Is(err, ErrPending), errors.Is(err, ErrNoFile):
		refuse(c, problem{Status: http.StatusConflict, Detail: err.Error()})
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: err.Error()})
	default:
		// What a port or a disk says is of use to whoever changes it.
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Title: "The change was not applied", Detail: err.Error()})
	}
}
