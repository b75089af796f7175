package rocketmq

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/gateway/remoting"
	"sluice/gateway/transport"
)

// answerRoom is how many bytes may wait to be written to a client before its requests are not read any
// more.
const answerRoom = 1 << 20

// conn is one client's connection. One goroutine reads requests and begins them in turn; answers come
// in any order, from it or from elsewhere, and another goroutine writes them.
type conn struct {
	server *Server
	socket *transport.Conn
	remote netip.AddrPort
	local  netip.AddrPort
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // goroutines that answer later, and the writer
	spoke  atomic.Bool    // it has sent a whole frame

	mu      sync.Mutex // guards what follows; never held during a write
	room    sync.Cond
	pending []byte
	begun   atomic.Int32
	wake    chan struct{} // capacity 1: the writer has something to do
	held    map[*hold]struct{}
	asked   map[int32]chan<- *remoting.Command // requests of ours that wait for an answer
	opaque  int32
	peer    peer
}

// peer is what a client says of itself with every request.
type peer struct {
	language remoting.Language
	version  int
}

func newConn(s *Server, socket *transport.Conn) *conn {
	c := &conn{server: s, socket: socket, wake: make(chan struct{}, 1), held: make(map[*hold]struct{}), asked: make(map[int32]chan<- *remoting.Command)}
	c.room.L = &c.mu
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// serve reads requests until the connection ends, and waits for all that was begun.
func (c *conn) serve(ctx context.Context) {
	err := c.socket.Handshake(ctx)
	if err == nil {
		c.remote, c.local = addrPort(c.socket.RemoteAddr()), addrPort(c.socket.LocalAddr())
		err = c.read()
	}
	c.close(err)
	c.letGo()
	c.work.Wait()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), err == nil:
	default:
		c.server.log.Info("a RocketMQ client is disconnected", "client", c.remote.String(), "err", err)
	}
}

// close ends the connection; everything that waits in it gives up.
func (c *conn) close(err error) {
	if err == nil {
		err = net.ErrClosed
	}
	c.cancel(err)
	c.socket.Close()
	c.mu.Lock()
	c.room.Broadcast()
	c.mu.Unlock()
}

// Bytes of a connection's read buffer: before its first whole frame, since many that come say nothing,
// and afterwards.
const (
	firstBuffer = 256
	readBuffer  = 16 << 10
)

func (c *conn) read() error {
	in := bufio.NewReaderSize(c.socket, firstBuffer)
	var frame remoting.Command
	for {
		if err := c.socket.SetReadDeadline(time.Now().Add(idleLimit)); err != nil {
			return err
		}
		if err := remoting.Read(in, remoting.MaxFrame, &frame); err != nil {
			return err
		}
		if !c.spoke.Swap(true) {
			ahead, _ := in.Peek(in.Buffered())
			in = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(ahead)), c.socket), readBuffer)
			c.work.Go(c.write)
		}
		if frame.Response() {
			c.answered(&frame)
			continue
		}
		c.peer = peer{frame.Language, frame.Version}
		c.handle(&frame)
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.waitForRoom(); err != nil {
			return err
		}
	}
}

// waitForRoom holds the reading up while the client does not read what it is answered.
func (c *conn) waitForRoom() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.pending) > answerRoom {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.room.Wait()
	}
	return nil
}

// put gives the writer a frame. It never blocks.
func (c *conn) put(frame *remoting.Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	b, err := frame.Append(c.pending)
	if err != nil {
		c.server.log.Warn("an answer to a RocketMQ client cannot be sent", "request", remoting.RequestName(frame.Code), "err", err)
		return
	}
	c.pending = b
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write writes what is pending, as much at once as there is.
func (c *conn) write() {
	var spare []byte
	for {
		select {
		case <-c.wake:
		case <-c.ctx.Done():
			return
		}
		c.mu.Lock()
		out := c.pending
		if len(out) == 0 { // woken once more than there was something: spare must not be given away
			c.mu.Unlock()
			continue
		}
		c.pending, spare = spare[:0], nil
		c.room.Broadcast()
		c.mu.Unlock()
		if err := c.socket.SetWriteDeadline(time.Now().Add(idleLimit)); err != nil {
			return
		}
		if _, err := c.socket.Write(out); err != nil {
			c.close(fmt.Errorf("write: %w", err))
			return
		}
		if spare = out; cap(spare) > answerRoom {
			spare = nil
		}
	}
}

// maxBegun is how many goroutines one client's requests may occupy at a time.
const maxBegun = 64

// begin gives a request a goroutine of the connection; false says that there are too many.
func (c *conn) begin(do func()) bool {
	if c.begun.Add(1) > maxBegun {
		c.begun.Add(-1)
		return false
	}
	c.work.Go(func() {
		defer c.begun.Add(-1)
		do()
	})
	return true
}

// tell sends the client a request that it does not answer.
func (c *conn) tell(code int, fields remoting.Fields, body []byte) {
	c.put(&remoting.Command{Code: code, Version: brokerVersion, Flag: remoting.FlagOneway, Opaque: c.nextOpaque(), Ext: fields, Body: body})
}

// ask sends the client a request and waits for its answer.
func (c *conn) ask(ctx context.Context, code int, fields remoting.Fields, body []byte) (*remoting.Command, error) {
	opaque := c.nextOpaque()
	heard := make(chan *remoting.Command, 1)
	c.mu.Lock()
	c.asked[opaque] = heard
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.asked, opaque)
		c.mu.Unlock()
	}()
	c.put(&remoting.Command{Code: code, Version: brokerVersion, Opaque: opaque, Ext: fields, Body: body})
	select {
	case answer := <-heard:
		return answer, nil
	case <-c.ctx.Done():
		return nil, context.Cause(c.ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *conn) nextOpaque() int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opaque++
	return c.opaque
}

// answered hands an answer to whoever asked; one that nobody waits for any more is dropped.
func (c *conn) answered(frame *remoting.Command) {
	c.mu.Lock()
	heard := c.asked[frame.Opaque]
	delete(c.asked, frame.Opaque)
	c.mu.Unlock()
	if heard != nil {
		kept := *frame
		kept.Ext = append(remoting.Fields(nil), frame.Ext...)
		heard <- &kept
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	at, _ := netip.ParseAddrPort(a.String())
	return at
}
