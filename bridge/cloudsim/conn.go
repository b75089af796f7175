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
	level   byte     // of MQTT, 4 or 5; set before there are filters
	aliases map[uint16]string

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
	switch {
	case c.level != 5:
		m.about = nil
	case m.about == nil:
		m.about = new(About)
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
			c.server.count(func(st *Stats) {
				if len(p.body) > 2 && p.body[2] >= 0x80 {
					st.PushedNot++
				} else {
					st.PushedAcked++
				}
			})
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
			c.farewell(err)
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
	if code == 0 && hello.level != 4 && hello.level != 5 {
		code = 1
	}
	c.level = hello.level
	if code == 0 && c.server.options.Login != nil {
		code = c.server.options.Login(hello.clientID, hello.user, hello.password)
	}
	c.server.count(func(st *Stats) { st.Connects++ })
	answer := []byte{0, code}
	if c.level == 5 {
		answer = append(answer, c.server.options.welcome()...)
	}
	if err := c.write(appendPacket(nil, typeConnack, 0, answer)); err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("login of %q refused with code %d", hello.clientID, code)
	}
	return nil
}

func (c *conn) subscribe(p packet) error {
	id, filters, err := parseSubscribe(p.body, c.level)
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
	if c.level == 5 {
		body = append(body, 0) // no properties
	}
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
	acked    uint64 // how many
	refused  uint64 // messages
	cut      bool   // the connection ends instead of the acknowledgement
}

var errCut = errors.New("cut, as was asked for")

// endError ends a connection of MQTT 5 with a reason.
type endError struct {
	code byte
	text string
}

func (e *endError) Error() string { return e.text }

// farewell tells a client of MQTT 5 why it is cut off.
func (c *conn) farewell(err error) {
	code := c.server.currentFaults().EndWith
	if end, ok := errors.AsType[*endError](err); ok {
		code = end.code
	} else if !errors.Is(err, errCut) {
		return
	}
	if c.level == 5 && code != 0 {
		// Whether it still hears does not matter.
		_ = c.write(appendPacket(nil, typeDisconnect, 0, []byte{code}, reason(err.Error())))
	}
}

func (c *conn) take(p packet, n int, b *batch) error {
	m, err := parsePublish(p, c.level)
	if err != nil {
		return err
	}
	options := &c.server.options
	faults := c.server.currentFaults()
	if faults.DropAt > 0 && n == faults.DropAt {
		return errCut
	}
	code := byte(0)
	if c.level == 5 {
		if err := c.insist(p, &m, b); err != nil {
			return err
		}
		if options.Judge != nil && m.qos > 0 { // without an answer there is no way to refuse
			code = options.Judge(m.topic, m.payload, m.about)
		}
	}
	if code < 0x80 {
		b.topics = append(b.topics, m.topic)
		b.payloads = append(b.payloads, m.payload)
	} else {
		b.refused++
	}
	if m.qos == 1 {
		b.ack(m.id, code)
	}
	b.cut = b.cut || faults.DropBeforeAck > 0 && n == faults.DropBeforeAck
	return nil
}

// ack adds a PUBACK, in its short form where there is nothing to say.
func (b *batch) ack(id uint16, code byte) {
	b.acked++
	body := []byte{byte(id >> 8), byte(id)}
	if code > 0 {
		body = append(append(body, code), reason("as was asked for")...)
	}
	b.acks = appendPacket(b.acks, typePuback, 0, body)
}

// insist holds a message against what was said at the login, and fills in its topic.
func (c *conn) insist(p packet, m *publish, b *batch) error {
	o := &c.server.options
	if o.MaximumPacket > 0 && len(appendPacket(nil, p.kind, p.flags, p.body)) > int(o.MaximumPacket) {
		return &endError{0x95, "a packet that is too large"}
	}
	if o.ReceiveMaximum > 0 && b.acked >= uint64(o.ReceiveMaximum) {
		return &endError{0x93, "more messages than may be unacknowledged"}
	}
	if m.about.Alias == 0 {
		return nil
	}
	if m.about.Alias > o.TopicAliases {
		return &endError{0x94, "a topic alias that was not allowed"}
	}
	if m.topic != "" {
		if c.aliases == nil {
			c.aliases = make(map[uint16]string)
		}
		c.aliases[m.about.Alias] = m.topic
		return nil
	}
	topic, known := c.aliases[m.about.Alias]
	if !known {
		return &endError{0x94, "a topic alias that nobody has explained"}
	}
	m.topic = topic
	return nil
}

// commit makes a batch durable and acknowledges it.
func (c *conn) commit(ctx context.Context, b *batch) error {
	if len(b.payloads) == 0 && b.acked == 0 {
		return nil
	}
	s := c.server
	if s.recorder != nil && len(b.payloads) > 0 {
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
		st.Refused += b.refused
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
		s.count(func(st *Stats) { st.Acked += b.acked - b.refused })
	}
	*b = batch{topics: b.topics[:0], payloads: b.payloads[:0], acks: b.acks[:0]}
	return nil
}
