package cloudsim

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// conn is one client.
type conn struct {
	server  *Server
	raw     net.Conn
	filters []string // guarded by server.mu

	mu     sync.Mutex // guards what follows, and writing to raw
	lastID uint16
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// reader reads no more bytes a second than the faults allow.
func (c *conn) reader(ctx context.Context) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		rate := c.server.currentFaults().BytesPerSecond
		if rate <= 0 {
			return c.raw.Read(b)
		}
		n, err := c.raw.Read(b[:min(len(b), max(1, rate/10))])
		if !wait(ctx, time.Duration(n)*time.Second/time.Duration(rate)) {
			return n, ctx.Err()
		}
		return n, err
	})
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *conn) write(b []byte) error {
	if c.server.currentFaults().Silent {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writeLocked(b)
}

func (c *conn) writeLocked(b []byte) error {
	c.raw.SetWriteDeadline(time.Now().Add(5 * time.Second)) // a client that does not read is dropped
	_, err := c.raw.Write(b)
	return err
}

func (c *conn) push(m publish, retained bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.qos > 0 {
		c.lastID = max(1, c.lastID+1)
		m.id = c.lastID
	}
	return c.writeLocked(m.append(nil, retained))
}

func (c *conn) serve(ctx context.Context) error {
	in := bufio.NewReaderSize(c.reader(ctx), 64<<10)
	if err := c.login(in); err != nil {
		return err
	}
	var batch batch
	for n := 0; ; {
		p, err := readPacket(in)
		if err != nil {
			return err
		}
		switch p.kind {
		case typePublish:
			n++
			err = c.take(p, n, &batch)
		case typePuback:
			c.server.count(func(st *Stats) { st.PushedAcked++ })
		case typeSubscribe:
			err = c.subscribe(p)
		case typePingreq:
			err = c.write([]byte{typePingresp << 4, 0})
		case typeDisconnect:
			return c.commit(ctx, &batch)
		default:
			err = fmt.Errorf("%w: type %d is not known here", errMalformed, p.kind)
		}
		if err == nil && !buffered(in) {
			err = c.commit(ctx, &batch)
		}
		if err != nil {
			return err
		}
	}
}

func (c *conn) login(in *bufio.Reader) error {
	p, err := readPacket(in)
	if err != nil {
		return err
	}
	if p.kind != typeConnect {
		return fmt.Errorf("%w: the first packet is of type %d", errMalformed, p.kind)
	}
	hello, err := parseConnect(p.body)
	if err != nil {
		return err
	}
	code := c.server.currentFaults().RefuseLogin
	if code == 0 && hello.level != 4 {
		code = 1
	}
	if code == 0 && c.server.options.Login != nil {
		code = c.server.options.Login(hello.clientID, hello.user, hello.password)
	}
	c.server.count(func(st *Stats) { st.Connects++ })
	if err := c.write([]byte{typeConnack << 4, 2, 0, code}); err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("login of %q refused with code %d", hello.clientID, code)
	}
	return nil
}

func (c *conn) subscribe(p packet) error {
	id, filters, err := parseSubscribe(p.body)
	if err != nil {
		return err
	}
	code := byte(1)
	if c.server.currentFaults().RefuseSubscribe {
		code = 0x80
	} else {
		c.server.mu.Lock()
		c.filters = append(c.filters, filters...)
		c.server.mu.Unlock()
	}
	body := binary.BigEndian.AppendUint16(nil, id)
	for range filters {
		body = append(body, code)
	}
	return c.write(appendPacket(nil, typeSuback, 0, body))
}

// batch is what was read since the last sync.
type batch struct {
	topics   []string
	payloads [][]byte
	acks     []byte // PUBACKs, ready to be sent
	cut      bool   // the connection ends instead of the acknowledgement
}

var errCut = errors.New("cut, as was asked for")

func (c *conn) take(p packet, n int, b *batch) error {
	m, err := parsePublish(p)
	if err != nil {
		return err
	}
	faults := c.server.currentFaults()
	if faults.DropAt > 0 && n == faults.DropAt {
		return errCut
	}
	b.topics = append(b.topics, m.topic)
	b.payloads = append(b.payloads, m.payload)
	if m.qos == 1 {
		b.acks = append(b.acks, typePuback<<4, 2, byte(m.id>>8), byte(m.id))
	}
	b.cut = b.cut || faults.DropBeforeAck > 0 && n == faults.DropBeforeAck
	return nil
}

// commit makes a batch durable and acknowledges it.
func (c *conn) commit(ctx context.Context, b *batch) error {
	if len(b.payloads) == 0 {
		return nil
	}
	s := c.server
	if s.recorder != nil {
		if err := s.recorder.write(b.topics, b.payloads); err != nil {
			return &recordError{err}
		}
	}
	for i, payload := range b.payloads {
		if s.options.Checker != nil {
			s.options.Checker.Add(payload)
		}
		if s.options.Taken != nil {
			s.options.Taken(b.topics[i], payload)
		}
	}
	faults := s.currentFaults()
	s.count(func(st *Stats) {
		st.Received += uint64(len(b.payloads))
		if s.recorder != nil {
			st.Syncs++
		}
	})
	if b.cut {
		return errCut
	}
	if faults.AckDelay > 0 && !wait(ctx, faults.AckDelay) {
		return ctx.Err()
	}
	if !faults.NoAck && !faults.Silent {
		if err := c.write(b.acks); err != nil {
			return err
		}
		s.count(func(st *Stats) { st.Acked += uint64(len(b.acks) / 4) })
	}
	*b = batch{topics: b.topics[:0], payloads: b.payloads[:0], acks: b.acks[:0]}
	return nil
}
