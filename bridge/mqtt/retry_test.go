package mqtt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/bridge/uplinktest"
)

// retryWorld is a gateway's forwarder, its cloud and the line between them, in simulated time.
type retryWorld struct {
	line      *cloudsim.Line
	cloud     *cloudsim.Server
	check     *cloudsim.Checker
	uplink    *picky
	forwarder *bridge.Forwarder
	source    *growing
	authority *simulatedAuthority
	tries     int
	stop      func()

	mu          sync.Mutex // guards what follows
	certificate *tls.Certificate
}

func progresses(t *testing.T, w *retryWorld) {
	t.Helper()
	before := w.check.Report().Received
	time.Sleep(10 * time.Minute)
	if now := w.check.Report().Received; now < before+700 {
		t.Errorf("%d readings in 10 minutes over short connections, want about a thousand", now-before)
	}
}

// setsAside waits until the message is out of the way, after so many tries.
func setsAside(tries int) func(*testing.T, *retryWorld) {
	return func(t *testing.T, w *retryWorld) {
		t.Helper()
		eventuallyIn(t, 15*time.Minute, "the message is set aside", func() bool { return len(w.source.setAside()) == 1 })
		if tries > 0 && w.uplink.refusals() != tries {
			t.Errorf("the message was offered %d times, want %d", w.uplink.refusals(), tries)
		}
		m := w.source.setAside()[0]
		if m.Topic != "$dead/cloud/readings/line-3/press" {
			t.Errorf("it is kept in %s", m.Topic)
		}
	}
}

// TestRetryTable makes every failure of the table happen, in simulated time, and looks at what the
// gateway says and when, at how it goes on trying, and at what the cloud has in the end.
func TestRetryTable(t *testing.T) {
	for _, c := range retryTable {
		t.Run(c.failure, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(t) })
		})
	}
}

func (c *retryCase) run(t *testing.T) {
	w := newRetryWorld(t, c.secure, c.ballast)
	w.tries = c.tries
	w.start()
	defer func() { w.stop() }()
	time.Sleep(25*time.Second + growingEvery/2)
	connects := w.cloud.Stats().Connects
	if w.source.waiting() > 0 || connects != 1 {
		t.Fatalf("before anything happens %d readings wait after %d connections", w.source.waiting(), connects)
	}
	c.begin(t, w)
	if c.says != "" {
		took := eventuallyIn(t, c.after+15*time.Second, fmt.Sprintf("the gateway says %q", c.says),
			func() bool { return strings.Contains(w.forwarder.State().LastError, c.says) })
		// A failure that shows at the next connection comes after the first wait, of up to 0.5 s; what
		// only shows with a message comes with the next.
		if took < c.after || took > c.after+time.Second+c.slack+patienceFor(c) {
			t.Errorf("the gateway says it after %s, want %s", took, c.after)
		}
	}
	if c.during != nil {
		c.during(t, w)
	} else {
		w.keepsTrying(t, c)
	}
	c.end(t, w)
	time.Sleep(time.Minute) // the longest wait, and then some readings
	eventuallyIn(t, 2*time.Minute, "nothing waits", func() bool { return w.source.waiting() < 5 })
	w.stop()
	w.judge(t, c, connects)
}

// patienceFor is how long it may take beyond the failure until there is a message that shows it.
func patienceFor(c *retryCase) time.Duration {
	if c.aside > 0 || c.says == "quota" {
		return 10 * time.Second // until the one that the cloud does not want
	}
	return 0
}

// keepsTrying waits ten minutes, in which an uplink that is offline tries again and again.
func (w *retryWorld) keepsTrying(t *testing.T, c *retryCase) {
	t.Helper()
	dials := w.line.Dials()
	time.Sleep(10 * time.Minute)
	tries := w.line.Dials() - dials
	state := w.forwarder.State()
	if c.says == "" && (state.LastError != "" || state.State != bridge.Online) {
		t.Errorf("the gateway is %s and says %q, want online and nothing", state.State, state.LastError)
	}
	offline := c.says != "" && !c.through && c.says != "quota" && c.aside == 0
	switch {
	case offline && (tries < 8 || tries > 120):
		t.Errorf("%d tries in 10 minutes, want one in every 15 s or, with time-outs, up to a minute", tries)
	case !offline && tries > 0:
		t.Errorf("%d new connections, want none", tries)
	}
	if again := w.uplink.refusals(); c.says == "quota" && (again < 15 || again > 120) {
		t.Errorf("the message was offered %d times in 10 minutes", again)
	}
}

// judge looks at what the cloud has: all of every device, in order, with no more repeats at each
// break than a window.
func (w *retryWorld) judge(t *testing.T, c *retryCase, connects uint64) {
	t.Helper()
	r := w.check.Report()
	if len(r.Streams) != len(growingDevices) || r.Gaps != uint64(c.aside) || r.Reordered != 0 || r.Other != 0 {
		t.Errorf("the cloud has %+v, want everything in order", r)
	}
	breaks := w.cloud.Stats().Connects - 1
	if r.Duplicates > breaks*testWindow {
		t.Errorf("%d repeats after %d breaks, want at most a window of %d each time", r.Duplicates, breaks, testWindow)
	}
	for _, s := range r.Streams {
		if s.First != 1 || s.LongestRepeat > testWindow {
			t.Errorf("%+v does not begin at seq 1, or repeats more than a window at once", s)
		}
	}
	if got := len(w.source.setAside()); got != c.aside {
		t.Errorf("%d messages are set aside, want %d", got, c.aside)
	}
	if now := w.cloud.Stats().Connects; c.through && c.failure != "The gateway is stopped" && c.says == "" && now != connects {
		t.Errorf("%d connections, want that the first lives", now)
	}
}

const testWindow = 100

func newRetryWorld(t *testing.T, secure bool, ballast int) *retryWorld {
	t.Helper()
	w := &retryWorld{line: cloudsim.NewLine(), check: &cloudsim.Checker{}, source: &growing{payload: ballast}}
	address := "tcp://cloud.example:1883"
	options := cloudsim.Options{Checker: w.check}
	o := DefaultOptions()
	if secure {
		w.authority = newSimulatedAuthority()
		w.certificate = w.authority.leaf(nil)
		address = "ssl://cloud.example:8883"
		o.TLS.CA = t.TempDir() + "/ca.crt"
		uplinktest.Write(t, o.TLS.CA, string(w.authority.pem()))
		options.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.certificate, nil
		}}
	}
	o.Address = address
	u, err := New(o, "line-3", uplinktest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	u.reach = w.line.Dial
	w.uplink = &picky{Uplink: u}
	if w.cloud, err = cloudsim.New(w.line, options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.source.grow(ctx) })
	running.Go(func() {
		if err := w.cloud.Run(ctx); err != nil {
			t.Errorf("the cloud ended with %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return w
}

// start runs a forwarder; stop, which start sets, ends it.
func (w *retryWorld) start(receive ...bridge.ReceiveRoute) {
	w.forwarder = &bridge.Forwarder{Name: "cloud", Gateway: "line-3", Uplink: w.uplink, Window: testWindow, Tries: w.tries, Log: uplinktest.Quiet(),
		Routes:  []bridge.Route{{From: "readings/#", To: "plants/{topic}", QoS: 1, Source: w.source}},
		Receive: receive, Deliver: func(context.Context, string, *bridge.Incoming) error { return nil }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.forwarder.Run(ctx)
	}()
	w.stop = func() {
		cancel()
		<-ended
	}
}

func (w *retryWorld) restart(receive ...bridge.ReceiveRoute) {
	w.stop()
	w.start(receive...)
}

// simulatedAuthority signs certificates that are good at the simulated time.
type simulatedAuthority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newSimulatedAuthority() *simulatedAuthority {
	a := &simulatedAuthority{key: simulatedKey()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "simulated authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		panic("bug: " + err.Error())
	}
	return a
}

func simulatedKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return key
}

func (a *simulatedAuthority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// leaf makes the cloud's certificate; change makes a bad one of it.
func (a *simulatedAuthority) leaf(change func(*x509.Certificate)) *tls.Certificate {
	key := simulatedKey()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "cloud"}, DNSNames: []string{"cloud.example"},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestRetryTableIsTheDocumentedOne holds docs/uplinks.md against the table.
func TestRetryTableIsTheDocumentedOne(t *testing.T) {
	text, err := os.ReadFile("../../docs/uplinks.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| what goes wrong | what the gateway does | after how long |\n|---|---|---|\n")
	for _, c := range retryTable {
		fmt.Fprintf(&want, "| %s | %s | %s |\n", c.failure, c.does, c.when)
	}
	if !strings.Contains(string(text), want.String()) {
		t.Errorf("docs/uplinks.md does not have this table:\n%s", want.String())
	}
}
