package syslog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"sluice/gateway/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	sender = from{facility: 16, host: "line-3", version: "1.0", process: 812}
	form   = regexp.MustCompile(`^<(\d{1,3})>1 (\S+) (\S{1,255}) sluice 812 (\S{1,32}) \[meta sequenceId="(\d+)"\]\[origin software="sluice" swVersion="((?:[^"\\\]]|\\["\\\]])*)"\] (.*)$`)
)

func TestAMessageAsTheStandardDrawsIt(t *testing.T) {
	e := journal.Entry{
		Number: 7, Time: time.Date(2026, 11, 23, 8, 5, 1, 123456789, time.FixedZone("CST", 8*3600)), Level: slog.LevelWarn, Part: "buses",
		Text: "line lost\nat once", Attrs: []journal.Attr{{Key: "bus", Value: "rs1"}, {Key: "err", Value: `no "such" device`}},
	}
	want := `<132>1 2026-11-23T08:05:01.123456+08:00 line-3 sluice 812 buses [meta sequenceId="7"][origin software="sluice" swVersion="1.0"] line lost at once bus=rs1 err="no \"such\" device"`
	if got := string(sender.appendMessage(nil, &e, 1000)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhateverIsLoggedIsOneMessage(t *testing.T) {
	property := func(text, part, key, value, host, version string, number uint64, level int8, cut uint16) bool {
		f := from{facility: 1, host: host, version: version, process: 812}
		e := journal.Entry{Number: number, Time: time.Unix(int64(number%1e9), 0), Level: slog.Level(level), Part: part, Text: text, Attrs: []journal.Attr{{Key: key, Value: value}}}
		whole := f.appendMessage(nil, &e, 1<<20)
		match := form.FindSubmatch(whole)
		if match == nil || !utf8.Valid(whole) || bytes.ContainsAny(whole, "\n\r\x00") {
			t.Logf("%q", whole)
			return false
		}
		read := strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\]`, `]`).Replace(string(match[6]))
		sequence, err := strconv.ParseUint(string(match[5]), 10, 64)
		blank := func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}
		if read != strings.Map(blank, strings.ToValidUTF8(version, "\uFFFD")) || err != nil || sequence > 1<<31-1 {
			return false
		}
		most := 200 + int(cut)%1000
		short := f.appendMessage(nil, &e, most)
		return len(short) <= most && bytes.HasPrefix(whole, short) && utf8.Valid(short)
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

func TestFramesAreReadBack(t *testing.T) {
	property := func(messages [][]byte) bool {
		var stream []byte
		for _, m := range messages {
			stream = appendFrame(stream, m)
		}
		in := bufio.NewReader(bytes.NewReader(stream))
		for _, want := range messages {
			if got, err := readFrame(in); err != nil || !bytes.Equal(got, want) {
				return false
			}
		}
		_, err := in.ReadByte()
		return err == io.EOF
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

// readFrame is how a receiver reads one frame of RFC 6587 3.4.1.
func readFrame(in *bufio.Reader) ([]byte, error) {
	count, err := in.ReadString(' ')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(count, " "))
	if err != nil || n > mostTCP || count[0] == '0' && n > 0 {
		return nil, fmt.Errorf("a frame of %q bytes", count)
	}
	message := make([]byte, n)
	_, err = io.ReadFull(in, message)
	return message, err
}

// receiver is a syslog server that keeps what it is sent.
type receiver struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	got   []string
	conns []net.Conn
}

func receive(t *testing.T, listener net.Listener) *receiver {
	r := &receiver{listener: listener}
	r.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns = append(r.conns, conn)
			r.mu.Unlock()
			r.serving.Go(func() {
				defer conn.Close()
				for in := bufio.NewReader(conn); ; {
					message, err := readFrame(in)
					if err != nil {
						return
					}
					r.mu.Lock()
					r.got = append(r.got, string(message))
					r.mu.Unlock()
				}
			})
		}
	})
	t.Cleanup(r.end)
	return r
}

func (r *receiver) end() {
	r.listener.Close()
	r.mu.Lock()
	for _, conn := range r.conns {
		conn.Close()
	}
	r.mu.Unlock()
	r.serving.Wait()
}

func (r *receiver) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(strings.Join(r.got, "\n"), text)
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// until polls: the network takes what time it takes.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

func begin(t *testing.T, options Options) *Sender {
	t.Helper()
	options.Log, options.Host, options.Version, options.Facility = slog.New(slog.DiscardHandler), "line-3", "1.0", "local0"
	s, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return s
}

func TestRecordsArriveAfterAServerThatWasAway(t *testing.T) {
	j := journal.New()
	log := slog.New(j.Handler(slog.DiscardHandler))
	listener := listen(t, "127.0.0.1:0")
	address := listener.Addr().String()
	first := receive(t, listener)
	s := begin(t, Options{Address: "tcp://" + address, Source: j})
	log.Info("before")
	until(t, "the first record arrives", func() bool { return first.has("] before") })
	first.end()
	until(t, "the sender notices", func() bool { return !s.State().Connected })
	for i := range 2500 { // more than the journal keeps
		log.Info("away", "n", i)
	}
	second := receive(t, listen(t, address))
	until(t, "what is kept arrives", func() bool { return second.has("] away n=2499") })
	if !second.has(`records were lost because they could not be sent in time records=500`) || second.has("away n=499\n") || !second.has("away n=500\n") {
		t.Errorf("the second server got %.2000s", strings.Join(second.got, "\n"))
	}
	if state := s.State(); state.Lost != 500 || !state.Connected {
		t.Errorf("state is %+v", state)
	}
}

func TestRecordsArriveOverUDP(t *testing.T) {
	j := journal.New()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begin(t, Options{Address: "udp://" + conn.LocalAddr().String(), Source: j})
	slog.New(j.Handler(slog.DiscardHandler)).Warn(strings.Repeat("测试", 1000))
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	n, _, err := conn.ReadFrom(b)
	if err != nil || n > mostUDP || !utf8.Valid(b[:n]) || !bytes.HasPrefix(b[:n], []byte("<132>1 ")) {
		t.Errorf("%d bytes, %v: %s", n, err, b[:n])
	}
}

func TestRecordsArriveOverTLS(t *testing.T) {
	certificate, file := selfSigned(t)
	plain := listen(t, "127.0.0.1:0")
	r := receive(t, tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	j := journal.New()
	slog.New(j.Handler(slog.DiscardHandler)).Info("hello")
	_, port, _ := net.SplitHostPort(plain.Addr().String())
	stranger := begin(t, Options{Address: "tls://localhost:" + port, Source: j})
	until(t, "a certificate that nobody signed is refused", func() bool { return strings.Contains(stranger.State().Error, "certificate") })
	if r.has("hello") {
		t.Error("the record went to a server that could be anybody")
	}
	begin(t, Options{Address: "tls://localhost:" + port, Source: j, CA: file})
	until(t, "the record arrives", func() bool { return r.has("] hello") })
}

func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"udp://10.0.0.1": "udp 10.0.0.1:514", "tcp://logs.plant:1514": "tcp logs.plant:1514", "tls://[fe80::1]": "tls [fe80::1]:6514",
		"": "", "10.0.0.1:514": "", "http://x": "", "tcp://x/y": "", "tcp://u:p@x": "", "tcp://": "",
	} {
		network, address, err := ParseAddress(text)
		if got := strings.TrimSpace(network + " " + address); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}
