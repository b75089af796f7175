package dial

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if run := children[os.Getenv(childRole)]; run != nil {
		os.Exit(run())
	}
	goleak.VerifyTestMain(m)
}

// serve accepts connections on loopback and hands each to handle until the test ends.
func serve(t *testing.T, handle func(conn net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

// shout answers each line in capitals.
func shout(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		io.WriteString(conn, strings.ToUpper(line))
	}
}

// converse checks that conn leads to shout.
func converse(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, "anybody there?\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if want := "ANYBODY THERE?\n"; err != nil || answer != want {
		t.Fatalf("answer is %q (%v), want %q", answer, err, want)
	}
}

// trace collects the steps that are reported.
func trace(ctx context.Context) (context.Context, *[]Step) {
	steps := new([]Step)
	return Traced(ctx, func(s Step) { *steps = append(*steps, s) }), steps
}

func stepNames(steps []Step) string {
	var names []string
	for _, s := range steps {
		name := s.Name
		if s.Err != nil {
			name += " failed"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func TestDialShowsItsSteps(t *testing.T) {
	address := serve(t, shout)
	_, port, _ := net.SplitHostPort(address)
	ctx, steps := trace(t.Context())
	o := Default()
	conn, err := o.Dial(ctx, "localhost:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	converse(t, conn)
	if got, want := stepNames(*steps), "name resolved, port open"; got != want {
		t.Fatalf("the steps are %s, want %s", got, want)
	}
	if detail := (*steps)[0].Detail; !strings.Contains(detail, "127.0.0.1") {
		t.Errorf("the name's addresses are shown as %q", detail)
	}
	if detail := (*steps)[1].Detail; detail != address {
		t.Errorf("the open port is shown as %q, want %q", detail, address)
	}
}

func TestDialSaysWhyNot(t *testing.T) {
	for _, c := range []struct {
		name, address string
		change        func(*Options)
		want          string
	}{
		{"refused", "127.0.0.1:1", nil, "nobody listens there; is the port right"},
		{"no such name", "no-such-host.invalid:1", nil, "no-such-host.invalid cannot be found"},
		{"no port", "127.0.0.1", nil, "missing port"},
		{"odd port", "127.0.0.1:mqtt", nil, "no port number"},
		{"no such interface", "127.0.0.1:1", func(o *Options) { o.Interface = "nix0" }, "no network interface nix0 here; there are lo"},
		{"proxy refused", "127.0.0.1:1", func(o *Options) { o.Proxy.Address = "http://127.0.0.1:1" }, "the proxy 127.0.0.1:1: nobody listens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Default()
			if c.change != nil {
				c.change(&o)
			}
			conn, err := o.Dial(t.Context(), c.address)
			if err == nil {
				conn.Close()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %q, want it to say %q", err, c.want)
			}
		})
	}
}

// silentListener is a listener whose backlog is full: its SYNs go unanswered, as behind a firewall
// that drops them.
func silentListener(t *testing.T) string {
	t.Helper()
	address := fullBacklog(t)
	probe := net.Dialer{Timeout: 50 * time.Millisecond}
	if conn, err := probe.Dial("tcp", address); err == nil {
		conn.Close()
		t.Skip("this system takes connections beyond a listener's backlog")
	}
	return address
}

func TestDialSaysAtWhichStepItGotNoAnswer(t *testing.T) {
	silent := serve(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	dropped := silentListener(t)
	for _, c := range []struct {
		name, steps, want string
		dial              func(ctx context.Context, o *Options) (net.Conn, error)
	}{
		{"port", "port open failed", "no answer from " + dropped + " within ",
			func(ctx context.Context, o *Options) (net.Conn, error) { return o.Dial(ctx, dropped) }},
		{"TLS", "port open, certificate valid failed", "no answer to the TLS handshake within ",
			func(ctx context.Context, o *Options) (net.Conn, error) { return o.DialTLS(ctx, silent) }},
		{"SOCKS", "port open, proxy answered failed", "no answer from the proxy " + silent,
			func(ctx context.Context, o *Options) (net.Conn, error) {
				o.Proxy.Address = "socks5://" + silent
				return o.Dial(ctx, "cloud.example:1883")
			}},
		{"CONNECT", "port open, proxy answered failed", "is it a HTTP proxy",
			func(ctx context.Context, o *Options) (net.Conn, error) {
				o.Proxy.Address = "http://" + silent
				return o.Dial(ctx, "cloud.example:1883")
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, steps := trace(t.Context())
			o := Default()
			o.ConnectTimeout = 400 * time.Millisecond
			_, err := c.dial(ctx, &o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want it to say %q", err, c.want)
			}
			if got := stepNames(*steps); got != c.steps {
				t.Errorf("the steps are %s, want %s", got, c.steps)
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	silent := serve(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	for _, c := range []struct {
		name string
		dial func(ctx context.Context, o *Options) (net.Conn, error)
	}{
		{"TLS", func(ctx context.Context, o *Options) (net.Conn, error) { return o.DialTLS(ctx, silent) }},
		{"proxy", func(ctx context.Context, o *Options) (net.Conn, error) {
			o.Proxy.Address = "socks5://" + silent
			return o.Dial(ctx, "cloud.example:1883")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			ctx = Traced(ctx, func(s Step) {
				if s.Name == PortOpen {
					cancel()
				}
			})
			o := Default()
			o.ConnectTimeout = time.Hour
			if _, err := c.dial(ctx, &o); !errors.Is(err, context.Canceled) {
				t.Errorf("a dial that was called off gives %v", err)
			}
		})
	}
}
