package mqtt

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
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"

	"sluice/gateway/mqtt/packet"
	"sluice/gateway/transport"
)

// keys is a folder with an authority (ca.crt), a server's and a client's certificate and keys.
type keys struct {
	dir  string
	pool *x509.CertPool
}

func (k keys) path(name string) string { return filepath.Join(k.dir, name) }

func (k keys) server() *transport.TLS {
	return &transport.TLS{Cert: k.path("server.crt"), Key: k.path("server.key")}
}

// mutual is server for clients with a certificate.
func (k keys) mutual() *transport.TLS {
	spec := k.server()
	spec.ClientCA = k.path("ca.crt")
	return spec
}

func newKeys(t *testing.T) keys {
	t.Helper()
	k := keys{t.TempDir(), x509.NewCertPool()}
	var ca *x509.Certificate
	var caKey *ecdsa.PrivateKey
	for i, name := range []string{"ca", "server", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if ca == nil {
			ca, caKey = template, key
			ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
		}
		der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
			if err := os.WriteFile(k.path(file), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			k.pool.AddCert(cert)
		}
	}
	return k
}

// local is a listener on a free port of loopback.
func local(spec transport.Spec, anonymous bool) Listener {
	spec.Address = "127.0.0.1:0"
	return Listener{Spec: spec, Anonymous: anonymous}
}

func TestPahoComesInEveryWay(t *testing.T) {
	k := newKeys(t)
	server := startServer(t, Options{Listeners: []Listener{
		local(transport.Spec{}, true),
		local(transport.Spec{TLS: k.server()}, true),
		local(transport.Spec{WebSocket: &transport.WebSocket{}}, true),
		local(transport.Spec{WebSocket: &transport.WebSocket{Path: "/broker"}, TLS: k.server()}, true),
	}}, newMemoryLog())
	addrs := server.Addrs()
	urls := []string{
		"tcp://" + addrs[0].String(), "ssl://" + addrs[1].String(), "ws://" + addrs[2].String() + "/mqtt", "wss://" + addrs[3].String() + "/broker",
	}
	received := make(chan string, 1000)
	for i, url := range urls {
		c := connectVia(t, url, fmt.Sprint("subscriber", i), k)
		waitToken(t, c.Subscribe("t/#", 1, func(_ paho.Client, m paho.Message) { received <- fmt.Sprint(i, len(m.Payload())) }))
	}
	sizes := []int{0, 1, 125, 126, 4090, 70_000, 300_000}
	for i, url := range urls {
		c := connectVia(t, url, fmt.Sprint("publisher", i), k)
		for _, size := range sizes {
			waitToken(t, c.Publish("t/x", 1, false, make([]byte, size)))
		}
	}
	want, got := map[string]int{}, map[string]int{}
	for i := range urls {
		for _, size := range sizes {
			want[fmt.Sprint(i, size)] = len(urls)
		}
	}
	for range len(urls) * len(urls) * len(sizes) {
		select {
		case m := <-received:
			got[m]++
		case <-time.After(20 * time.Second):
			t.Fatalf("after %v nothing more comes", got)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("came %v, want %v", got, want)
	}
	for i, each := range server.Stats().Listeners {
		if kinds := []string{"tcp", "tls", "ws", "wss"}; each.Kind != kinds[i] || each.Open != 2 || each.Address != addrs[i].String() {
			t.Errorf("listener %d counts %+v", i, each)
		}
	}
}

func connectVia(t *testing.T, url, id string, k keys) paho.Client {
	t.Helper()
	options := paho.NewClientOptions().AddBroker(url).SetClientID(id).SetAutoReconnect(false).
		SetConnectTimeout(10 * time.Second).SetTLSConfig(&tls.Config{RootCAs: k.pool})
	c := paho.NewClient(options)
	waitToken(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func TestMosquittoShowsItsCertificate(t *testing.T) {
	path := requirePeer(t, "mosquitto_pub")
	k := newKeys(t)
	log := newMemoryLog()
	server := startServer(t, Options{Listeners: []Listener{local(transport.Spec{TLS: k.mutual()}, true)}}, log)
	_, port, _ := net.SplitHostPort(server.Addrs()[0].String())
	publish := func(more ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, path, append([]string{
			"-h", "127.0.0.1", "-p", port, "-q", "1", "-t", "t", "-m", "x", "--cafile", k.path("ca.crt")}, more...)...).CombinedOutput()
		return string(out), err
	}
	for _, version := range []string{"tlsv1.2", "tlsv1.3"} {
		if out, err := publish("--tls-version", version, "--cert", k.path("client.crt"), "--key", k.path("client.key")); err != nil {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
		if _, err := publish("--tls-version", version); err == nil {
			t.Errorf("%s: it comes in without a certificate", version)
		}
	}
	if got := len(log.messages()); got != 2 {
		t.Errorf("%d messages came, want 2", got)
	}
}

// TestMQTTjsComesIn needs the folder of the npm package mqtt in SLUICE_MQTTJS.
func TestMQTTjsComesIn(t *testing.T) {
	module := os.Getenv("SLUICE_MQTTJS")
	if module == "" {
		t.Skip("SLUICE_MQTTJS is not set; npm install mqtt, then SLUICE_MQTTJS=…/node_modules/mqtt")
	}
	node := requirePeer(t, "node")
	k := newKeys(t)
	server := startServer(t, Options{Listeners: []Listener{
		local(transport.Spec{}, true),
		local(transport.Spec{TLS: k.mutual()}, true),
		local(transport.Spec{WebSocket: &transport.WebSocket{}}, true),
		local(transport.Spec{WebSocket: &transport.WebSocket{}, TLS: k.mutual()}, true),
	}}, newMemoryLog())
	for i, scheme := range []string{"mqtt", "mqtts", "ws", "wss"} {
		for _, version := range []string{"4", "5"} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			url := scheme + "://" + server.Addrs()[i].String()
			out, err := exec.CommandContext(ctx, node, "testdata/mqttjs.cjs", module, url, k.dir, version).CombinedOutput()
			cancel()
			if err != nil || string(out) != "subscribed 1\nreceived 0 100000\nreceived 1 100000\n" {
				t.Errorf("%s, version %s: %v\n%s", url, version, err, out)
			}
		}
	}
}

// connectRaw goes through a handshake of its own and gives the first bytes of the answer to CONNECT.
func connectRaw(t *testing.T, socket net.Conn) string {
	t.Helper()
	p := packet.Connect{Version: packet.V311, CleanStart: true, ClientID: []byte(socket.LocalAddr().String())}
	if _, err := socket.Write(p.Append(nil)); err != nil {
		t.Fatal(err)
	}
	var answer [4]byte
	io.ReadFull(socket, answer[:])
	return fmt.Sprintf("%x", answer)
}

// watcher is an Access that keeps the attempts that it saw.
type watcher struct{ attempts chan Attempt }

func (w watcher) Connect(ctx context.Context, attempt *Attempt) Grant {
	w.attempts <- *attempt
	return everybody{}.Connect(ctx, attempt)
}

func TestEveryListenerHasItsOwnRules(t *testing.T) {
	log := newMemoryLog()
	seen := watcher{make(chan Attempt, 100)}
	server := startServer(t, Options{
		Listen: []string{"127.0.0.1:0"}, Anonymous: true, Access: seen,
		Listeners: []Listener{
			local(transport.Spec{}, false),
			local(transport.Spec{Connections: 1}, true),
			local(transport.Spec{ProxyProtocol: true}, true),
		},
	}, log)
	addrs := server.Addrs()
	dial := func(i int) net.Conn {
		socket, err := net.Dial("tcp", addrs[i].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket.Close() })
		socket.SetDeadline(time.Now().Add(10 * time.Second))
		return socket
	}
	if got := connectRaw(t, dial(0)); got != "20020000" {
		t.Errorf("where anybody may come: %s", got)
	}
	if got := connectRaw(t, dial(1)); got != "20020005" {
		t.Errorf("where nobody may come without a password: %s", got)
	}
	if got := connectRaw(t, dial(2)); got != "20020000" {
		t.Errorf("where one may come: %s", got)
	}
	if _, err := dial(2).Read(make([]byte, 1)); err == nil {
		t.Error("where one may come there are two")
	}
	behind := dial(3)
	behind.Write([]byte("PROXY TCP4 192.0.2.7 127.0.0.1 4711 1883\r\n"))
	if got := connectRaw(t, behind); got != "20020000" {
		t.Errorf("behind a proxy: %s", got)
	}
	for _, want := range []Attempt{{Anonymous: true}, {Anonymous: false}, {Anonymous: true}, {Anonymous: true, Address: "192.0.2.7:4711"}} {
		got := <-seen.attempts
		if got.Anonymous != want.Anonymous || want.Address != "" && got.Address != want.Address || got.Certificate != nil {
			t.Errorf("what is to be decided on is %+v, want %+v", got, want)
		}
	}
	direct := dial(3)
	direct.Write([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"))
	if _, err := direct.Read(make([]byte, 1)); err == nil {
		t.Error("who comes without the proxy gets an answer")
	}
	stats := server.Stats().Listeners
	if stats[2].Refused != 1 || stats[2].Open != 1 || stats[3].Failed != 1 || stats[0].Failed+stats[0].Refused != 0 {
		t.Errorf("counted is %+v", stats)
	}
}

// TestPagesFromElsewhereNeedAPassword: a browser opens a WebSocket to loopback for any page.
func TestPagesFromElsewhereNeedAPassword(t *testing.T) {
	k := newKeys(t)
	ws := func() *transport.WebSocket { return &transport.WebSocket{} }
	server := startServer(t, Options{Listeners: []Listener{
		local(transport.Spec{WebSocket: ws()}, true),
		local(transport.Spec{WebSocket: ws()}, false),
		local(transport.Spec{WebSocket: ws(), TLS: k.mutual()}, false),
		local(transport.Spec{WebSocket: &transport.WebSocket{Origins: []string{"https://page.example"}}}, true),
		local(transport.Spec{WebSocket: &transport.WebSocket{Origins: []string{"https://other.example"}}}, false),
	}}, newMemoryLog())
	pair, err := tls.LoadX509KeyPair(k.path("client.crt"), k.path("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{403, 101, 403, 101, 403} {
		dialer := websocket.Dialer{
			Subprotocols: []string{"mqtt"}, HandshakeTimeout: 10 * time.Second,
			TLSClientConfig: &tls.Config{RootCAs: k.pool, Certificates: []tls.Certificate{pair}},
		}
		scheme := "ws://"
		if i == 2 {
			scheme = "wss://"
		}
		socket, answer, _ := dialer.Dial(scheme+server.Addrs()[i].String(), http.Header{"Origin": {"https://page.example"}})
		if answer == nil || answer.StatusCode != want {
			t.Errorf("listener %d answers %v, want %d", i, answer, want)
		}
		if socket != nil {
			socket.Close()
		}
	}
}

func TestTheCertificateIsPartOfAnAttempt(t *testing.T) {
	k := newKeys(t)
	optional := k.mutual()
	optional.Optional = true
	seen := watcher{make(chan Attempt, 10)}
	server := startServer(t, Options{Access: seen, Listeners: []Listener{local(transport.Spec{TLS: optional}, true)}}, newMemoryLog())
	pair, err := tls.LoadX509KeyPair(k.path("client.crt"), k.path("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range [][]tls.Certificate{{pair}, nil} {
		socket, err := tls.Dial("tcp", server.Addrs()[0].String(), &tls.Config{RootCAs: k.pool, Certificates: shown})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		if got := connectRaw(t, socket); got != "20020000" {
			t.Errorf("with %d certificates: %s", len(shown), got)
		}
		got := (<-seen.attempts).Certificate
		if (got != nil) != (shown != nil) || got != nil && got.Subject.CommonName != "client" {
			t.Errorf("shown are %d certificates, the attempt has %v", len(shown), got)
		}
	}
}

func TestSilentHandshakesLeaveTheOthersAlone(t *testing.T) {
	k := newKeys(t)
	server := startServer(t, Options{MaxConnections: 300, Listeners: []Listener{local(transport.Spec{TLS: k.server()}, true)}}, newMemoryLog())
	for range 200 {
		socket, err := net.Dial("tcp", server.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
	}
	begin := time.Now()
	connectVia(t, "ssl://"+server.Addrs()[0].String(), "speaks", k)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestStoppingEndsHandshakes(t *testing.T) {
	k := newKeys(t)
	server, err := New(Options{Listeners: []Listener{
		local(transport.Spec{TLS: k.server()}, true),
		local(transport.Spec{WebSocket: &transport.WebSocket{}}, true),
		local(transport.Spec{ProxyProtocol: true}, true),
	}}, newMemoryLog(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	for _, address := range server.Addrs() {
		socket, err := net.Dial("tcp", address.String())
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
	}
	for range 1000 {
		if server.Stats().Connections == 3 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil || server.Stats().Connections != 0 {
			t.Errorf("Run gave %v, %+v", err, server.Stats())
		}
	case <-time.After(5 * time.Second): // half of the handshakes' own time
		t.Error("Run waits for handshakes")
		<-ended
	}
}

func TestASuccessorTakesTheSocketsOver(t *testing.T) {
	k := newKeys(t)
	listeners := []Listener{local(transport.Spec{TLS: k.server()}, true), local(transport.Spec{WebSocket: &transport.WebSocket{}}, true)}
	old, err := New(Options{Listen: []string{"127.0.0.1:0", "127.0.0.1:0"}, Listeners: listeners}, newMemoryLog(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Listen(); err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	next, err := New(old.options, newMemoryLog(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := next.TakeOver(old); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(next.Addrs()), fmt.Sprint(old.Addrs()); got != want || len(next.Addrs()) != 4 {
		t.Errorf("it listens on %s, want %s", got, want)
	}
	if next.Listen() == nil && len(next.Addrs()) != 8 { // free ports: it could
		t.Errorf("bound is %v", next.Addrs())
	}
}

func TestOpenDoorsAreNamed(t *testing.T) {
	k := newKeys(t)
	optional := k.mutual()
	optional.Optional = true
	for i, test := range []struct {
		listener Listener
		warned   bool
	}{
		{Listener{transport.Spec{Address: "0.0.0.0:0"}, true}, true},
		{Listener{transport.Spec{Address: "0.0.0.0:0"}, false}, false},
		{Listener{transport.Spec{Address: "127.0.0.1:0"}, true}, false},
		{Listener{transport.Spec{Address: "0.0.0.0:0", TLS: k.server()}, true}, true},
		{Listener{transport.Spec{Address: "0.0.0.0:0", TLS: k.mutual()}, true}, false},
		{Listener{transport.Spec{Address: "0.0.0.0:0", TLS: optional}, true}, true},
	} {
		lines := new(logLines)
		server, err := New(Options{Listeners: []Listener{test.listener}}, newMemoryLog(), slog.New(slog.NewTextHandler(lines, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Listen(); err != nil {
			t.Fatal(err)
		}
		server.Close()
		if got := strings.Contains(lines.String(), "anybody who reaches this address"); got != test.warned {
			t.Errorf("case %d: %s", i, lines)
		}
	}
}

func TestScannersAreNotLogged(t *testing.T) {
	k := newKeys(t)
	lines := new(logLines)
	server, err := New(Options{Listeners: []Listener{local(transport.Spec{TLS: k.server()}, true)}}, newMemoryLog(), slog.New(slog.NewTextHandler(lines, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { server.Run(ctx) })
	for i, sent := range []string{"", "GET / HTTP/1.1\r\n\r\n"} {
		socket, err := net.Dial("tcp", server.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		socket.Write([]byte(sent))
		socket.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, socket)
		socket.Close()
		for range 1000 {
			if server.Stats().Listeners[0].Failed == uint64(i+1) && server.Stats().Connections == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	stop()
	run.Wait()
	if got := lines.String(); strings.Count(got, "handshake failed") != 1 || bytes.Count([]byte(got), []byte("\n")) != 1 {
		t.Errorf("logged is\n%s", got)
	}
}
