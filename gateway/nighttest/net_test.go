//go:build linux

package nighttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// site is where processes run and sockets are opened: a network namespace, or this machine itself
// when namespace is empty.
type site struct{ namespace string }

// do runs f with this goroutine's thread in the site. Sockets made by f stay there, and processes
// started by f live there.
func (s site) do(f func() error) error {
	if s.namespace == "" {
		return f()
	}
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer unix.Close(home)
	away, err := unix.Open(filepath.Join(namespaces, s.namespace), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open network namespace %s: %w", s.namespace, err)
	}
	defer unix.Close(away)
	if err := unix.Setns(away, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", s.namespace, err)
	}
	done := f()
	if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
		// The thread stays locked and so ends with its goroutine: nobody else may run on it.
		return errors.Join(done, fmt.Errorf("leave network namespace %s: %w", s.namespace, err))
	}
	runtime.UnlockOSThread()
	return done
}

func (s site) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = s.do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

func (s site) listen(t *testing.T, address string) net.Listener {
	t.Helper()
	var listener net.Listener
	err := s.do(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatalf("listen on %s: %v", address, err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// freeAddress gives an address on loopback that nobody listens on. Between this and its use
// another process may take it, which is why only tests outside of a namespace need it.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

const (
	namespaces      = "/run/netns"
	namespacePrefix = "sluice-night-"
	cloudIP         = "10.231.77.2"
)

// line is the way from the gateway to its cloud: two namespaces with one cable between them.
type line struct{ gateway, cloud site }

// linesLaid keeps the names of lines apart that are there at the same time.
var linesLaid atomic.Int64

// newLine lays the cable, or skips the test where that is not permitted.
func newLine(t *testing.T) *line {
	t.Helper()
	if os.Geteuid() != 0 {
		lacking(t, "network namespaces need root")
	}
	need(t, "ip", "nft")
	sweepNamespaces()
	name := fmt.Sprintf("%s%d-%d", namespacePrefix, os.Getpid(), linesLaid.Add(1))
	l := &line{gateway: site{name + "-gateway"}, cloud: site{name + "-cloud"}}
	for _, s := range []site{l.gateway, l.cloud} {
		if out, err := exec.Command("ip", "netns", "add", s.namespace).CombinedOutput(); err != nil {
			lacking(t, fmt.Sprintf("cannot make a network namespace: %v: %s", err, out))
		}
		t.Cleanup(func() { deleteNamespace(s.namespace) })
	}
	for _, args := range []string{
		"link add cable netns " + l.gateway.namespace + " type veth peer name cable netns " + l.cloud.namespace,
		"-n " + l.gateway.namespace + " address add 10.231.77.1/30 dev cable",
		"-n " + l.cloud.namespace + " address add " + cloudIP + "/30 dev cable",
		"-n " + l.gateway.namespace + " link set lo up",
		"-n " + l.cloud.namespace + " link set lo up",
		"-n " + l.gateway.namespace + " link set cable up",
		"-n " + l.cloud.namespace + " link set cable up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	return l
}

// cut drops every packet between the two sides, so that neither sees the connection end.
func (l *line) cut(t *testing.T) {
	t.Helper()
	l.nft(t, `table inet cut {
		chain in { type filter hook input priority 0; iifname "cable" drop; }
		chain out { type filter hook output priority 0; oifname "cable" drop; }
	}`)
}

func (l *line) heal(t *testing.T) {
	t.Helper()
	l.nft(t, "delete table inet cut")
}

// slow lets through so many bits a second in either direction; packets wait for up to 2 s, as in a
// modem, before they are dropped.
func (l *line) slow(t *testing.T, bits int) {
	t.Helper()
	l.qdisc(t, "replace", "dev", "cable", "root", "tbf", "rate", fmt.Sprintf("%dbit", bits), "burst", "4kb", "latency", "2s")
}

func (l *line) fast(t *testing.T) {
	t.Helper()
	l.qdisc(t, "del", "dev", "cable", "root")
}

func (l *line) qdisc(t *testing.T, args ...string) {
	t.Helper()
	for _, s := range []site{l.gateway, l.cloud} {
		if out, err := s.run(append([]string{"tc", "qdisc"}, args...)...); err != nil {
			t.Fatalf("tc qdisc %v: %v: %s", args, err, out)
		}
	}
}

func (l *line) nft(t *testing.T, rules string) {
	t.Helper()
	err := l.cloud.do(func() error {
		nft := exec.Command("nft", "-f", "-")
		nft.Stdin = strings.NewReader(rules)
		if out, err := nft.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("nft %q: %v", rules, err)
	}
}

// sweepNamespaces removes what test runs have left that were killed before their clean-up.
func sweepNamespaces() {
	left, _ := filepath.Glob(filepath.Join(namespaces, namespacePrefix+"*"))
	for _, path := range left {
		name := filepath.Base(path)
		owner, _, _ := strings.Cut(strings.TrimPrefix(name, namespacePrefix), "-")
		if pid, err := strconv.Atoi(owner); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			deleteNamespace(name)
		}
	}
}

func deleteNamespace(name string) {
	// A process that a killed run left inside would keep the namespace alive without a name.
	pids, _ := exec.Command("ip", "netns", "pids", name).Output()
	for _, field := range strings.Fields(string(pids)) {
		if pid, err := strconv.Atoi(field); err == nil && pid != os.Getpid() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	exec.Command("ip", "netns", "del", name).Run()
}

func TestCutLineCarriesNothingAndEndsNothing(t *testing.T) {
	l := newLine(t)
	listener := l.cloud.listen(t, cloudIP+":1883")
	client, err := l.gateway.dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	l.cut(t)
	if _, err := client.Write([]byte("x")); err != nil {
		t.Errorf("writing into a line that is cut: %v, want silence", err)
	}
	server.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if n, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from a line that is cut: %d bytes, %v, want none and no end", n, err)
	}
	l.heal(t)
	server.SetReadDeadline(time.Now().Add(30 * time.Second))
	if n, err := server.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("reading after the line has healed: %d bytes, %v, want the byte", n, err)
	}
}
