package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout is how long sent bytes may stay unacknowledged before the system gives a connection up.
// It is long enough for a 4G line that is full and loses a packet, and far below the quarter of an
// hour for which Linux tries by itself.
const userTimeout = time.Minute

// keepAlive finds a dead line below protocols that have no ping of their own.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 20 * time.Second, Interval: 10 * time.Second, Count: 4}

// errMayNot is that the process has no right to bind a socket to an interface. Linux asks for none
// since 5.7 unless the socket is bound already.
var errMayNot = errors.New("no right to bind to the network interface")

// way is how packets leave the gateway: as the system routes, or by one network interface.
type way struct {
	name  string
	addrs []net.Addr
	// bind ties a socket to the interface. Tests replace it.
	bind func(fd int, name string) error
}

// way finds the interface that is configured.
func (o *Options) way() (*way, error) {
	if o.Interface == "" {
		return &way{}, nil
	}
	nic, err := net.InterfaceByName(o.Interface)
	if err != nil {
		return nil, &Error{Text: "there is no network interface " + o.Interface + " here",
			Hint: "there are " + interfaceNames(), Cause: err}
	}
	if nic.Flags&net.FlagUp == 0 {
		return nil, &Error{Text: "the network interface " + o.Interface + " is down",
			Hint: "is the cable in, or the modem connected?", Cause: syscall.ENETDOWN}
	}
	addrs, err := nic.Addrs()
	if err != nil {
		return nil, fmt.Errorf("ask the network interface %s for its addresses: %w", o.Interface, err)
	}
	if !slices.ContainsFunc(addrs, leadsOut) {
		return nil, &Error{Text: "the network interface " + o.Interface + " has no address",
			Hint: "is the cable in, or the modem connected?", Cause: syscall.EADDRNOTAVAIL}
	}
	return &way{name: o.Interface, addrs: addrs, bind: bindToDevice}, nil
}

// leadsOut says whether packets from a may find their way back: every IPv6 interface gives itself an
// address that is good for its own link only.
func leadsOut(a net.Addr) bool {
	prefix, ok := a.(*net.IPNet)
	return ok && (prefix.IP.To4() != nil || !prefix.IP.IsLinkLocalUnicast())
}

func interfaceNames() string {
	nics, err := net.Interfaces()
	if err != nil || len(nics) == 0 {
		return "none"
	}
	var names []string
	for _, nic := range nics {
		names = append(names, nic.Name)
	}
	return strings.Join(names, ", ")
}

func bindToDevice(fd int, name string) error {
	return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, name)
}

// connect opens a connection. Where a socket may not be bound to the interface, it takes the
// interface's address as its source, which is as good where the routes go by source.
func (w *way) connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	dialer := net.Dialer{KeepAliveConfig: keepAlive, Control: w.control(w.name)}
	conn, err := dialer.DialContext(ctx, "tcp", to.String())
	if !errors.Is(err, errMayNot) {
		return conn, err
	}
	source := w.source(to.Addr())
	if source == nil {
		return nil, &Error{Text: "the network interface " + w.name + " has no address that could reach " + to.Addr().String(),
			Hint: "is the modem connected?", Cause: err}
	}
	dialer.Control, dialer.LocalAddr = w.control(""), source
	return dialer.DialContext(ctx, "tcp", to.String())
}

func (w *way) control(bindTo string) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var bound error
		err := raw.Control(func(fd uintptr) {
			// A system without this option gives up later, no worse.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
			if bindTo != "" {
				bound = w.bind(int(fd), bindTo)
			}
		})
		if err != nil {
			return err
		}
		if errors.Is(bound, unix.EPERM) {
			return errMayNot
		}
		return bound
	}
}

// source is an address of the interface in the family of to.
func (w *way) source(to netip.Addr) *net.TCPAddr {
	for _, a := range w.addrs {
		prefix, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(prefix.IP)
		if ok && ip.Unmap().Is4() == to.Is4() && (to.Is4() || ip.IsLinkLocalUnicast() == to.IsLinkLocalUnicast()) {
			return &net.TCPAddr{IP: prefix.IP}
		}
	}
	return nil
}

func (w *way) detail(conn net.Conn) string {
	if w.name == "" {
		return ""
	}
	return fmt.Sprintf(", from %s by %s", conn.LocalAddr(), w.name)
}
