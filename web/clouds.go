package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/gin-gonic/gin"
)

// Clouds helps with an uplink before it is configured. Its methods may be called from any goroutine.
type Clouds interface {
	// Recognise says which cloud a text leads to, as people copy it out of a console; an UplinkError
	// when that cannot be told.
	Recognise(text string) (Recognised, error)
	// TryUplink is Uplinks.Test with a section of the configuration that need not be in force. An
	// UplinkError, ErrNotAllowed for a kind that cannot be tested, before any step.
	TryUplink(ctx context.Context, section json.RawMessage, report func(TestStep)) error
	// Examples shows for each route of such a section what becomes of the newest message that it
	// matches; an UplinkError.
	Examples(ctx context.Context, section json.RawMessage) ([]RouteExample, error)
	// KeepSecret stores a value durably in a file that nobody else may read, and gives its path for the
	// configuration. One of the same name is replaced.
	KeepSecret(name, value string) (file string, err error)
}

// UplinkError says which field of an uplink cannot be.
type UplinkError struct{ Field, Problem string }

// Error implements error.
func (e *UplinkError) Error() string { return e.Field + ": " + e.Problem }

// Recognised is what a pasted text leads to.
type Recognised struct {
	Uplink json.RawMessage `json:"uplink"` // a section of the configuration, without what is secret
	Kind   string          `json:"kind"`
	Said   BusText         `json:"said"`
	// Needs are keys, with dots between them, that the section still needs: tls.cert.
	Needs   []string           `json:"needs"`
	Secrets []RecognisedSecret `json:"secrets"`
}

// RecognisedSecret is a value of the pasted text that belongs in a file: POST /api/v1/secrets gives the
// path that goes into the section at Path.
type RecognisedSecret struct {
	Path  []string `json:"path"`
	Name  string   `json:"name"`
	Value string   `json:"value"`
}

// RouteExample is what a route makes of a message.
type RouteExample struct {
	From     string `json:"from"`     // the route's filter
	Topic    string `json:"topic"`    // of the message here
	Invented bool   `json:"invented"` // no message of the log matches
	To       string `json:"to"`       // the topic at the cloud
	Payload  string `json:"payload"`  // as text, its beginning; empty where it is none
	Bytes    int    `json:"bytes"`
	Made     int    `json:"made"` // how many messages become of it; 0: it does not go up
	Error    string `json:"error,omitempty"`
}

func (s *Server) cloudRoutes(signedIn *gin.RouterGroup) {
	administrators := signedIn.Group("", administratorsOnly)
	administrators.POST("/uplinks/recognise", s.recognise)
	administrators.POST("/uplinks/test", s.tryUplink)
	administrators.POST("/uplinks/examples", s.routeExamples)
	administrators.POST("/secrets", s.keepSecret)
}

type pasted struct {
	Text string `json:"text"`
}

func (s *Server) recognise(c *gin.Context) {
	var wanted pasted
	if !read(c, &wanted) {
		return
	}
	found, err := s.options.Clouds.Recognise(wanted.Text)
	if err != nil {
		s.uplinkFailed(c, err)
		return
	}
	found.Needs = append([]string{}, found.Needs...)
	found.Secrets = append([]RecognisedSecret{}, found.Secrets...)
	c.Header("Cache-Control", "no-store") // it has what is secret in it
	answer(c, http.StatusOK, found)
}

func (s *Server) uplinkFailed(c *gin.Context, err error) {
	wrong, isWrong := errors.AsType[*UplinkError](err)
	switch {
	case isWrong:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: wrong.Field, Detail: wrong.Problem})
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no uplink %q", c.Param("name"))})
	case errors.Is(err, ErrNotAllowed):
		refuse(c, problem{Status: http.StatusConflict, Title: "Not allowed", Detail: err.Error()})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError})
	}
}

type tried struct {
	Uplink json.RawMessage `json:"uplink"`
}

// section reads the section of an uplink; false means that the request has been refused.
func section(c *gin.Context) (json.RawMessage, bool) {
	var wanted tried
	if !read(c, &wanted) {
		return nil, false
	}
	if !bytes.HasPrefix(wanted.Uplink, []byte("{")) {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "uplink", Detail: "write the uplink's section as an object"})
		return nil, false
	}
	return wanted.Uplink, true
}

func (s *Server) tryUplink(c *gin.Context) {
	uplink, ok := section(c)
	if !ok {
		return
	}
	s.tested(c, "one that is not saved", func(ctx context.Context, report func(TestStep)) error {
		return s.options.Clouds.TryUplink(ctx, uplink, report)
	})
}

type routeExamples struct {
	Items []RouteExample `json:"items"`
}

func (s *Server) routeExamples(c *gin.Context) {
	uplink, ok := section(c)
	if !ok {
		return
	}
	list, err := s.options.Clouds.Examples(c.Request.Context(), uplink)
	if err != nil {
		s.uplinkFailed(c, err)
		return
	}
	answer(c, http.StatusOK, routeExamples{Items: append([]RouteExample{}, list...)})
}

// longestSecret is enough for a private key.
const longestSecret = 8 << 10

// secretName is what a file may be called: no path leads out of its folder.
var secretName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

type newSecret struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type keptSecret struct {
	File string `json:"file"`
}

func (s *Server) keepSecret(c *gin.Context) {
	var wanted newSecret
	if !read(c, &wanted) {
		return
	}
	switch {
	case !secretName.MatchString(wanted.Name):
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "name", Detail: "letters, digits, _, . and - are possible, 64 at most, and a letter or digit first"})
		return
	case wanted.Value == "" || len(wanted.Value) > longestSecret:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "value", Detail: fmt.Sprintf("from 1 to %d bytes are possible", longestSecret)})
		return
	}
	file, err := s.options.Clouds.KeepSecret(wanted.Name, wanted.Value)
	if err != nil {
		_ = c.Error(err)
		s.log.Error("a secret could not be stored", "name", wanted.Name, "err", err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the secret could not be stored: see the log"})
		return
	}
	s.record(c, who(c).user, "secret stored", wanted.Name)
	answer(c, http.StatusCreated, keptSecret{File: file})
}
