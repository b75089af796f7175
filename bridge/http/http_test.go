package http

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/uplinktest"
	"sluice/gateway/message"
)

func TestUplinkContract(t *testing.T) {
	certificate, ca := certify(t)
	for _, c := range []struct {
		name   string
		tls    *tls.Config
		change func(*Options)
	}{
		{"Array", nil, func(*Options) {}},
		{"NDJSONPackedParallel", nil, func(o *Options) {
			o.Body, o.Gzip, o.Parallel, o.Count, o.Linger = ndjsonBody, true, 3, 60, time.Millisecond
		}},
		{"HTTP2", certificate, func(o *Options) { o.TLS.CA = ca }},
	} {
		t.Run(c.name, func(t *testing.T) {
			uplinktest.Run(t, func(t *testing.T) uplinktest.Harness {
				cloud := startCloud(t, c.tls)
				return uplinktest.Harness{
					Uplink:   uplink(t, cloud.address("/in"), c.change),
					Received: cloud.received,
					Mute:     cloud.setMute,
					SetUp:    cloud.setUp,
					Refuse:   cloud.refuse,
				}
			})
		})
	}
}

// certify makes a certificate for 127.0.0.1, and the file of the authority that signed it: itself.
func certify(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		write(t, t.TempDir()+"/ca.pem", string(ca))
}

// sent is a message that a test has sent, with its answer.
type sent chan error

func send(t *testing.T, l bridge.Link, at int, topic, payload string, properties ...message.Property) sent {
	t.Helper()
	r := &message.Record{Position: message.Position(at), Message: message.Message{Topic: topic, Payload: []byte(payload)}}
	answer := make(sent, 1)
	o := bridge.Outgoing{Topic: "plants/" + topic, Key: topic, Payload: r.Payload, Properties: properties, Origin: "line-3-1", Record: r}
	if err := l.Send(t.Context(), &o, func(err error) { answer <- err }); err != nil {
		answer <- err
	}
	return answer
}

func (s sent) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return nil
	}
}

func connect(t *testing.T, u *Uplink) bridge.Link {
	t.Helper()
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestWhatEachAnswerMeans(t *testing.T) {
	const message, later, line = "message", "message, later", "line"
	for status, want := range map[int]string{
		200: "", 201: "", 202: "", 204: "", 207: "",
		400: message, 413: message, 414: message, 418: message, 422: message,
		409: later, 423: later,
		301: line, 307: line, 401: line, 402: line, 403: line, 404: line, 405: line, 408: line, 415: line, 425: line, 429: line,
		500: line, 501: line, 502: line, 503: line, 504: line, 507: line, 508: line, 599: line, 999: line,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			c := startCloud(t, nil)
			c.answers(func(*http.Request, []string) (int, string) { return status, "so it is" })
			l := connect(t, uplink(t, c.address("/in"), nil))
			err := send(t, l, 1, "a", "{}").wait(t)
			got := ""
			if refused, ok := errors.AsType[*bridge.RefusedError](err); ok && refused.Retry {
				got = later
			} else if ok {
				got = message
			} else if err != nil {
				got = line
			}
			if got != want {
				t.Errorf("%d is at the cost of %q (%v), want %q", status, got, err, want)
			}
			if lost := l.Err() != nil; lost != (want == line) {
				t.Errorf("%d: the link is lost: %v", status, lost)
			}
			if err != nil {
				contains(t, "the error", err.Error(), fmt.Sprint(status), "so it is")
			}
		})
	}
}

func TestAnAddressForEachMessageMakesItsRefusalTheMessages(t *testing.T) {
	c := startCloud(t, nil)
	c.answers(func(r *http.Request, _ []string) (int, string) {
		if strings.HasPrefix(r.URL.Path, "/in/oven") {
			return http.StatusNotFound, ""
		}
		return http.StatusOK, ""
	})
	l := connect(t, uplink(t, c.address("/in/{device}/{gateway}?topic={topic}"), func(o *Options) { o.Linger, o.Count = time.Second, 3 }))
	one := send(t, l, 1, "readings/line-3/my press", "1")
	two := send(t, l, 2, "readings/line-3/oven", "2")
	three := send(t, l, 3, "readings/line-3/my press", "3")
	if err := errors.Join(one.wait(t), three.wait(t)); err != nil {
		t.Errorf("the other device's messages: %v", err)
	}
	refused, ok := errors.AsType[*bridge.RefusedError](two.wait(t))
	if !ok || !refused.Retry || l.Err() != nil {
		t.Errorf("the message to an address that is not there: %v, the link: %v", refused, l.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var urls []string
	for _, r := range c.requests {
		urls = append(urls, r.RequestURI)
	}
	want := []string{"/in/my%20press/line-3?topic=plants/readings/line-3/my%20press", "/in/oven/line-3?topic=plants/readings/line-3/oven"}
	if !slices.Equal(urls, want) {
		t.Errorf("requests to %q, want %q: what goes to one address shares a request", urls, want)
	}
}

func TestAReceiverThatAsksToWaitIsLeftAlone(t *testing.T) {
	c := startCloud(t, nil)
	c.answers(func(*http.Request, []string) (int, string) { return http.StatusServiceUnavailable, "maintenance" })
	c.fields = http.Header{"Retry-After": {"120"}}
	u := uplink(t, c.address("/in"), nil)
	err := send(t, connect(t, u), 1, "a", "{}").wait(t)
	contains(t, "the error", err.Error(), "503 Service Unavailable", "maintenance", "wait for 2m0s")
	if _, err := u.Connect(t.Context()); err == nil {
		t.Error("it is asked again at once")
	} else {
		contains(t, "the error", err.Error(), "asks for no requests before")
	}
	u.leaveAlone(0, -time.Second) // the two minutes are over
	connect(t, u)
}

// A server that answers 500 may be ill, or may choke on one message. Only after server_errors is the
// message suspected, and then only the one that the failures began with.
func TestServerErrorsCountAgainstAMessageOnlyAfterLong(t *testing.T) {
	c := startCloud(t, nil)
	c.answers(func(_ *http.Request, payloads []string) (int, string) {
		if slices.Contains(payloads, `"bad"`) {
			return http.StatusInternalServerError, "null pointer"
		}
		return http.StatusOK, ""
	})
	u := uplink(t, c.address("/in"), func(o *Options) { o.Count, o.Linger = 3, time.Second })
	round := func() (outcomes []error) {
		l := connect(t, u)
		all := []sent{send(t, l, 1, "a", `"bad"`), send(t, l, 2, "a", `"good"`), send(t, l, 3, "a", `"fine"`)}
		for _, s := range all {
			outcomes = append(outcomes, s.wait(t))
		}
		l.Close()
		return outcomes
	}
	for _, err := range round() {
		if _, refused := errors.AsType[*bridge.RefusedError](err); refused || err == nil {
			t.Fatalf("the first failure is held against a message: %v", err)
		}
	}
	u.suspects[0] = suspect{u.suspects[0].id, time.Now().Add(-2 * time.Hour)}
	outcomes := round()
	refused, ok := errors.AsType[*bridge.RefusedError](outcomes[0])
	if !ok || !refused.Retry || outcomes[1] != bridge.ErrHeld || outcomes[2] != bridge.ErrHeld {
		t.Errorf("after two hours: %v, want the first refused and the others held", outcomes)
	}
	contains(t, "the reason", refused.Error(), "500 Internal Server Error: null pointer")
}

func TestARequestShowsWhoWeAre(t *testing.T) {
	dir := t.TempDir()
	certificate, ca := certify(t)
	c := startCloud(t, certificate)
	for _, test := range []struct {
		change func(*Options)
		field  string
		want   string
	}{
		{func(o *Options) { o.Username, o.PasswordFile = "me", write(t, dir+"/p", "secret\n") }, "Authorization", "Basic bWU6c2VjcmV0"},
		{func(o *Options) { o.TokenFile = write(t, dir+"/t", "abc\n") }, "Authorization", "Bearer abc"},
		{func(o *Options) { o.TokenFile, o.TokenHeader = write(t, dir+"/t", "abc"), "X-Api-Key" }, "X-Api-Key", "abc"},
		{func(o *Options) { o.Headers = map[string]string{"x-plant": "Halle 3"} }, "X-Plant", "Halle 3"},
		{func(o *Options) { o.Gzip, o.Method = true, http.MethodPut }, "Content-Encoding", "gzip"},
	} {
		u := uplink(t, c.address("/in"), func(o *Options) { o.TLS.CA = ca; test.change(o) })
		if err := send(t, connect(t, u), 1, "a", "{}").wait(t); err != nil {
			t.Errorf("%s: %v", test.want, err)
		}
		r, _ := c.last()
		if got := r.Header.Get(test.field); got != test.want || r.Proto != "HTTP/2.0" || r.Method != u.options.Method {
			t.Errorf("%s %s with %s %q, want %q with HTTP/2.0", r.Method, r.Proto, test.field, got, test.want)
		}
	}
}

func TestASecretThatIsMissingIsTold(t *testing.T) {
	c := startCloud(t, nil)
	for _, change := range []func(*Options){
		func(o *Options) { o.TokenFile = t.TempDir() + "/missing" },
		func(o *Options) { o.TokenFile = write(t, t.TempDir()+"/t", "a\nb") },
		func(o *Options) { o.Username, o.PasswordFile = "me", t.TempDir()+"/missing" },
	} {
		if _, err := uplink(t, c.address("/"), change).Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "_file") {
			t.Errorf("connect: %v, want which file is wrong", err)
		}
	}
}

func TestARedirectIsTold(t *testing.T) {
	c := startCloud(t, nil)
	c.answers(func(*http.Request, []string) (int, string) { return http.StatusMovedPermanently, "" })
	c.fields = http.Header{"Location": {"https://elsewhere.example/in"}}
	err := send(t, connect(t, uplink(t, c.address("/in"), nil)), 1, "a", "{}").wait(t)
	contains(t, "the error", err.Error(), "301 Moved Permanently to https://elsewhere.example/in", "write that into address")
}

func TestHealthIsAskedAtEveryConnection(t *testing.T) {
	c := startCloud(t, nil)
	u := uplink(t, c.address("/in"), func(o *Options) { o.Health = "/healthz" })
	connect(t, u)
	if r := c.requests[0]; r.URL.Path != "/healthz" || r.Method != http.MethodGet {
		t.Errorf("asked %s %s", r.Method, r.URL)
	}
	c.answers(func(*http.Request, []string) (int, string) { return http.StatusServiceUnavailable, "" })
	if _, err := u.Connect(t.Context()); err == nil {
		t.Error("connected to a cloud that says it is ill")
	} else {
		contains(t, "the error", err.Error(), "asked for its health", "503")
	}
}

func TestTheNextAddressIsTakenWhenOneDoesNotWork(t *testing.T) {
	first, second := startCloud(t, nil), startCloud(t, nil)
	u := uplink(t, first.address("/in"), func(o *Options) { o.Addresses = []string{second.address("/other")} })
	first.answers(func(*http.Request, []string) (int, string) { return http.StatusBadGateway, "" })
	if err := send(t, connect(t, u), 1, "a", "1").wait(t); err == nil {
		t.Fatal("502 is no error")
	}
	if err := send(t, connect(t, u), 1, "a", "1").wait(t); err != nil {
		t.Fatal(err)
	}
	second.setUp(false)
	first.answers(nil)
	if err := send(t, connect(t, u), 2, "a", "2").wait(t); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.received(), []string{"2"}) || !slices.Equal(second.received(), []string{"1"}) {
		t.Errorf("the first has %q, the second %q", first.received(), second.received())
	}
}

func TestAConnectionThatTheServerClosedCostsNothing(t *testing.T) {
	c := startCloud(t, nil)
	l := connect(t, uplink(t, c.address("/in"), nil))
	for i := range 3 {
		if err := send(t, l, i, "a", fmt.Sprint(i)).wait(t); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		c.setUp(false)
		c.setUp(true)
	}
	if got := c.received(); len(got) != 3 {
		t.Errorf("received %q", got)
	}
}

func TestAServerThatDoesNotAnswerIsGivenUp(t *testing.T) {
	c := startCloud(t, nil)
	c.setMute(true)
	l := connect(t, uplink(t, c.address("/in"), func(o *Options) { o.Timeout = 200 * time.Millisecond }))
	err := send(t, l, 1, "a", "1").wait(t)
	contains(t, "the error", err.Error(), "no answer", "timeout")
	if l.Err() == nil {
		t.Error("the link is not lost")
	}
}

func TestAnAnswerWithoutEndIsBounded(t *testing.T) {
	c := startCloud(t, nil)
	c.answers(func(*http.Request, []string) (int, string) {
		return http.StatusBadRequest, "no" + strings.Repeat(" no", 1<<20)
	})
	err := send(t, connect(t, uplink(t, c.address("/in"), nil)), 1, "a", "1").wait(t)
	if len(err.Error()) > 300 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
}

func TestProbeSaysStepByStep(t *testing.T) {
	certificate, ca := certify(t)
	c := startCloud(t, certificate)
	u := uplink(t, c.address("/in"), func(o *Options) { o.TLS.CA, o.Health = ca, "/healthz" })
	var steps []string
	report := func(s bridge.Step) { steps = append(steps, fmt.Sprintf("%s: %v", s.Name, s.Err)) }
	if err := u.Probe(t.Context(), report); err != nil {
		t.Error(err)
	}
	want := []string{"port open: <nil>", "certificate valid: <nil>", "logged in: <nil>", "published: <nil>", "acknowledged: <nil>"}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q, want %q", steps, want)
	}
	if got := c.received(); len(got) != 1 || !strings.Contains(got[0], `"test":true`) {
		t.Errorf("the cloud has %q, want a message that says that it is a test", got)
	}
	c.answers(func(r *http.Request, _ []string) (int, string) {
		if r.Method == http.MethodGet {
			return http.StatusOK, ""
		}
		return http.StatusUnauthorized, ""
	})
	steps = nil
	if err := u.Probe(t.Context(), report); err == nil || len(steps) != 5 || !strings.Contains(steps[4], "401") {
		t.Errorf("the test of a cloud that does not know us: %v, %q", err, steps)
	}
}

func TestProbeEndsWithItsContext(t *testing.T) {
	c := startCloud(t, nil)
	c.setMute(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := uplink(t, c.address("/in"), nil).Probe(ctx, func(bridge.Step) {}); err == nil {
		t.Error("a test that nobody answers succeeds")
	}
}
