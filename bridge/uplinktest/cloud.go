package uplinktest

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
)

// Quiet logs to nobody.
func Quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Book keeps what a cloud has taken.
type Book struct {
	mu       sync.Mutex // guards what follows
	payloads []string
}

// Add takes a copy of the payload.
func (b *Book) Add(_ string, payload []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.payloads = append(b.payloads, string(payload))
}

// All gives every payload in the order in which it came.
func (b *Book) All() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.payloads)
}

// StartCloud runs a simulated cloud until the test ends.
func StartCloud(t testing.TB, o cloudsim.Options) *cloudsim.Server {
	t.Helper()
	s, err := cloudsim.Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the simulated cloud ended with %v", err)
		}
	})
	return s
}

// Script is an MQTT broker that lets one client in and then answers as play does.
func Script(t testing.TB, play func(conn net.Conn, in *bufio.Reader)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		in := bufio.NewReader(conn)
		if skipPacket(in) == nil {
			play(conn, in)
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return "tcp://" + listener.Addr().String()
}

func skipPacket(in *bufio.Reader) error {
	if _, err := in.ReadByte(); err != nil {
		return err
	}
	length, err := binary.ReadUvarint(in) // which is how MQTT writes it
	if err == nil {
		_, err = io.CopyN(io.Discard, in, int64(length))
	}
	return err
}

// Connect gives a link that is closed when the test ends.
func Connect(t testing.TB, u bridge.Uplink) bridge.Link {
	t.Helper()
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// refuses wants Connect to fail with these words.
func refuses(t *testing.T, u bridge.Uplink, words string) {
	t.Helper()
	l, err := u.Connect(t.Context())
	if err == nil {
		l.Close()
		t.Fatal("connected")
	}
	if !strings.Contains(err.Error(), words) {
		t.Errorf("error is %q, want it to say %q", err, words)
	}
}

// Eventually waits for what other processes or the network have to do first.
func Eventually(t testing.TB, what string, fulfilled func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !fulfilled(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// Write makes a file that only its owner may read.
func Write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Complaints holds the paths that validate complains about, and whether the uplink is made nevertheless, against those
// that are wrong in the options.
func Complaints(t testing.TB, options any, validate func(func(path, problem string)), made error, want []string) {
	t.Helper()
	var got []string
	validate(func(path, problem string) {
		got = append(got, path)
		if strings.Contains(problem, "secret") {
			t.Errorf("a password is shown: %q", problem)
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("%+v: complaints about %q, want %q", options, got, want)
	}
	if (made == nil) != (len(want) == 0) {
		t.Errorf("%+v: New gives %v", options, made)
	}
}
