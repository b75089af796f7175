// Package http is the uplink to a receiver that is sent messages in HTTP requests, many in each. It
// hides net/http, the forms of a body, and what the answers of servers mean: whether the line is at
// fault, the configuration, or the message.
package http

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/bridge/dial"
)

// What Options.Body says.
const (
	arrayBody  = "array"
	ndjsonBody = "ndjson"
	singleBody = "single"
)

// mostParallel bounds the requests in flight, each of which has a gzip writer of its own.
const mostParallel = 16

// Options are the uplink's part of the configuration.
type Options struct {
	Address   string   `yaml:"address" required:"true" doc:"where messages are sent: http://host:port/path or https://host/path; {topic}, {device} and {gateway} are filled in behind the host"`
	Addresses []string `yaml:"addresses" doc:"further addresses of the same receiver in the same form, each tried in turn when the one before does not work"`
	Method    string   `yaml:"method" enum:"POST,PUT" doc:"the method of the requests"`

	Body     string        `yaml:"body" enum:"array,ndjson,single" doc:"what a request carries: a JSON array of messages, one JSON message a line (NDJSON), or a single payload as it is"`
	Envelope bool          `yaml:"envelope" doc:"with array and ndjson: whether each message comes as an object with its id, topic and properties; else as the payload alone, which must be JSON then"`
	Gzip     bool          `yaml:"gzip" doc:"whether bodies are compressed (Content-Encoding: gzip)"`
	Count    int           `yaml:"count" doc:"messages of a request at most; more than the uplink's window are never there"`
	Bytes    int           `yaml:"bytes" doc:"bytes of the messages of a request at most, before compression; a larger message goes alone"`
	Linger   time.Duration `yaml:"linger" doc:"how long a message may wait for others to share its request"`
	Parallel int           `yaml:"parallel" doc:"requests in flight at most; messages of one topic always follow each other"`

	Headers      map[string]string `yaml:"headers" doc:"further header fields of every request; what is secret belongs in token_file"`
	Username     string            `yaml:"username" doc:"user name, if the receiver wants one (basic authentication)"`
	PasswordFile string            `yaml:"password_file" path:"secret" doc:"file that holds the password; read at every connection"`
	TokenFile    string            `yaml:"token_file" path:"secret" doc:"file that holds a token; read at every connection"`
	TokenHeader  string            `yaml:"token_header" doc:"header field that carries the token as it is, such as X-Api-Key; default: Authorization, behind the word Bearer"`

	Health       string        `yaml:"health" doc:"path at the same host that is asked with GET at every connection and must answer 2xx, such as /healthz; default: none is asked"`
	Timeout      time.Duration `yaml:"timeout" doc:"how long one request may take, including the answer"`
	ServerErrors time.Duration `yaml:"server_errors" doc:"how long a server that answers a message with errors of its own (500) is believed to be ill; then the message itself is suspected, offered alone and after the uplink's tries set aside"`

	dial.Options `yaml:",inline"`
}

// DefaultOptions is what a configuration begins with.
func DefaultOptions() Options {
	return Options{
		Method: http.MethodPost, Body: arrayBody, Envelope: true,
		Count: 100, Bytes: 512 << 10, Linger: 100 * time.Millisecond, Parallel: 1,
		Timeout: 20 * time.Second, ServerErrors: time.Hour,
		Options: dial.Default(),
	}
}

// Validate reports every mistake that can be seen without a network or a file.
func (o *Options) Validate(report func(path, problem string)) {
	o.validateAddresses(report)
	o.Options.Validate(report)
	if o.Method != http.MethodPost && o.Method != http.MethodPut {
		report("method", fmt.Sprintf("is %q; write POST or PUT", o.Method))
	}
	if !slices.Contains([]string{arrayBody, ndjsonBody, singleBody}, o.Body) {
		report("body", fmt.Sprintf("is %q; write array, ndjson or single", o.Body))
	}
	within := func(path string, is, from, to int) {
		if is < from || is > to {
			report(path, fmt.Sprintf("is %d; from %d to %d is possible", is, from, to))
		}
	}
	within("count", o.Count, 1, 10_000)
	within("bytes", o.Bytes, 1, 16<<20)
	within("parallel", o.Parallel, 1, mostParallel)
	if o.Linger < 0 || o.Linger > time.Minute {
		report("linger", fmt.Sprintf("is %s; from 0s to 1m is possible", o.Linger))
	}
	if o.Timeout <= 0 {
		report("timeout", fmt.Sprintf("is %s; it must be longer than 0s", o.Timeout))
	}
	if o.ServerErrors <= 0 {
		report("server_errors", fmt.Sprintf("is %s; it must be longer than 0s", o.ServerErrors))
	}
	if o.Health != "" && !strings.HasPrefix(o.Health, "/") {
		report("health", fmt.Sprintf("is %q; write a path that begins with /", o.Health))
	}
	o.validateHeaders(report)
}

func (o *Options) validateAddresses(report func(path, problem string)) {
	secured := false
	for i, text := range o.all() {
		path := "address"
		if i > 0 {
			path = fmt.Sprintf("addresses[%d]", i-1)
		}
		a, err := parseAddress(text, "")
		if err != nil {
			report(path, err.Error())
		}
		secured = secured || err != nil || a.secure // one that is wrong may be meant to be https
	}
	if o.TLS.Given() && !secured {
		report("tls", "is of no use without https:// in address")
	}
}

// taken are the header fields that are the uplink's own.
var taken = []string{"Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Host",
	"Idempotency-Key", "Transfer-Encoding", idHeader, topicHeader}

func (o *Options) validateHeaders(report func(path, problem string)) {
	for name, value := range o.Headers {
		switch {
		case !isToken(name):
			report("headers", fmt.Sprintf("%q cannot be the name of a header field", name))
		case slices.Contains(taken, http.CanonicalHeaderKey(name)):
			report("headers", name+" is the gateway's own; for what proves who it is see username and token_file")
		case !isFieldValue(value):
			report("headers", "the value of "+name+" has a character that cannot be sent")
		}
	}
	if o.PasswordFile != "" && o.Username == "" {
		report("password_file", "needs a username")
	}
	if strings.Contains(o.Username, ":") || !isFieldValue(o.Username) {
		report("username", "has a character that cannot be sent")
	}
	switch {
	case o.TokenFile == "" && o.TokenHeader != "":
		report("token_header", "needs a token_file")
	case o.TokenHeader != "" && !isToken(o.TokenHeader):
		report("token_header", fmt.Sprintf("%q cannot be the name of a header field", o.TokenHeader))
	case o.TokenFile != "" && o.TokenHeader == "" && o.Username != "":
		report("token_file", "and username exclude each other: both would be the Authorization")
	}
}

// isToken says whether s can name a header field, RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isFieldValue says whether s can be the value of a header field.
func isFieldValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// all gives every address in the order in which they are tried.
func (o *Options) all() []string { return append([]string{o.Address}, o.Addresses...) }

// authorize gives the header fields that prove who we are. It reads the files anew for every
// connection: secrets are changed without a restart.
func (o *Options) authorize() (http.Header, error) {
	h := make(http.Header)
	if o.Username != "" {
		password, err := dial.Secret(o.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read password_file: %w", err)
		}
		r := http.Request{Header: h}
		r.SetBasicAuth(o.Username, password)
	}
	if o.TokenFile != "" {
		token, err := dial.Secret(o.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read token_file: %w", err)
		}
		if token == "" || !isFieldValue(token) {
			return nil, fmt.Errorf("token_file: %s holds no token that can be sent", o.TokenFile)
		}
		if o.TokenHeader != "" {
			h.Set(o.TokenHeader, token)
		} else {
			h.Set("Authorization", "Bearer "+token)
		}
	}
	return h, nil
}
