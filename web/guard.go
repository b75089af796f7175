package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"

	"github.com/gin-gonic/gin"
)

// contentPolicy lets the page load what it is made of from the gateway and nothing from anywhere else:
// gateways are often without a network beyond the plant's. data: is for the small icons inside style
// sheets. What styles the page sets it sets through the CSSOM, which no policy is needed for.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// fixedHeaders are on every answer. What an answer may be kept for is said by those that allow it.
var fixedHeaders = map[string]string{
	"Content-Security-Policy":      contentPolicy,
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Permissions-Policy":           "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), midi=(), payment=(), usb=(), serial=(), bluetooth=()",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cache-Control":                "no-store",
}

// strictTransport is for 30 days: long enough to count, short enough to be rid of it.
const strictTransport = "max-age=2592000"

func (s *Server) secureHeaders(c *gin.Context) {
	header := c.Writer.Header()
	for name, value := range fixedHeaders {
		header.Set(name, value)
	}
	if c.Request.TLS != nil && s.strict() {
		header.Set("Strict-Transport-Security", strictTransport)
	}
}

// bodyLimits are those of routes that take more than a few short fields.
var bodyLimits = map[string]int64{importPath: maxImport, certificatePath: maxCertificate, tryPath: maxTry, publishPath: maxPublish, checklistPath: maxChecklist,
	configPath: maxConfig, previewPath: maxConfig, networkPath: maxNetwork}

func limitBody(c *gin.Context) {
	if path := c.FullPath(); path == restorePath || path == firmwarePath {
		return // as long as a log or a whole system is; what there is space for bounds it
	}
	limit, special := bodyLimits[c.FullPath()]
	if !special {
		limit = maxBody
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
