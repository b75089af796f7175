package http

import (
	"context"
	"net"
	"sync"
	"time"

	"sluice/bridge/dial"
)

// spareLife is how long the connection that Connect has made may wait for the first request: servers
// close those on which nothing comes.
const spareLife = 3 * time.Second

// lines are the connections of a link. net/http opens and keeps them as it likes; this knows them
// all, so that none is left when the link has ended.
type lines struct {
	dialer *dial.Options
	ctx    context.Context // ends with the link; net/http dials under contexts of its own

	mu      sync.Mutex // guards what follows
	spare   net.Conn   // what Connect has opened, for the first request
	dialled time.Time
	open    map[*line]struct{}
	ended   bool
}

// line is one connection.
type line struct {
	net.Conn
	of *lines
}

// Close ends the connection.
func (l *line) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}

// take gives net/http a connection.
func (l *lines) take(ctx context.Context, host string, secure bool) (net.Conn, error) {
	l.mu.Lock()
	spare, fresh := l.spare, time.Since(l.dialled) < spareLife
	l.spare = nil
	l.mu.Unlock()
	switch {
	case spare != nil && fresh:
		return spare, nil
	case spare != nil:
		spare.Close()
	}
	return l.dial(ctx, host, secure)
}

// dial opens a connection.
func (l *lines) dial(ctx context.Context, host string, secure bool) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	conn, err := l.dialer.Dial(ctx, host)
	if err != nil {
		return nil, err
	}
	raw := &line{conn, l}
	if !l.add(raw) {
		conn.Close()
		return nil, net.ErrClosed
	}
	if !secure {
		return raw, nil
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		raw.Close()
		return nil, err
	}
	ctx, cancel = context.WithTimeout(ctx, l.dialer.ConnectTimeout)
	defer cancel()
	secured, err := l.dialer.Secure(ctx, raw, name)
	if err != nil {
		raw.Close()
		return nil, err
	}
	return secured, nil // a *tls.Conn: net/http looks there for HTTP/2
}

func (l *lines) add(raw *line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.open[raw] = struct{}{}
	return true
}

// end closes every connection, and lets no other begin.
func (l *lines) end() {
	l.mu.Lock()
	l.ended = true
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for raw := range open {
		raw.Conn.Close()
	}
}
