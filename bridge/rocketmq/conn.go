package rocketmq

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"sluice/bridge/dial"
	"sluice/gateway/remoting"
)

// version is what we say that we are: 5.3.0, the newest that brokers do not ask to move elsewhere.
const version = 473

// conn is one connection to a name server or a broker. Requests share it, answers come in any order.
type conn struct {
	account account
	name    string // of the other side, for people to read
	net     net.Conn
	raw     *dial.Patient

	writing sync.Mutex // guards frame and writing to net
	frame   []byte

	mu     sync.Mutex // guards what follows
	opaque int32
	asked  map[int32]chan remoting.Command // each has room for its answer
	err    error                           // why it ended

	ended chan struct{}
}

// account signs requests; without a key it leaves them as they are.
type account struct{ key, secret string }

// open connects, over TLS if it is asked for, within ConnectTimeout. The caller runs read, and calls end.
func (o *Options) open(ctx context.Context, address, name string, as account) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout) // for the handshake: nobody else gives it a limit
	defer cancel()
	tcp, err := o.Dial(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, dial.Explain(err))
	}
	c := &conn{account: as, name: name, raw: &dial.Patient{Conn: tcp}, asked: make(map[int32]chan remoting.Command), ended: make(chan struct{})}
	c.net = c.raw
	if o.Secured {
		host, _, err := net.SplitHostPort(address)
		if err == nil {
			c.net, err = o.Secure(ctx, c.raw, host)
		}
		if err != nil {
			tcp.Close()
			return nil, fmt.Errorf("%s: %w", name, dial.Explain(err))
		}
	}
	return c, nil
}

// read hands answers to those who asked, until the connection ends. Requests of a broker are for
// consumers and transactions, which the uplink has none of.
func (c *conn) read() {
	r := bufio.NewReaderSize(c.net, 16<<10)
	for {
		var answer remoting.Command
		if err := remoting.Read(r, remoting.MaxFrame, &answer); err != nil {
			c.end(fmt.Errorf("%s has ended the connection: %w", c.name, dial.Explain(err)))
			return
		}
		if !answer.Response() {
			continue
		}
		c.mu.Lock()
		waiting, ok := c.asked[answer.Opaque]
		delete(c.asked, answer.Opaque)
		c.mu.Unlock()
		if ok {
			waiting <- answer
		}
	}
}

// end closes the connection for the reason err; the first one counts.
func (c *conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.ended)
	c.raw.Conn.Close() // TLS would say goodbye, and wait for a line that may be dead
}

func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// silentError is that no answer came in time.
type silentError struct {
	name, request string
	after         time.Duration
}

func (e *silentError) Error() string {
	return fmt.Sprintf("%s has not answered %s within %s", e.name, e.request, e.after)
}

// call sends a request and waits for its answer, patience at most from when the request has arrived: a peer that is
// silent for longer is gone, with all that it owes us. A slow line may take as long as it takes, if it takes anything.
func (c *conn) call(ctx context.Context, request *remoting.Command, patience time.Duration) (remoting.Command, error) {
	answer := make(chan remoting.Command, 1)
	through, err := c.send(request, answer)
	if err != nil {
		return remoting.Command{}, err
	}
	reached := c.raw.Reached()
	silence := time.NewTimer(patience)
	defer silence.Stop()
	for {
		select {
		case got := <-answer:
			return got, nil
		case <-c.ended:
			select {
			case got := <-answer: // it came before the end
				return got, nil
			default:
				return remoting.Command{}, c.reason()
			}
		case <-silence.C:
			if now := c.raw.Reached(); reached < through && now > reached {
				reached = now
				silence.Reset(patience)
				continue
			}
			c.end(&silentError{c.name, remoting.RequestName(request.Code), patience})
			return remoting.Command{}, c.reason()
		case <-ctx.Done():
			c.mu.Lock()
			delete(c.asked, request.Opaque)
			c.mu.Unlock()
			return remoting.Command{}, context.Cause(ctx)
		}
	}
}

// send writes a request; through is how many bytes were written with it, see dial.Patient.
func (c *conn) send(request *remoting.Command, answer chan remoting.Command) (through int64, err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return 0, c.err
	}
	c.opaque++
	request.Opaque, request.Version, request.Language = c.opaque, version, remoting.LanguageJava
	c.asked[request.Opaque] = answer
	c.mu.Unlock()
	if c.account.key != "" {
		request.Sign(c.account.key, c.account.secret)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	frame, err := request.Append(c.frame[:0])
	if err != nil {
		c.mu.Lock()
		delete(c.asked, request.Opaque)
		c.mu.Unlock()
		return 0, err
	}
	if c.frame = frame; cap(c.frame) > 2<<20 {
		c.frame = nil // one huge request shall not keep its memory for ever
	}
	if _, err := c.net.Write(frame); err != nil {
		c.end(fmt.Errorf("%s: %w", c.name, dial.Explain(err)))
		return 0, c.reason()
	}
	return c.raw.Written(), nil
}

var errClosed = errors.New("the link was closed")
