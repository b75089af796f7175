package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// stagger is how long one address of a name may keep the next waiting, RFC 8305 section 5: an
	// IPv6 that leads nowhere shall not cost a connection attempt.
	stagger = 250 * time.Millisecond
	// maxAddresses of one name are tried.
	maxAddresses = 8
)

// Dial opens a TCP connection to address, host:port, through the proxy if there is one. Whatever is
// waited for ends with ctx, and after ConnectTimeout at the latest.
func (o *Options) Dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, o.connectTimeout())
	defer cancel()
	proxy, err := o.Proxy.url()
	if err != nil {
		return nil, fmt.Errorf("proxy.address %w", err)
	}
	if proxy == nil {
		return o.open(ctx, address)
	}
	conn, err := o.open(ctx, proxy.Host)
	if err != nil {
		return nil, fmt.Errorf("the proxy %s: %w", proxy.Host, err)
	}
	err = Take(ctx, ProxyAnswered, func() (string, error) {
		if err := o.throughProxy(ctx, conn, proxy, address); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s has connected us to %s", proxy.Host, address), nil
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// DialTLS opens a connection like Dial and secures it.
func (o *Options) DialTLS(ctx context.Context, address string) (*tls.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.connectTimeout())
	defer cancel()
	conn, err := o.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	secured, err := o.Secure(ctx, conn, host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

// Secure puts TLS around a connection to host and shakes hands. When it fails, conn is the caller's
// to close.
func (o *Options) Secure(ctx context.Context, conn net.Conn, host string) (*tls.Conn, error) {
	var secured *tls.Conn
	err := Take(ctx, CertificateValid, func() (string, error) {
		config, err := o.TLS.Config(host)
		if err != nil {
			return "", err
		}
		secured = tls.Client(&heard{Conn: conn}, config)
		from := time.Now()
		err = secured.HandshakeContext(ctx)
		if timedOut(ctx, err) {
			return "", &Error{Text: "no answer to the TLS handshake within " + spent(from),
				Hint: "does it speak TLS at this port?", Cause: err}
		}
		if err != nil {
			return "", Explain(err)
		}
		return describe(secured.ConnectionState()), nil
	})
	if err != nil {
		return nil, err
	}
	return secured, nil
}

// describe says whom we talk to.
func describe(state tls.ConnectionState) string {
	leaf := state.PeerCertificates[0]
	text := fmt.Sprintf("for %s, issued by %s, until %s, %s", namesOf(leaf), issuerOf(leaf),
		leaf.NotAfter.UTC().Format(time.DateOnly), tls.VersionName(state.Version))
	if state.NegotiatedProtocol != "" {
		text += ", " + state.NegotiatedProtocol
	}
	return text
}

// open resolves a name and connects to it without a proxy.
func (o *Options) open(ctx context.Context, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s has no port number", address)
	}
	addresses, err := o.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	err = Take(ctx, PortOpen, func() (string, error) {
		leave, err := o.way()
		if err != nil {
			return "", err
		}
		from := time.Now()
		conn, err = race(ctx, addresses, func(ctx context.Context, ip netip.Addr) (net.Conn, error) {
			return leave.connect(ctx, netip.AddrPortFrom(ip, uint16(port)))
		})
		if timedOut(ctx, err) {
			return "", &Error{Text: fmt.Sprintf("no answer from %s within %s", address, spent(from)),
				Hint: "a firewall may drop the connection, or the address is wrong", Cause: err}
		}
		if err != nil {
			return "", Explain(err)
		}
		return conn.RemoteAddr().String() + leave.detail(conn), nil
	})
	return conn, err
}

// resolve finds the addresses of a host, IPv4 and IPv6 in turn beginning with what the system prefers.
func (o *Options) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	var addresses []netip.Addr
	err := Take(ctx, NameResolved, func() (string, error) {
		from := time.Now()
		ctx, cancel := context.WithTimeout(ctx, o.nameTimeout())
		defer cancel()
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if timedOut(ctx, err) {
			return "", &Error{Text: fmt.Sprintf("the name %s cannot be resolved: no name server answers within %s", host, spent(from)),
				Hint: "is the line up, and is the gateway's name server right?", Cause: err}
		}
		if err != nil {
			return "", Explain(err)
		}
		addresses = inTurn(found)
		var texts []string
		for _, ip := range addresses {
			texts = append(texts, ip.String())
		}
		return strings.Join(texts, ", "), nil
	})
	return addresses, err
}

// inTurn mixes the families, so that a family that leads nowhere costs one try.
func inTurn(found []netip.Addr) []netip.Addr {
	var first, second, out []netip.Addr
	for _, ip := range found {
		ip = ip.Unmap()
		if len(first) == 0 || ip.Is4() == first[0].Is4() {
			first = append(first, ip)
		} else {
			second = append(second, ip)
		}
	}
	for i := range max(len(first), len(second)) {
		for _, list := range [][]netip.Addr{first, second} {
			if i < len(list) {
				out = append(out, list[i])
			}
		}
	}
	return slices.Clip(out[:min(len(out), maxAddresses)])
}

// race connects to the first of addresses that answers. Each gets a head start before the next; one
// that fails lets the next start at once.
func race(ctx context.Context, addresses []netip.Addr, connect func(context.Context, netip.Addr) (net.Conn, error)) (net.Conn, error) {
	if len(addresses) == 0 {
		return nil, errors.New("there is no address to connect to")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends those that have lost
	type outcome struct {
		conn net.Conn
		err  error
	}
	outcomes := make(chan outcome)
	next, running := 0, 0
	start := func() {
		ip := addresses[next]
		next, running = next+1, running+1
		go func() {
			conn, err := connect(ctx, ip)
			outcomes <- outcome{conn, err}
		}()
	}
	var won net.Conn
	var failed error
	start()
	for running > 0 {
		var patience <-chan time.Time
		if won == nil && next < len(addresses) {
			patience = time.After(stagger)
		}
		select {
		case <-patience:
			start()
			continue
		case o := <-outcomes:
			running--
			switch {
			case o.err != nil && failed == nil:
				failed = o.err
			case o.err != nil:
			case won == nil:
				won = o.conn
				cancel()
			default:
				o.conn.Close()
			}
		}
		if won == nil && next < len(addresses) && ctx.Err() == nil {
			start()
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, failed
}

func (o *Options) connectTimeout() time.Duration {
	if o.ConnectTimeout <= 0 {
		return defaultConnectTimeout
	}
	return o.ConnectTimeout
}

func (o *Options) nameTimeout() time.Duration {
	if o.NameTimeout <= 0 {
		return defaultNameTimeout
	}
	return o.NameTimeout
}

// timedOut says whether err came because the time that ctx allows is over.
func timedOut(ctx context.Context, err error) bool {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err) // the socket may notice a moment before ctx does
	return ok && timeout.Timeout()
}

// spent is how long something was waited for, as people say it.
func spent(from time.Time) string {
	took := time.Since(from)
	if took >= time.Second {
		return took.Round(100 * time.Millisecond).String()
	}
	return took.Round(time.Millisecond).String()
}
