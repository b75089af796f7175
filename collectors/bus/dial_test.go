package bus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// server is a device or serial server that answers frames of eight bytes: four of an id, four of what
// it shall do. The answer is the frame with the last byte changed to '!'.
type server struct {
	net.Listener
	accepted atomic.Int32
	mu       sync.Mutex // guards what follows
	conns    []net.Conn
}

func newServer(t testing.TB) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &server{Listener: listener}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.hangUp()
		serving.Wait()
	})
	return s
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	b := make([]byte, 8)
	var held []byte
	for {
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		answer := b
		do := string(b[4:7])
		answer[7] = '!'
		switch do {
		case "gon": // no answer
			continue
		case "lat": // not before the next request
			held = append(held, answer...)
			continue
		case "hal": // half an answer
			answer = answer[:4]
		case "two": // one and a half of a later one behind it
			answer = append(bytes.Clone(answer), 0, 0, 0)
		case "end":
			return
		}
		if held != nil {
			answer, held = append(held, answer...), nil
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// hangUp closes the connections there are.
func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		conn.Close()
	}
	s.conns = nil
}

func (s *server) address() string { return "tcp://" + s.Addr().String() }

// matched is a request whose answer says which it is.
func matched(id uint32, what string, timeout time.Duration) Request {
	frame := append(binary.BigEndian.AppendUint32(nil, id), what...)
	return Request{Frame: frame, Timeout: timeout, Matched: true, Protocol: "modbus-tcp", Answer: func(received []byte) ([]byte, bool) {
		for ; len(received) >= 8; received = received[8:] {
			if binary.BigEndian.Uint32(received) == id {
				return received[:8], true
			}
		}
		return nil, false
	}}
}

func wantMatched(t *testing.T, c *Client, id uint32, what string) {
	t.Helper()
	got, err := c.Exchange(t.Context(), matched(id, what, 5*time.Second))
	if err != nil || len(got) != 8 || binary.BigEndian.Uint32(got) != id || got[7] != '!' {
		t.Errorf("asked %d %s: got %x, %v", id, what, got, err)
	}
}

func TestAnAddressIsOneConnectionForAllItsClients(t *testing.T) {
	s := newServer(t)
	set := newSet(t, nil)
	a, b := client(t, set, s.address(), "a"), client(t, set, s.address(), "b")
	if len(set.Ports()) != 0 {
		t.Error("there is a line before anybody uses it")
	}
	for i := range 3 {
		wantMatched(t, a, uint32(2*i), "okay")
		wantMatched(t, b, uint32(2*i+1), "okay")
	}
	if got := s.accepted.Load(); got != 1 || a.Port() != b.Port() || len(set.Ports()) != 1 {
		t.Errorf("%d connections and %d lines, want one", got, len(set.Ports()))
	}
	a.Rest()
	wantMatched(t, b, 10, "okay")
	if s.accepted.Load() != 1 {
		t.Error("the connection was closed under the other client")
	}
	b.Rest()
	b.Rest()
	if len(set.Ports()) != 0 || a.Port().Stats().Open {
		t.Error("all clients rest, and the line is still there")
	}
	wantMatched(t, a, 11, "okay")
	wantMatched(t, b, 12, "okay")
	if got := s.accepted.Load(); got != 2 || a.Port() != b.Port() {
		t.Errorf("%d connections, want a second one for both", got)
	}
}

func TestMatchedAnswersThatAreLateArePassedOver(t *testing.T) {
	s := newServer(t)
	c := client(t, newSet(t, nil), s.address(), "plc")
	_, err := c.Exchange(t.Context(), matched(1, "late", 50*time.Millisecond))
	if _, ok := errors.AsType[*NoReplyError](err); !ok {
		t.Fatalf("got %v, want no answer", err)
	}
	wantMatched(t, c, 2, "okay") // comes behind the answer to 1, in one piece with it
	wantMatched(t, c, 3, "two.") // and with the beginning of another behind it
	if got := s.accepted.Load(); got != 1 {
		t.Errorf("%d connections, want one", got)
	}
	if got := c.Port().rest; len(got) != 3 {
		t.Errorf("kept %x, want three bytes", got)
	}
}

func TestHalfAMatchedAnswerClosesTheConnection(t *testing.T) {
	s := newServer(t)
	c := client(t, newSet(t, nil), s.address(), "plc")
	_, err := c.Exchange(t.Context(), matched(1, "half", 50*time.Millisecond))
	if noReply, ok := errors.AsType[*NoReplyError](err); !ok || len(noReply.Received) != 4 {
		t.Fatalf("got %v, want half an answer", err)
	}
	wantMatched(t, c, 2, "okay")
	if got := s.accepted.Load(); got != 2 {
		t.Errorf("%d connections, want a second one", got)
	}
}

func TestTwoSilencesMakeADialledLineBeOpenedAnew(t *testing.T) {
	s := newServer(t)
	c := client(t, newSet(t, nil), s.address(), "plc")
	for i, connections := range []int32{1, 1, 2} {
		if _, err := c.Exchange(t.Context(), matched(uint32(i), "gone", 60*time.Millisecond)); err == nil {
			t.Fatal("nobody answered, and there is an answer")
		}
		if got := s.accepted.Load(); got != connections {
			t.Errorf("silence %d: %d connections, want %d", i+1, got, connections)
		}
	}
	wantMatched(t, c, 9, "okay")
	if got := s.accepted.Load(); got != 2 {
		t.Errorf("one silence closed the connection: %d", got)
	}
}

func TestAConnectionThatEndedWhileIdleCostsNothing(t *testing.T) {
	s := newServer(t)
	c := client(t, newSet(t, nil), s.address(), "plc")
	for i := range uint32(3) {
		wantMatched(t, c, i, "okay")
		s.hangUp()
		time.Sleep(2 * idle) // of a real socket: so long it is trusted to stand
	}
	// One that ends during the exchange is an error: the request may have been carried out.
	_, err := c.Exchange(t.Context(), matched(7, "end.", 5*time.Second))
	if !errors.Is(err, ErrHungUp) || errors.Is(err, ErrNotSent) {
		t.Errorf("got %v, want %v", err, ErrHungUp)
	}
	wantMatched(t, c, 8, "okay")
}

func TestNobodyAtTheAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	listener.Close()
	c := client(t, newSet(t, nil), "tcp://"+address, "plc")
	_, err = c.Exchange(t.Context(), matched(1, "okay", time.Second))
	if want := "tcp://" + address + ": cannot connect to " + address + ": connection refused"; err == nil || err.Error() != want || !errors.Is(err, ErrNotSent) {
		t.Errorf("got %v, want %s", err, want)
	}
	if s := c.Port().Stats(); s.Open || s.Failures != 1 || s.LastError == "" {
		t.Errorf("got %+v", s)
	}
}

func TestWhoWaitedWhileConnectingFailedSharesTheFailure(t *testing.T) {
	p := newPort("a", "bus a", newRing(1, 64), Settings{Dial: "127.0.0.1:1"}.withDefaults())
	p.dialFailed, p.dialError = time.Now(), errors.New("remembered")
	p.since = p.dialFailed.Add(-time.Second)
	if _, err := p.open(t.Context(), time.Second); err == nil || err.Error() != "remembered" {
		t.Errorf("waited meanwhile: got %v", err)
	}
	p.since = time.Time{}
	if _, err := p.open(t.Context(), time.Second); err == nil || err.Error() == "remembered" {
		t.Errorf("came later: got %v, want an attempt of its own", err)
	}
}

func TestCancelAndCloseEndWhatWaitsOnAConnection(t *testing.T) {
	s := newServer(t)
	set := newSet(t, nil)
	c := client(t, set, s.address(), "plc")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	if _, err := c.Exchange(ctx, matched(1, "gone", time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	failed := make(chan error)
	go func() {
		_, err := c.Exchange(context.Background(), matched(2, "gone", time.Hour))
		failed <- err
	}()
	time.Sleep(30 * time.Millisecond) // the exchange waits in a real socket by then
	must(t, set.Close())
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
}

// A bus behind a serial server: frames without an id, many devices, late answers flushed.
func TestASerialServerIsALineLikeAnyOther(t *testing.T) {
	s := newServer(t)
	set := newSet(t, map[string]Settings{"hall": {Dial: s.Addr().String(), Gap: 60 * time.Millisecond}})
	c := client(t, set, "bus://hall", "meter")
	q := Request{Timeout: 50 * time.Millisecond, Late: -1, Answer: func(b []byte) ([]byte, bool) { return b, len(b) == 8 }}
	q.Frame = []byte("0001late")
	if _, err := c.Exchange(t.Context(), q); err == nil {
		t.Fatal("nobody answered, and there is an answer")
	}
	q.Timeout, q.Frame = 300*time.Millisecond, []byte("0002half")
	_, err := c.Exchange(t.Context(), q) // the late one, and half of this
	if noReply, ok := errors.AsType[*NoReplyError](err); !ok || string(noReply.Received) != "0001lat!0002" {
		t.Errorf("got %v", err)
	}
	q.Timeout, q.Frame = 5*time.Second, []byte("0003okay")
	if got, err := c.Exchange(t.Context(), q); err != nil || string(got) != "0003oka!" {
		t.Errorf("got %q, %v", got, err)
	}
	if got := s.accepted.Load(); got != 1 {
		t.Errorf("%d connections, want one", got)
	}
	// New settings count on the connection there is; another address does not have it.
	must(t, set.Update(map[string]Settings{"hall": {Dial: s.Addr().String(), Gap: time.Second}}))
	if _, err := c.Exchange(t.Context(), q); err != nil || s.accepted.Load() != 1 {
		t.Errorf("after new settings: %v, %d connections", err, s.accepted.Load())
	}
	other := newServer(t)
	must(t, set.Update(map[string]Settings{"hall": {Dial: other.Addr().String()}}))
	if _, err := c.Exchange(t.Context(), q); err != nil || other.accepted.Load() != 1 {
		t.Errorf("after another address: %v, %d connections", err, other.accepted.Load())
	}
	c.Rest()
	if set.Ports()[0].Stats().Open {
		t.Error("the only client rests, and the connection is open")
	}
}

func TestMatchedExchangesAllocateNothing(t *testing.T) {
	s := newServer(t)
	c := client(t, newSet(t, nil), s.address(), "plc")
	q := matched(1, "okay", 5*time.Second)
	q.Buffer = make([]byte, 0, 64)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ask := func() {
		if _, err := c.Exchange(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	if got := testing.AllocsPerRun(200, ask); got != 0 {
		t.Errorf("%v allocations an exchange, want none", got)
	}
}

func TestErrorsOfConnectionsArePlain(t *testing.T) {
	c := client(t, newSet(t, nil), "tcp://nobody.invalid:502", "plc")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := c.Exchange(ctx, matched(1, "okay", time.Second))
	if err == nil || !strings.HasPrefix(err.Error(), "tcp://nobody.invalid:502: cannot connect to nobody.invalid:502: ") {
		t.Errorf("got %v", err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{io.EOF, "the line hung up: the other end closed the connection"},
		{net.ErrClosed, "the line hung up: the connection was replaced or given up"},
	} {
		if got := hungUp(c.err); got.Error() != c.want || !errors.Is(got, ErrHungUp) {
			t.Errorf("got %v, want %s", got, c.want)
		}
	}
}
