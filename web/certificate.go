package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Certificates decides which certificate the page shows over TLS. Its methods may be called from any
// goroutine.
type Certificates interface {
	// Current is the one that the next connection is shown.
	Current() Certificate
	// SelfMade says whether that is the gateway's own.
	SelfMade() bool
	// Install shows an uploaded one from now on, durably when it returns; a FieldError for what cannot be
	// used, ErrNotAllowed while the configuration names another.
	Install(cert, key []byte) error
	// Remove goes back to the gateway's own; ErrNotAllowed when none was uploaded.
	Remove() error
	// Remake makes the gateway's own anew; ErrNotAllowed while another is shown.
	Remake() error
}

// Certificate is a certificate as people look at it.
type Certificate struct {
	Kind        string    `json:"kind"` // self-made, file, uploaded or acme
	Subject     string    `json:"subject"`
	Names       []string  `json:"names"` // host names and addresses
	Issuer      string    `json:"issuer"`
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	Fingerprint string    `json:"fingerprint"`     // SHA-256, as browsers show it
	Lacks       []string  `json:"lacks,omitempty"` // addresses of the gateway that its own is not for
	Error       string    `json:"error,omitempty"` // why the one that is wanted is not shown
	Listen      string    `json:"listen"`
}

const (
	certificatePath = "/api/v1/certificate"
	maxCertificate  = 128 << 10 // bytes of a body with a chain and a key
)

func (s *Server) certificateRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/certificate", s.certificate)
	administrators := signedIn.Group("", administratorsOnly)
	administrators.PUT("/certificate", s.installCertificate)
	administrators.POST("/certificate", s.remakeCertificate)
	administrators.DELETE("/certificate", s.removeCertificate)
}

func (s *Server) certificate(c *gin.Context) { answer(c, http.StatusOK, s.shownCertificate()) }

func (s *Server) shownCertificate() Certificate {
	shown := s.options.Certificates.Current()
	shown.Names = append([]string{}, shown.Names...)
	shown.Listen = s.options.TLS.Listen
	return shown
}

// certificateRequest is the body of PUT /api/v1/certificate.
type certificateRequest struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

func (s *Server) installCertificate(c *gin.Context) {
	var request certificateRequest
	if !read(c, &request) {
		return
	}
	s.changeCertificate(c, "certificate uploaded", func() error {
		return s.options.Certificates.Install([]byte(request.Cert), []byte(request.Key))
	})
}

func (s *Server) remakeCertificate(c *gin.Context) {
	s.changeCertificate(c, "certificate made", s.options.Certificates.Remake)
}

func (s *Server) removeCertificate(c *gin.Context) {
	s.changeCertificate(c, "certificate removed", s.options.Certificates.Remove)
}

func (s *Server) changeCertificate(c *gin.Context, action string, change func() error) {
	before := s.shownCertificate()
	err := change()
	wrong, mistaken := errors.AsType[*FieldError](err)
	switch {
	case mistaken:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: wrong.Field, Detail: wrong.Text})
		return
	case errors.Is(err, ErrNotAllowed):
		refuse(c, problem{Status: http.StatusConflict, Title: "Not allowed", Detail: err.Error()})
		return
	case err != nil:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the certificate could not be written; the gateway's log says more"})
		return
	}
	after := s.shownCertificate()
	s.log.Info("the page's certificate was changed", "kind", after.Kind, "fingerprint", after.Fingerprint, "user", who(c).user)
	s.recordChange(c, who(c).user, action, after.Kind, before, after)
	answer(c, http.StatusOK, after)
}
