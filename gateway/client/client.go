// Package client talks to a gateway's API from outside, as a person with many boxes to look after does.
// It hides HTTP, who the gateway is (authorities, or the fingerprint of its own certificate), signing in
// and how refusals are written. It knows none of the API's types: answers are JSON.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// Options say which gateway, and who asks.
type Options struct {
	URL         string // http:// or https://; without either http:// is meant
	Token       string
	User        string // with Password: to sign in when there is no token
	Password    string
	CA          string        // a file of authorities, PEM; empty: those of the system
	Fingerprint string        // the SHA-256 of the gateway's own certificate; counts instead of authorities
	Patience    time.Duration // for one answer; 0: 30 seconds
}

// Client asks one gateway. Its methods may be called from any goroutine.
type Client struct {
	options Options
	base    *url.URL
	http    *http.Client

	mu    sync.Mutex // guards what follows
	token string
}

// largestAnswer bounds what is read of an answer.
const largestAnswer = 64 << 20

// New checks the options; it opens no connection.
func New(o Options) (*Client, error) {
	if !strings.Contains(o.URL, "://") {
		o.URL = "http://" + o.URL
	}
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the address of a gateway, such as https://192.168.1.20", o.URL)
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	trust, err := trusting(o)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true}
	return &Client{options: o, base: base, http: &http.Client{Transport: transport}, token: o.Token}, nil
}

// trusting says whose certificates are believed.
func trusting(o Options) (*tls.Config, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		text, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("read the authorities: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate", o.CA)
		}
	}
	if o.Fingerprint == "" {
		return trust, nil
	}
	want, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(strings.TrimPrefix(strings.ToLower(o.Fingerprint), "sha256:")))
	if err != nil || len(want) != sha256.Size {
		return nil, errors.New("the fingerprint is the SHA-256 of the certificate: 64 hexadecimal digits, with colons or without")
	}
	// The gateway made its certificate itself: nobody but the fingerprint speaks for it.
	trust.InsecureSkipVerify = true
	trust.VerifyConnection = func(state tls.ConnectionState) error {
		if got := sha256.Sum256(state.PeerCertificates[0].Raw); !bytes.Equal(got[:], want) {
			return fmt.Errorf("the gateway's certificate has the fingerprint %x, not the one that was given: this is another gateway, or somebody between", got)
		}
		return nil
	}
	return trust, nil
}

// Close gives connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Problem is a refusal [RFC 9457].
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Field  string `json:"field"`
	Body   []byte `json:"-"` // all that was said
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if text == "" {
		text = http.StatusText(p.Status)
	}
	if p.Field != "" {
		text = p.Field + ": " + text
	}
	return fmt.Sprintf("%s (%d)", text, p.Status)
}

// Answer is what a gateway said.
type Answer struct {
	Header http.Header
	Body   []byte
}

// Ask sends one request for a path below /api/v1. body is written as JSON, nil is none; headers are names
// and values in turn. A refusal is a *Problem.
func (c *Client) Ask(ctx context.Context, method, path string, body any, headers ...string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Patience)
	defer cancel()
	response, err := c.send(ctx, method, path, body, headers...)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	return read(response)
}

// Send sends size bytes as they are to a path below /api/v1, for as long as it takes and ctx lets it. A
// refusal is a *Problem.
func (c *Client) Send(ctx context.Context, path string, content io.Reader, size int64) (Answer, error) {
	token, err := c.signedIn(ctx)
	if err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.String()+"/api/v1/"+path, content)
	if err != nil {
		return Answer{}, err
	}
	request.ContentLength = size
	request.Header.Set("Content-Type", "application/octet-stream")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := c.http.Do(request)
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		err = wrong.Err // the address stands before it anyway
	}
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	return read(response)
}

// read reads an answer; one that refuses is a *Problem.
func read(response *http.Response) (Answer, error) {
	text, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode >= 300 {
		return Answer{}, problemOf(response, text)
	}
	return Answer{response.Header, text}, nil
}

func problemOf(response *http.Response, text []byte) error {
	p := &Problem{Body: text}
	if json.Unmarshal(text, p) != nil || p.Status == 0 {
		p.Status, p.Title = response.StatusCode, http.StatusText(response.StatusCode)
	}
	return p
}

func (c *Client) send(ctx context.Context, method, path string, body any, headers ...string) (*http.Response, error) {
	token, err := c.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	return c.request(ctx, method, path, token, body, headers...)
}

func (c *Client) request(ctx context.Context, method, path, token string, body any, headers ...string) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base.String()+"/api/v1/"+strings.TrimPrefix(path, "/"), content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		err = wrong.Err // the address stands before it anyway
	}
	return response, err
}

// signedIn gives the token, for which it signs in once if there is none.
func (c *Client) signedIn(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" || c.options.Password == "" {
		return c.token, nil
	}
	response, err := c.request(ctx, http.MethodPost, "session", "", map[string]string{"user": c.options.User, "password": c.options.Password})
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return "", err
	}
	var opened struct {
		Token string `json:"token"`
	}
	if response.StatusCode >= 300 {
		return "", problemOf(response, text)
	}
	if err := json.Unmarshal(text, &opened); err != nil || opened.Token == "" {
		return "", errors.New("the gateway let us in without a token")
	}
	c.token = opened.Token
	return c.token, nil
}
