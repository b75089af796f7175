package mqtt5

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/bridge/dial"
	"sluice/gateway/message"
)

// peer gives the path of a foreign program, or skips the test.
func peer(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err == nil {
			return path
		}
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatalf("%s is not installed, and SLUICE_REQUIRE_PEERS=1 wants it", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// mosquitto is Debian's broker as the cloud, with a stock subscriber that outlives its restarts.
type mosquitto struct {
	t       testing.TB
	binary  string
	dir     string
	port    int
	process *exec.Cmd
}

func newMosquitto(t testing.TB, listener string) *mosquitto {
	m := &mosquitto{t: t, binary: peer(t, "mosquitto"), dir: t.TempDir(), port: freePort(t)}
	write(t, m.dir+"/conf", fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\n"+
		"persistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 0\nautosave_interval 1\nuser root\n%s", m.port, m.dir, listener))
	m.start()
	t.Cleanup(func() { m.end(syscall.SIGTERM) })
	return m
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.process = exec.Command(m.binary, "-c", m.dir+"/conf")
	log, err := os.OpenFile(m.dir+"/log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	m.process.Stderr, m.process.Stdout = log, log
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", m.port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (m *mosquitto) end(signal syscall.Signal) {
	if m.process == nil {
		return
	}
	m.process.Process.Signal(signal)
	m.process.Wait()
	m.process = nil
}

// readings is a log that grows, with readings of one device, and a cursor in memory.
type readings struct {
	mu     sync.Mutex // guards what follows
	last   uint64     // seq of the newest
	next   uint64
	acked  uint64
	paused bool
}

func (r *readings) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	for {
		r.mu.Lock()
		for ; max > 0 && r.next < r.last; max-- {
			r.next++
			reading := message.Reading{Gateway: "line-3", Device: "press", Epoch: 1, Seq: r.next}
			dst = append(dst, message.Record{Position: message.Position(r.next),
				Message: message.Message{Topic: "readings/line-3/press", Payload: reading.AppendJSON(nil)}})
		}
		if !r.paused {
			r.last += 5
		}
		r.mu.Unlock()
		if len(dst) > 0 {
			return dst, nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
}

func (r *readings) Ack(upTo message.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = uint64(upTo)
}

func (r *readings) SetAside(context.Context, message.Position, *message.Message) error {
	return errors.New("mosquitto refuses nothing")
}

func (r *readings) Rewind() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = r.acked
}

// finish lets the log end and waits until all of it is acknowledged.
func (r *readings) finish(t *testing.T) (last uint64) {
	t.Helper()
	r.mu.Lock()
	r.paused = true
	last = r.last
	r.mu.Unlock()
	eventually(t, fmt.Sprintf("all %d readings are acknowledged", last), func() bool { return r.seq() == last })
	return last
}

func (r *readings) seq() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

func (r *readings) advance(t *testing.T, n uint64) {
	t.Helper()
	target := r.seq() + n
	eventually(t, "more readings are acknowledged", func() bool { return r.seq() >= target })
}

func forward(t *testing.T, u *Uplink, source bridge.Source, change func(*bridge.Forwarder)) *bridge.Forwarder {
	t.Helper()
	f := &bridge.Forwarder{Name: "cloud", Gateway: "line-3", Uplink: u, Window: 100, Log: quiet(),
		Routes: []bridge.Route{{From: "readings/#", To: "plants/{topic}", QoS: 1, Source: source}}}
	if change != nil {
		change(f)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the forwarder ended with %v", err)
		}
	})
	return f
}

func TestMosquittoGoesAwayAndComesBack(t *testing.T) {
	cloud := newMosquitto(t, "")
	var source readings
	f := forward(t, uplink(t, fmt.Sprintf("tcp://127.0.0.1:%d", cloud.port), nil), &source, nil)
	var check cloudsim.Checker
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM} {
		stop := subscribe(t, cloud, &check)
		source.advance(t, 200)
		eventually(t, "the subscriber sees it", func() bool { return check.Report().Received > 100 })
		cloud.end(signal)
		stop()
		eventually(t, "the forwarder notices", func() bool { return f.State().State != bridge.Online })
		if text := f.State().LastError; text == "" {
			t.Error("while mosquitto is down there is no last error")
		}
		cloud.start()
	}
	source.advance(t, 200)
	source.finish(t)
	s := f.State()
	if s.State != bridge.Online || s.LastError != "" {
		t.Errorf("at the end the state is %+v", s)
	}
	// The subscriber is not there all the time, so seqs are missing; but never may one be overtaken,
	// and no cut may repeat more than the window.
	r := check.Report()
	if r.Reordered != 0 || r.LongestRepeat > 100 {
		t.Errorf("the subscriber saw %d out of order and %d repeats in a row", r.Reordered, r.LongestRepeat)
	}
}

// subscribe feeds what a stock subscriber prints to check until stop is called.
func subscribe(t *testing.T, m *mosquitto, check *cloudsim.Checker) (stop func()) {
	t.Helper()
	cmd := exec.Command(peer(t, "mosquitto_sub"), "-p", fmt.Sprint(m.port), "-t", "plants/readings/#", "-q", "1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		var rest []byte
		buffer := make([]byte, 64<<10)
		for {
			n, err := out.Read(buffer)
			rest = append(rest, buffer[:n]...)
			for {
				line, after, whole := bytes.Cut(rest, []byte("\n"))
				if !whole {
					break
				}
				check.Add(line)
				rest = after
			}
			if err != nil {
				return
			}
		}
	}()
	return func() {
		cmd.Process.Kill()
		<-read
		cmd.Wait()
	}
}

func TestMosquittoSendsCommandsDown(t *testing.T) {
	cloud := newMosquitto(t, "")
	publish := peer(t, "mosquitto_pub")
	var taken book
	var source readings
	forward(t, uplink(t, fmt.Sprintf("tcp://127.0.0.1:%d", cloud.port), nil), &source, func(f *bridge.Forwarder) {
		f.Receive = []bridge.ReceiveRoute{{From: "plants/commands/{gateway}/+", To: "commands/{gateway}/{device}"}}
		f.Deliver = func(_ context.Context, topic string, m *bridge.Incoming) error {
			taken.add(topic, []byte(topic+" "+string(m.Payload)))
			return nil
		}
	})
	source.advance(t, 1)
	eventually(t, "a command comes through", func() bool {
		out, err := exec.Command(publish, "-p", fmt.Sprint(cloud.port), "-q", "1", "-t", "plants/commands/line-3/press", "-m", "go").CombinedOutput()
		if err != nil {
			t.Fatalf("mosquitto_pub: %v: %s", err, out)
		}
		return len(taken.all()) > 0
	})
	if got, want := taken.all()[0], "commands/line-3/press go"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMosquittoOverWebSocket(t *testing.T) {
	port := freePort(t)
	cloud := newMosquitto(t, fmt.Sprintf("listener %d 127.0.0.1\nprotocol websockets\n", port))
	if log, err := os.ReadFile(cloud.dir + "/log"); err == nil && strings.Contains(string(log), "support not available") {
		t.Skip("this mosquitto has no WebSocket")
	}
	var source readings
	forward(t, uplink(t, fmt.Sprintf("ws://127.0.0.1:%d/mqtt", port), nil), &source, nil)
	source.advance(t, 300)
	source.finish(t)
}

// certificates writes a certificate authority, and a server's and a client's certificate by it.
func certificates(t *testing.T, dir string) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey := key()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	save := func(name string, template *x509.Certificate, k *ecdsa.PrivateKey) {
		der, err := x509.CreateCertificate(rand.Reader, template, ca, &k.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir+"/"+name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		write(t, dir+"/"+name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})))
	}
	save("ca", ca, caKey)
	leaf := func(serial int64) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "leaf"},
			DNSNames: []string{"cloud.example"}, NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	}
	save("server", leaf(2), key())
	save("client", leaf(3), key())
}

func TestUplinkOverTLS(t *testing.T) {
	dir := t.TempDir()
	certificates(t, dir)
	pair, err := tls.LoadX509KeyPair(dir+"/server.crt", dir+"/server.key")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(dir + "/ca.crt")
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the certificate authority cannot be read", err)
	}
	cloud := startCloud(t, cloudsim.Options{TLS: &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}})
	there := "ssl://" + cloud.Addr().String()
	good := dial.TLS{CA: dir + "/ca.crt", Cert: dir + "/client.crt", Key: dir + "/client.key", ServerName: "cloud.example"}
	var source readings
	forward(t, uplink(t, there, func(o *Options) { o.TLS = good }), &source, nil)
	source.advance(t, 300)
	source.finish(t)
}
