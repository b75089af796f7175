package http

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// cloud is a receiver: a server of net/http that can be mute, cut off, and told what to answer.
type cloud struct {
	t      *testing.T
	listen string
	tls    *tls.Config

	mu       sync.Mutex // guards what follows
	server   *http.Server
	serving  sync.WaitGroup
	mute     bool
	answer   func(r *http.Request, payloads []string) (status int, body string) // nil: everything is taken
	fields   http.Header                                                        // of every answer
	payloads []string
	requests []*http.Request
	bodies   [][]byte // as they came
}

func startCloud(t *testing.T, config *tls.Config) *cloud {
	t.Helper()
	c := &cloud{t: t, listen: "127.0.0.1:0", tls: config}
	c.setUp(true)
	t.Cleanup(func() { c.setUp(false) })
	return c
}

// address is where the cloud listens, with a path.
func (c *cloud) address(path string) string {
	if c.tls != nil {
		return "https://" + c.listen + path
	}
	return "http://" + c.listen + path
}

// setUp cuts the line, also under connections that are open, or restores it.
func (c *cloud) setUp(up bool) {
	c.mu.Lock()
	server := c.server
	c.mu.Unlock()
	if (server != nil) == up {
		return
	}
	if !up {
		server.Close()
		c.serving.Wait()
		c.mu.Lock()
		c.server = nil
		c.mu.Unlock()
		return
	}
	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		c.t.Errorf("listen again: %v", err)
		return
	}
	c.listen = listener.Addr().String()
	server = &http.Server{Handler: c, ErrorLog: log.New(io.Discard, "", 0)}
	if c.tls != nil {
		server.TLSConfig = c.tls.Clone()
	}
	c.mu.Lock()
	c.server = server
	c.mu.Unlock()
	c.serving.Go(func() {
		if c.tls != nil {
			server.ServeTLS(listener, "", "")
		} else {
			server.Serve(listener)
		}
	})
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		c.health(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // half a request is none
	}
	payloads, err := readBody(r.Header, body)
	if err != nil {
		c.t.Errorf("a body that cannot be read: %v", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.requests = append(c.requests, r)
	c.bodies = append(c.bodies, body)
	if c.mute {
		c.mu.Unlock()
		<-r.Context().Done()
		return
	}
	status, said := http.StatusOK, ""
	if c.answer != nil {
		status, said = c.answer(r, payloads)
	}
	for name, values := range c.fields {
		w.Header()[name] = values
	}
	if status/100 == 2 {
		c.payloads = append(c.payloads, payloads...)
	}
	c.mu.Unlock()
	w.WriteHeader(status)
	io.WriteString(w, said)
}

func (c *cloud) health(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	status := http.StatusNoContent
	if c.answer != nil {
		status, _ = c.answer(r, nil)
	}
	w.WriteHeader(status)
}

// readBody is written against the documentation, not with the uplink's own code.
func readBody(h http.Header, body []byte) (payloads []string, err error) {
	if h.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(unpacked); err != nil {
			return nil, err
		}
	}
	var items []json.RawMessage
	switch {
	case h.Get("Sluice-Id") != "":
		return []string{string(body)}, nil
	case h.Get("Content-Type") == "application/json":
		if err := json.Unmarshal(body, &items); err != nil {
			return nil, err
		}
	case h.Get("Content-Type") == "application/x-ndjson":
		for line := range bytes.Lines(body) {
			items = append(items, bytes.TrimSuffix(line, []byte("\n")))
		}
	default:
		return nil, fmt.Errorf("content type %q", h.Get("Content-Type"))
	}
	for _, item := range items {
		var m struct {
			ID, Topic    string
			Payload      json.RawMessage
			Text, Base64 *string
		}
		if err := json.Unmarshal(item, &m); err != nil {
			return nil, fmt.Errorf("%q: %w", item, err)
		}
		switch {
		case m.ID == "": // no envelope
			payloads = append(payloads, string(item))
		case m.Text != nil:
			payloads = append(payloads, *m.Text)
		default:
			payloads = append(payloads, string(m.Payload))
		}
	}
	return payloads, nil
}

func (c *cloud) received() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.payloads)
}

func (c *cloud) setMute(mute bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute = mute
}

func (c *cloud) answers(answer func(r *http.Request, payloads []string) (int, string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// refuse lets the cloud refuse every request with that payload; with "" it takes everything again.
func (c *cloud) refuse(payload string) {
	c.answers(func(_ *http.Request, payloads []string) (int, string) {
		if payload != "" && slices.Contains(payloads, payload) {
			return http.StatusUnprocessableEntity, "we do not want " + payload
		}
		return http.StatusAccepted, "thank you"
	})
}

// last gives the newest request and how its body came.
func (c *cloud) last() (*http.Request, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bodies) == 0 {
		c.t.Fatal("the cloud has no request")
	}
	return c.requests[len(c.requests)-1], string(c.bodies[len(c.bodies)-1])
}

func uplink(t *testing.T, address string, change func(*Options)) *Uplink {
	t.Helper()
	o := DefaultOptions()
	o.Address, o.Linger = address, 0
	if change != nil {
		change(&o)
	}
	u, err := New(o, "line-3", quiet())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func contains(t *testing.T, what, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("%s is %q, want it to say %q", what, text, want)
		}
	}
}
