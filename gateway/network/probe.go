package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	probeTime = 3 * time.Second // for one target
	dnsPort   = 53
)

// Connect is Watch.Probe in operation: a TCP connection through the way and no other, to a name that is
// asked of the way's own servers. It takes three seconds at most. A host that refuses has answered.
func Connect(ctx context.Context, through Way, target string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	bound := net.Dialer{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, through.Interface)
		})
		return errors.Join(err, failed)
	}}
	if len(through.DNS) > 0 {
		turn := 0
		bound.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			server := netip.AddrPortFrom(through.DNS[turn%len(through.DNS)], dnsPort)
			turn++
			asking := net.Dialer{Control: bound.Control}
			return asking.DialContext(ctx, network, server.String())
		}}
	}
	conn, err := bound.DialContext(ctx, "tcp", target)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	return conn.Close()
}
