package mqtt

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/mqtt/packet"
)

// conn is one client's connection. The goroutine that reads owns it; a second one writes while there is
// something to write, and a third hands out messages once the client has subscribed.
type conn struct {
	server  *Server
	socket  net.Conn
	in      *packet.Reader
	out     *writer
	answers answers
	end     context.CancelCauseFunc // makes all three leave, after what is said last has gone out
	parts   sync.WaitGroup          // the delivering goroutine
	done    chan struct{}           // closed when the connection has ended, its will included
	leaving atomic.Bool             // nothing more is read

	version  byte
	clientID string
	grant    Grant
	peer     peer
	will     *will
	session  Session // nil for one that ends with the connection

	incoming  incoming
	filters   filters
	delivery  *delivery // nil until the first SUBSCRIBE
	confirmed []uint64  // PUBRELs whose PUBREC the session does not know yet
	requests  requests
	fresh     atomic.Bool // of the connection that takes this one's place: it begins anew
}

// peer is what the client said of itself.
type peer struct {
	patience  time.Duration // between two packets; 0: for ever
	expiry    time.Duration // of its session
	window    int           // messages with QoS 1 and 2 that it takes at a time
	maxPacket int           // bytes; 0: any
	aliases   int           // topic aliases that it takes
	explained bool          // it wants to be told why
	lenient   bool          // it was not told the receive maximum
}

// requests are the packets other than PUBLISH that are decoded again and again.
type requests struct {
	ack         packet.Ack
	subscribe   packet.Subscribe
	suback      packet.Suback
	unsubscribe packet.Unsubscribe
	ping        packet.Ping
	disconnect  packet.Disconnect
	auth        packet.Auth
}

// Why a connection ends, beside what sockets and packets say.
var (
	errTakenOver  = errors.New("another connection came with the same client identifier")
	errKeepAlive  = errors.New("nothing came for one and a half times the keep-alive")
	errDisconnect = errors.New("the client disconnected")
	errWill       = errors.New("the client disconnected and left its will")
	errLeaving    = errors.New("the connection is being closed")
)

// serve is the whole life of a connection.
func (s *Server) serve(gateway context.Context, socket net.Conn) {
	ctx, end := context.WithCancelCause(gateway)
	defer end(nil)
	defer socket.Close()
	c := &conn{server: s, socket: socket, end: end, done: make(chan struct{})}
	c.in = packet.NewReader(c, min(connectLimit, s.options.MaxPacket))
	defer c.incoming.count(s)
	stop := context.AfterFunc(ctx, func() { socket.SetDeadline(time.Unix(1, 0)) }) // CONNECT is not waited for
	err := c.connect(ctx)
	stop() // run sees it too when the gateway stops
	if err != nil {
		c.report(err)
		return
	}
	err = c.run(ctx)
	c.finish(gateway, err)
	c.report(err)
	if _, tells := goodbye(err); tells && c.version >= packet.V5 {
		c.linger()
	}
}

// linger lets the client read what was written last: closing at once would, if there are bytes from it
// that we have not read, destroy that on its way.
func (c *conn) linger() {
	half, ok := c.socket.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.socket.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.socket, lingerLimit) // its errors mean that the client closed, as it should
}

// run serves an accepted client until one of its goroutines or the gateway ends it.
func (c *conn) run(ctx context.Context) error {
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		c.sayGoodbye(context.Cause(ctx))
		c.leaving.Store(true)
		c.socket.SetReadDeadline(time.Unix(1, 0))
	})
	err := c.read(ctx)
	c.end(err)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // not the deadline that it led to
	}
	if !stop() {
		<-told // its deadline must not come after the one of lingering
	}
	c.sayGoodbye(err)
	if c.delivery != nil {
		c.delivery.flights.close()
	}
	c.parts.Wait()
	c.out.wait() // what was answered has gone out
	return err
}

// sayGoodbye lets what was answered go out and, in MQTT 5, why the server ends the connection
// [MQTT-3.14.4-3]. Only the first call counts.
func (c *conn) sayGoodbye(err error) {
	code, tells := goodbye(err)
	if c.version < packet.V5 || !tells {
		c.out.close(nil)
		return
	}
	last := packet.Disconnect{Code: code}
	if invalid, ok := errors.AsType[*packet.Error](err); ok && c.peer.explained {
		last.Properties = packet.Properties{{ID: packet.ReasonString, Data: []byte(invalid.Text)}}
		if c.peer.maxPacket > 0 && len(last.Append(nil, c.version)) > c.peer.maxPacket {
			last.Properties = nil // [MQTT-3.14.2-3]
		}
	}
	c.out.close(last.Append(nil, c.version))
}

// goodbye gives what DISCONNECT says of an end; tells is false when there is nobody to tell.
func goodbye(err error) (code packet.Reason, tells bool) {
	if invalid, ok := errors.AsType[*packet.Error](err); ok {
		if invalid.Code == packet.UnsupportedProtocolVersion {
			return packet.ProtocolError, true
		}
		return invalid.Code, true
	}
	_, network := errors.AsType[net.Error](err)
	switch {
	case err == nil, errors.Is(err, errDisconnect), errors.Is(err, errWill), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return 0, false
	case errors.Is(err, errTakenOver):
		return packet.SessionTakenOver, true
	case errors.Is(err, errKeepAlive):
		return packet.KeepAliveTimeout, true // [MQTT-3.1.2-22]
	case errors.Is(err, context.Canceled):
		return packet.ServerShuttingDown, true
	case network:
		return 0, false
	}
	return packet.UnspecifiedError, true
}

// finish gives back what the connection held and sees to its session and its will.
func (c *conn) finish(gateway context.Context, err error) {
	ended := true
	if c.session != nil {
		c.answers.settled(settleTimeout)
		ended = c.leave()
	}
	if c.delivery != nil {
		c.keepShared(ended)
		for _, s := range c.filters.list { // nobody else is left
			c.drop(s, ended)
		}
		c.delivery.subscription.Close()
	}
	c.server.bequeath(gateway, c, err, ended)
	c.server.forget(c)
	close(c.done)
}

// keepShared takes over what came through shared subscriptions with QoS 2 and was begun: nobody else gets
// it [MQTT-4.8.2-5], and the same client does when it is back [MQTT-4.8.2-4].
func (c *conn) keepShared(ended bool) {
	taken := c.delivery.flights.ofShares()
	for _, f := range taken {
		if f.origin > 0 {
			c.delivery.subscription.Done(int(f.origin), f.Position)
		}
	}
	if !ended && len(taken) > 0 {
		c.server.keepTaken(c.clientID, taken, c.peer.expiry)
	}
}

// leave closes the session, which keeps what is under way, and says whether that was its end.
func (c *conn) leave() (ended bool) {
	expiry := c.peer.expiry
	if c.fresh.Load() {
		expiry = 0
	}
	if c.delivery != nil && expiry != 0 {
		upTo, under, _ := c.delivery.flights.state()
		if err := c.session.SaveFlights(upTo, under, nil); err != nil {
			c.server.warn("what is under way to a client is sent anew when it comes back", "client", c.clientID, "err", err)
		}
	}
	c.session.Close(expiry)
	return expiry == 0
}

// report logs the end of a connection: loudly if the client did what it must not.
func (c *conn) report(err error) {
	where := c.socket.RemoteAddr().String()
	_, network := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errDisconnect), errors.Is(err, errWill), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
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
		if err := c.settle(); err != nil {
			return 0, err
		}
		c.out.flush()
	}
	if c.peer.patience > 0 {
		if err := c.socket.SetReadDeadline(time.Now().Add(c.peer.patience)); err != nil {
			return 0, err
		}
	}
	if c.leaving.Load() {
		return 0, errLeaving // the deadline that said so may just have been replaced
	}
	n, err := c.socket.Read(b)
	c.server.bytesIn.Add(uint64(max(n, 0)))
	if err != nil && c.out != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		err = errKeepAlive
	}
	return n, err
}

// settle lets the session know what the client has acknowledged, once for many packets. A PUBREL goes
// out when the session knows of its PUBREC.
func (c *conn) settle() error {
	if c.session == nil || c.delivery == nil {
		return nil
	}
	if len(c.confirmed) == 0 {
		return c.delivery.progress(nil)
	}
	tokens := c.confirmed
	c.confirmed = nil
	return c.delivery.progress(func(err error) {
		for _, token := range tokens {
			c.answers.durable(token, err)
		}
	})
}

func (c *conn) read(ctx context.Context) error {
	for ctx.Err() == nil {
		frame, err := c.in.Next()
		if err != nil {
			return err
		}
		if err := c.handle(ctx, frame); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// handle acts on one packet.
func (c *conn) handle(ctx context.Context, frame packet.Frame) error {
	r := &c.requests
	switch frame.Type {
	case packet.PUBLISH:
		return c.publish(ctx, frame)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		if err := r.ack.Decode(frame, c.version); err != nil {
			return err
		}
		if frame.Type == packet.PUBREL {
			return c.released(ctx, &r.ack)
		}
		return c.acknowledged(ctx, &r.ack)
	case packet.SUBSCRIBE:
		return c.subscribe(ctx, frame)
	case packet.UNSUBSCRIBE:
		return c.unsubscribe(ctx, frame)
	case packet.PINGREQ:
		if err := r.ping.Decode(frame, c.version); err != nil {
			return err
		}
		r.ping.Type = packet.PINGRESP
		c.out.answer(&r.ping, c.version) // [MQTT-3.12.4-1]
		return nil
	case packet.DISCONNECT:
		return c.disconnect(frame)
	case packet.AUTH:
		if err := r.auth.Decode(frame, c.version); err != nil {
			return err
		}
		return protocolError("MQTT-4.12.0-6", "AUTH on a connection without extended authentication")
	case packet.CONNECT:
		return protocolError("MQTT-3.1.0-2", "a second CONNECT")
	}
	return protocolError("3.1.1 2.2.1", frame.Type.String()+" from a client")
}

// disconnect takes the client's goodbye. Without a reason its will goes with it [MQTT-3.14.4-3].
func (c *conn) disconnect(frame packet.Frame) error {
	r := &c.requests.disconnect
	if err := r.Decode(frame, c.version); err != nil {
		return err
	}
	if seconds, ok := r.Properties.Number(packet.SessionExpiry); ok {
		if c.peer.expiry == 0 && seconds != 0 {
			return protocolError("3.14.2.2.2", "a session that was to end with its connection cannot be kept")
		}
		c.peer.expiry = expiryOf(seconds)
	}
	if r.Code != packet.Success {
		return errWill
	}
	return errDisconnect
}

// acknowledged takes what the client says of messages that it was sent.
func (c *conn) acknowledged(ctx context.Context, ack *packet.Ack) error {
	if ack.Type == packet.PUBREC && ack.Code < packet.UnspecifiedError {
		return c.confirm(ctx, ack.ID)
	}
	c.settleFlight(ack.ID, qosOf(ack.Type)) // one that is not known may be a repeat
	return nil
}

// settleFlight ends a flight and lets everybody know who waits for that.
func (c *conn) settleFlight(id uint16, qos byte) {
	if c.delivery == nil {
		return
	}
	done, ok := c.delivery.flights.acknowledged(id, qos)
	switch {
	case !ok:
	case done.origin == ofRetained:
		done.retained.done()
	case done.origin != ofSession:
		c.delivery.subscription.Done(int(done.origin), done.Position)
	}
}

// confirm answers PUBREC with PUBREL [MQTT-4.3.3-4], also for a message that is not known: the client is
// to forget it.
func (c *conn) confirm(ctx context.Context, id uint16) error {
	var was flight
	known := false
	if c.delivery != nil {
		was, known = c.delivery.flights.received(id)
	}
	token, ok := c.answers.reserve(ctx, packet.PUBREL, id, 0)
	switch {
	case !ok:
		return context.Cause(ctx)
	case !known:
		c.answers.ready(token, packet.PacketIdentifierNotFound)
	case c.session == nil || was.origin != ofSession:
		c.answers.ready(token, packet.Success)
	default:
		c.confirmed = append(c.confirmed, token) // settle answers it
	}
	return nil
}

func protocolError(clause, text string) error {
	return &packet.Error{Code: packet.ProtocolError, Clause: clause, Text: text}
}
