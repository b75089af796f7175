package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// maxBody bounds what a request may carry: but for files with points and configurations, everything that
// the API takes is a few short fields.
const maxBody = 16 << 10

// problem is the one form of every refusal [RFC 9457].
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Field  string `json:"field,omitempty"`
	// Problems are all that is wrong with a section of the configuration.
	Problems []SectionProblem `json:"problems,omitempty"`

	retryAfter time.Duration
}

func refuse(c *gin.Context, p problem) {
	if p.Type == "" {
		p.Type = "about:blank"
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if p.retryAfter > 0 {
		seconds := int64((p.retryAfter + time.Second - 1) / time.Second)
		c.Header("Retry-After", strconv.FormatInt(seconds, 10))
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic("bug: a problem that JSON cannot hold: " + err.Error())
	}
	c.Abort()
	write(c, p.Status, "application/problem+json", body)
}

// write sends a body and tells its length before it.
func write(c *gin.Context, status int, kind string, body []byte) {
	c.Header("Content-Length", strconv.Itoa(len(body)))
	c.Data(status, kind, body)
}

func answer(c *gin.Context, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		_ = c.Error(err) // for the log; the caller learns that it is not their fault
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the answer could not be written as JSON"})
		return
	}
	write(c, status, "application/json; charset=utf-8", body)
}

// read fills into from the request's JSON body; false means that the request has been refused.
func read(c *gin.Context, into any) bool {
	decoder := json.NewDecoder(c.Request.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, more := decoder.Token(); more == io.EOF {
			return true
		}
		err = errors.New("something follows the JSON object")
	}
	refuse(c, badBody(err))
	return false
}

func badBody(err error) problem {
	p := problem{Status: http.StatusBadRequest, Title: "Malformed request body"}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("a request body may have %d bytes here", large.Limit)}
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		p.Field = wrong.Field
		p.Detail = fmt.Sprintf("%q does not go into a %s", wrong.Value, wrong.Type)
		return p
	}
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		p.Detail = fmt.Sprintf("not JSON at byte %d: %s", wrong.Offset, wrong.Error())
		return p
	}
	if field, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		p.Field = strings.Trim(field, `"`)
		p.Detail = "this field is not known here"
		return p
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		p.Detail = "the JSON object is missing or cut off"
		return p
	}
	p.Detail = err.Error()
	return p
}
