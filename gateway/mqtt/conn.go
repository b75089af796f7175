package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// conn is one client's connection. The goroutine that reads owns it; a second one writes, and a
// third hands out messages once the client has subscribed.
type conn struct {
	server  *Server
	socket  net.Conn
	in      *packet.Reader
	out     *writer
	answers *answers
	end     context.CancelCauseFunc // closes the socket and makes all three leave
	parts   sync.WaitGroup          // the writing and the delivering goroutine
	done    chan struct{}           // closed when the connection has ended, its will included

	version  byte
	clientID string
	patience time.Duration // between two packets; 0: for ever
	will     *message.Message

	incoming incoming
	delivery *delivery // nil until the first SUBSCRIBE
	requests requests
}

// requests are the packets other than PUBLISH that are decoded again and again.
type requests struct {
	ack         packet.Ack
	subscribe   packet.Subscribe
	suback      packet.Suback
	unsubscribe packet.Unsubscribe
	ping        packet.Ping
	disconnect  packet.Disconnect
}

// Why a connection ends, beside what sockets and packets say.
var (
	errTakenOver  = errors.New("another connection came with the same client identifier")
	errKeepAlive  = errors.New("nothing came for one and a half times the keep-alive")
	errDisconnect = errors.New("the client disconnected")
	errQoS2       = errors.New("QoS 2 is not there yet")
)

// serve is the whole life of a connection.
func (s *Server) serve(gateway context.Context, socket net.Conn) {
	ctx, end := context.WithCancelCause(gateway)
	defer end(nil)
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer func() {
		stop()
		socket.Close()
	}()
	c := &conn{server: s, socket: socket, end: end, done: make(chan struct{})}
	c.in = packet.NewReader(c, min(connectLimit, s.options.MaxPacket))
	defer c.incoming.count(s)
	if err := c.connect(ctx); err != nil {
		c.report(err)
		return
	}
	err := c.run(ctx)
	c.finish(gateway, err)
	c.report(err)
}

// run serves an accepted client until one of its goroutines or the gateway ends it.
func (c *conn) run(ctx context.Context) error {
	c.parts.Go(func() {
		if err := c.out.run(); err != nil {
			c.end(err)
		}
	})
	err := c.read(ctx)
	c.out.close()
	select {
	case <-c.out.done: // what was answered has gone out
	case <-ctx.Done():
	}
	c.end(err)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // not the closed socket that it led to
	}
	if c.delivery != nil {
		c.delivery.window.close()
	}
	c.parts.Wait()
	return err
}

// finish publishes the will, unless the client said goodbye [MQTT-3.1.2-10] or the gateway stops:
// 3.1.1 leaves the wills of a stopping server to its next start, and we keep none.
func (c *conn) finish(gateway context.Context, err error) {
	if c.delivery != nil {
		c.delivery.subscription.Close()
	}
	if c.will != nil && gateway.Err() == nil && !errors.Is(err, errDisconnect) {
		ctx, cancel := context.WithTimeout(gateway, willTimeout)
		defer cancel()
		if err := c.server.backend.Publish(ctx, c.will, nil, 0); err != nil { // [MQTT-3.1.2-8]
			c.server.warn("a will was not published", "client", c.clientID, "topic", c.will.Topic, "err", err)
		}
	}
	c.server.forget(c)
	close(c.done)
}

// report logs the end of a connection: loudly if the client did what it must not.
func (c *conn) report(err error) {
	where := c.socket.RemoteAddr().String()
	_, network := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errDisconnect), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		c.server.log.Debug("connection ended", "client", c.clientID, "address", where, "err", err)
	case errors.Is(err, errKeepAlive), network:
		c.server.warn("connection lost", "client", c.clientID, "address", where, "err", err)
	default:
		c.server.warn("connection closed", "client", c.clientID, "address", where, "err", err)
	}
}

// Read is where the packet reader comes when it holds no whole packet any more: what the packets so
// far have led to goes out before we wait.
func (c *conn) Read(b []byte) (int, error) {
	c.incoming.count(c.server)
	if c.out != nil {
		c.out.flush()
	}
	if c.patience > 0 {
		if err := c.socket.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
	}
	n, err := c.socket.Read(b)
	if err != nil && c.patience > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return n, errKeepAlive // [MQTT-3.1.2-24]
	}
	return n, err
}

func (c *conn) read(ctx context.Context) error {
	for {
		frame, err := c.in.Next()
		if err != nil {
			return err
		}
		if err := c.handle(ctx, frame); err != nil {
			return err // [MQTT-4.8.0-1]
		}
	}
}

func (c *conn) handle(ctx context.Context, frame packet.Frame) error {
	r := &c.requests
	switch frame.Type {
	case packet.PUBLISH:
		return c.publish(ctx, frame)
	case packet.PUBACK:
		if err := r.ack.Decode(frame, c.version); err != nil {
			return err
		}
		if c.delivery != nil {
			c.delivery.window.release(r.ack.ID)
		}
		return nil
	case packet.SUBSCRIBE:
		return c.subscribe(ctx, frame)
	case packet.UNSUBSCRIBE:
		return c.unsubscribe(frame)
	case packet.PINGREQ:
		if err := r.ping.Decode(frame, c.version); err != nil {
			return err
		}
		r.ping.Type = packet.PINGRESP
		c.out.answer(&r.ping, c.version) // [MQTT-3.12.4-1]
		return nil
	case packet.DISCONNECT:
		if err := r.disconnect.Decode(frame, c.version); err != nil {
			return err
		}
		return errDisconnect // the will goes with it [MQTT-3.14.4-3]
	case packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return fmt.Errorf("%s: %w", frame.Type, errQoS2)
	case packet.CONNECT:
		return protocolError("MQTT-3.1.0-2", "a second CONNECT")
	}
	return protocolError("3.1.1 2.2.1", frame.Type.String()+" from a client")
}

func protocolError(clause, text string) error {
	return &packet.Error{Code: packet.ProtocolError, Clause: clause, Text: text}
}
