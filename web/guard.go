package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"

	"github.com/gin-gonic/gin"
)

// contentPolicy lets the page load from the gateway and from nowhere else: gateways are often
// without a network beyond the plant's. data: is for the small icons inside style sheets.
const contentPolicy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func secureHeaders(c *gin.Context) {
	header := c.Writer.Header()
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	// What an answer may be kept for is said by those that allow it.
	header.Set("Cache-Control", "no-store")
}

func limitBody(c *gin.Context) {
	limit := int64(maxBody)
	switch c.FullPath() {
	case importPath:
		limit = maxImport
	case restorePath:
		return // as long as a log is; what there is space for bounds it
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
}

// recovery answers a panic in a handler, so that a mistake there is one failed request.
func (s *Server) recovery(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			for _, err := range c.Errors {
				s.log.Error("request failed", "path", c.FullPath(), "err", err.Err)
			}
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause) // net/http's own way to cut a connection
		}
		s.log.Error("request panicked", "path", c.FullPath(), "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the gateway made a mistake; its log says more"})
	}()
	c.Next()
}

// sameSite refuses a request that a page from somewhere else made the browser send.
func sameSite(c *gin.Context) {
	if c.GetHeader("Origin") != "" && !trustedOrigin(c) {
		refuseForeign(c)
	}
}

// trustedOrigin tells whether a browser's own page sent the request: only a page of this origin can
// add a header of its own without asking first, and Origin cannot be forged by a page.
func trustedOrigin(c *gin.Context) bool {
	if c.GetHeader("X-Requested-With") != "" {
		return true
	}
	origin, err := url.Parse(c.GetHeader("Origin"))
	return err == nil && origin.Host != "" && origin.Host == c.Request.Host
}

func refuseForeign(c *gin.Context) {
	refuse(c, problem{Status: http.StatusForbidden, Title: "Request from another site", Detail: "send the header X-Requested-With: sluice, or use a bearer token"})
}

func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
