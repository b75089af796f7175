package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// leastDial is how long a connection may take to come about, however impatient the request.
const leastDial = time.Second

// openDial connects. Those who waited for the turn while it failed share the failure: each trying for
// itself would keep the last of them waiting for all.
func (p *Port) openDial(ctx context.Context, patience time.Duration) error {
	if !p.since.IsZero() && p.since.Before(p.dialFailed) {
		return p.dialError
	}
	conn, err := p.connect(ctx, max(patience, leastDial))
	if err == nil {
		tune(conn)
		p.use(conn, nil)
		return nil
	}
	if ctx.Err() == nil && !errors.Is(err, ErrClosed) {
		p.dialFailed, p.dialError = time.Now(), err
	}
	return err
}

func (p *Port) connect(ctx context.Context, patience time.Duration) (net.Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, patience)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer cancel()
	watcher.Go(func() {
		select {
		case <-p.closed:
			cancel()
		case <-dialing.Done():
		}
	})
	conn, err := p.dialTo(dialing, p.opened.Dial)
	switch {
	case err == nil:
		return conn, nil
	case p.isGone():
		return nil, ErrClosed
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err()
	case dialing.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("cannot connect to %s: no connection within %v", p.opened.Dial, patience)
	}
	return nil, fmt.Errorf("cannot connect to %s: %w", p.opened.Dial, plain(err))
}

func (p *Port) dialTo(ctx context.Context, address string) (net.Conn, error) {
	if p.dial != nil {
		return p.dial(ctx, address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// plain is the cause of a network error without the addresses around it.
func plain(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("its name is not known: " + dns.Err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err
	}
	return err
}
