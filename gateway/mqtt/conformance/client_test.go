package conformance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const patience = 20 * time.Second

// peer is a client on one connection. It acknowledges nothing by itself: what comes is read when a
// test asks for it.
type peer struct {
	t       *testing.T
	version int
	id      string
	socket  net.Conn
	in      *bufio.Reader
	queued  []*packet // read while looking for something else
	lastID  int
	connack *packet
}

var unique atomic.Int64

// topicOf is a topic of this test alone.
func topicOf(t *testing.T, levels ...string) string {
	name := strings.NewReplacer("/", "-", "#", "-", "+", "-").Replace(t.Name())
	return strings.Join(append([]string{"c", name}, levels...), "/")
}

// clientID is an identifier of this test alone.
func clientID() string { return fmt.Sprintf("client%d", unique.Add(1)) }

// dial opens a connection that has sent nothing.
func dial(t *testing.T) *peer { return dialTo(t, address, v5) }

func dialTo(t *testing.T, to string, version int) *peer {
	t.Helper()
	socket, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &peer{t: t, version: version, socket: socket, in: bufio.NewReader(socket)}
}

// dialQuietly sends a CONNECT without a test to fail.
func dialQuietly(h hello) (*peer, error) {
	socket, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &peer{version: v5, id: h.id, socket: socket, in: bufio.NewReader(socket)}
	_, err = socket.Write(h.bytes())
	return p, err
}

// hello is a CONNECT; zero is a clean start of MQTT 5 with no keep alive.
type hello struct {
	version  int // 0: MQTT 5
	protocol string
	resume   bool // without Clean Start
	flags    int  // more flags than the fields ask for
	alive    int
	id       string
	props    [][]byte
	will     *testament
	user     *string
	password *string
	address  string // "": of the shared gateway
}

type testament struct {
	topic, payload string
	qos            int
	retain         bool
	props          [][]byte
}

func (h hello) bytes() []byte {
	version := h.version
	if version == 0 {
		version = v5
	}
	name := h.protocol
	if name == "" {
		name = map[bool]string{true: "MQIsdp", false: "MQTT"}[version == v31]
	}
	flags := h.flags
	if !h.resume {
		flags |= 2
	}
	payload := str(h.id)
	if w := h.will; w != nil {
		flags |= 4 | w.qos<<3
		if w.retain {
			flags |= 32
		}
		if version == v5 {
			payload = cat(payload, props(w.props...))
		}
		payload = cat(payload, str(w.topic), str(w.payload))
	}
	if h.user != nil {
		flags |= 128
		payload = cat(payload, str(*h.user))
	}
	if h.password != nil {
		flags |= 64
		payload = cat(payload, str(*h.password))
	}
	header := cat(str(name), u8(version), u8(flags), u16(h.alive))
	if version == v5 {
		header = cat(header, props(h.props...))
	}
	return raw(0x10, header, payload)
}

// connect gives a client whose CONNECT was accepted. Without an identifier it gets one of its own.
func connect(t *testing.T, h hello) *peer {
	t.Helper()
	p := try(t, h)
	if p.connack == nil || p.connack.code != 0 {
		t.Fatalf("CONNECT was answered with %v", p.connack)
	}
	return p
}

// try sends a CONNECT and takes whatever comes; connack is nil when the connection just ends.
func try(t *testing.T, h hello) *peer {
	t.Helper()
	if h.id == "" {
		h.id = clientID()
	}
	to, version := h.address, h.version
	if to == "" {
		to = address
	}
	if version == 0 {
		version = v5
	}
	p := dialTo(t, to, version)
	p.id = h.id
	p.send(h.bytes())
	p.connack = p.next()
	if p.connack != nil && p.connack.kind != CONNACK {
		t.Fatalf("CONNECT was answered with %v", p.connack)
	}
	return p
}

func (p *peer) send(packets ...[]byte) {
	p.t.Helper()
	p.socket.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.socket.Write(cat(packets...)); err != nil {
		p.t.Fatalf("%s: write: %v", p.id, err)
	}
}

// read takes the next packet off the wire; nil at the end of the connection.
func (p *peer) read() *packet {
	p.t.Helper()
	got, err := p.readWithin(patience)
	if err != nil {
		p.t.Fatalf("%s: read: %v", p.id, err)
	}
	return got
}

func (p *peer) readWithin(wait time.Duration) (*packet, error) {
	p.socket.SetReadDeadline(time.Now().Add(wait))
	got, err := readPacket(p.in, p.version)
	if errors.Is(err, io.EOF) || err != nil && strings.Contains(err.Error(), "reset by peer") {
		return nil, nil
	}
	return got, err
}

// next gives the next packet, nil at the end.
func (p *peer) next() *packet {
	p.t.Helper()
	if len(p.queued) > 0 {
		got := p.queued[0]
		p.queued = p.queued[1:]
		return got
	}
	return p.read()
}

// some gives the next packet, of which there must be one.
func (p *peer) some() *packet {
	p.t.Helper()
	got := p.next()
	if got == nil {
		p.t.Fatalf("%s: the connection ended", p.id)
	}
	return got
}

// await gives the next packet of a kind; messages that come before it wait for receive, and so do
// acknowledgements.
func (p *peer) await(kind int) *packet {
	p.t.Helper()
	got := p.awaitWhere(kindNames[kind], func(q *packet) bool { return q.kind == kind })
	return got
}

func (p *peer) awaitWhere(what string, wanted func(*packet) bool) *packet {
	p.t.Helper()
	for i, q := range p.queued {
		if wanted(q) {
			p.queued = slices.Delete(p.queued, i, i+1)
			return q
		}
	}
	for {
		got := p.read()
		if got == nil {
			p.t.Fatalf("%s: the connection ended before %s (waiting: %v)", p.id, what, p.queued)
		}
		if wanted(got) {
			return got
		}
		p.queued = append(p.queued, got)
	}
}

// ends expects the end of the connection with nothing before it.
func (p *peer) ends() {
	p.t.Helper()
	if got := p.next(); got != nil {
		p.t.Fatalf("%s: got %v, want the end of the connection", p.id, got)
	}
}

// dropped expects a DISCONNECT with one of the codes and the end behind it; before MQTT 5 the end alone.
func (p *peer) dropped(codes ...byte) *packet {
	p.t.Helper()
	if p.version != v5 {
		p.ends()
		return nil
	}
	got := p.next()
	for got != nil && got.kind != DISCONNECT { // what was under way already
		got = p.next()
	}
	if got == nil || !slices.Contains(codes, got.code) {
		p.t.Fatalf("%s: got %v, want DISCONNECT with %x", p.id, got, codes)
	}
	p.ends()
	return got
}

// refused expects, before the connection ends, no CONNACK at all or one with one of the codes.
func (p *peer) refused(codes ...byte) {
	p.t.Helper()
	got := p.connack
	if got == nil {
		got = p.next()
	}
	if got == nil {
		return
	}
	if got.kind != CONNACK || !slices.Contains(codes, got.code) || got.ackFlags != 0 {
		p.t.Fatalf("%s: got %v, want CONNACK with %x or the end", p.id, got, codes)
	}
	p.ends()
}

func (p *peer) nextID() int {
	p.lastID = p.lastID%65535 + 1
	return p.lastID
}

// post is a PUBLISH.
type post struct {
	topic, payload string
	qos            int
	retain, dup    bool
	id             int // 0: the next
	props          [][]byte
}

func (m post) bytes(version int) []byte {
	first := 0x30 | m.qos<<1
	if m.retain {
		first |= 1
	}
	if m.dup {
		first |= 8
	}
	body := str(m.topic)
	if m.qos > 0 {
		body = cat(body, u16(m.id))
	}
	if version == v5 {
		body = cat(body, props(m.props...))
	}
	return raw(first, body, []byte(m.payload))
}

// begin sends a PUBLISH and gives its identifier.
func (p *peer) begin(m post) int {
	p.t.Helper()
	if m.qos > 0 && m.id == 0 {
		m.id = p.nextID()
	}
	p.send(m.bytes(p.version))
	return m.id
}

// publish sends a message and goes through all its acknowledgements.
func (p *peer) publish(m post) {
	p.t.Helper()
	p.finish(m.qos, p.begin(m))
}

func (p *peer) finish(qos, id int) {
	p.t.Helper()
	switch qos {
	case 0:
		p.ping() // it was taken when this is answered
	case 1:
		p.acked(PUBACK, id)
	case 2:
		p.acked(PUBREC, id)
		p.send(ack(PUBREL, id))
		p.acked(PUBCOMP, id)
	}
}

// acked expects an acknowledgement without an error.
func (p *peer) acked(kind, id int) *packet {
	p.t.Helper()
	got := p.awaitWhere(fmt.Sprintf("%s %d", kindNames[kind], id), func(q *packet) bool { return q.kind == kind && q.id == id })
	if got.code != 0 && got.code != 0x10 {
		p.t.Fatalf("%s: got %v, want success", p.id, got)
	}
	return got
}

// ack is PUBACK, PUBREC, PUBREL or PUBCOMP in its short form.
func ack(kind, id int) []byte {
	first := kind << 4
	if kind == PUBREL {
		first |= 2
	}
	return raw(first, u16(id))
}

func (p *peer) ping() {
	p.t.Helper()
	p.send(raw(0xC0))
	p.await(PINGRESP)
}

// want is a filter with its subscription options.
type want struct {
	filter  string
	options int
}

const (
	noLocal       = 4
	asPublished   = 8
	onlyNew       = 1 << 4 // retain handling 1
	withoutRetain = 2 << 4 // retain handling 2
)

func (p *peer) subscribePacket(id int, list [][]byte, wants ...want) []byte {
	body := u16(id)
	if p.version == v5 {
		body = cat(body, props(list...))
	}
	for _, w := range wants {
		body = cat(body, str(w.filter), u8(w.options))
	}
	return raw(0x82, body)
}

// subscribe expects every filter to be granted as asked.
func (p *peer) subscribe(wants ...want) { p.t.Helper(); p.subscribeWith(nil, wants...) }

func (p *peer) subscribeWith(list [][]byte, wants ...want) {
	p.t.Helper()
	codes := p.ask(list, wants...).codes
	for i, w := range wants {
		if i >= len(codes) || int(codes[i]) != w.options&3 {
			p.t.Fatalf("%s: SUBACK %x for %+v", p.id, codes, wants)
		}
	}
}

// ask sends a SUBSCRIBE and gives its SUBACK.
func (p *peer) ask(list [][]byte, wants ...want) *packet {
	p.t.Helper()
	id := p.nextID()
	p.send(p.subscribePacket(id, list, wants...))
	got := p.await(SUBACK)
	if got.id != id || len(got.codes) != len(wants) {
		p.t.Fatalf("%s: got %v, want SUBACK for %d with %d codes", p.id, got, id, len(wants))
	}
	return got
}

func (p *peer) unsubscribePacket(id int, filters ...string) []byte {
	body := u16(id)
	if p.version == v5 {
		body = cat(body, props())
	}
	for _, f := range filters {
		body = cat(body, str(f))
	}
	return raw(0xA2, body)
}

// unsubscribe gives the UNSUBACK.
func (p *peer) unsubscribe(filters ...string) *packet {
	p.t.Helper()
	id := p.nextID()
	p.send(p.unsubscribePacket(id, filters...))
	got := p.await(UNSUBACK)
	if got.id != id {
		p.t.Fatalf("%s: got %v, want UNSUBACK for %d", p.id, got, id)
	}
	return got
}

// message gives the next PUBLISH, unacknowledged.
func (p *peer) message() *packet {
	p.t.Helper()
	return p.await(PUBLISH)
}

// receive gives the next PUBLISH and acknowledges it to the end.
func (p *peer) receive() *packet {
	p.t.Helper()
	got := p.message()
	p.acknowledge(got)
	return got
}

func (p *peer) acknowledge(got *packet) {
	p.t.Helper()
	switch got.qos() {
	case 1:
		p.send(ack(PUBACK, got.id))
	case 2:
		p.send(ack(PUBREC, got.id))
		p.acked(PUBREL, got.id)
		p.send(ack(PUBCOMP, got.id))
	}
}

// expect receives messages and compares their payloads.
func (p *peer) expect(payloads ...string) (all []*packet) {
	p.t.Helper()
	for i, payload := range payloads {
		got := p.receive()
		if got.payload != payload {
			p.t.Fatalf("%s: message %d is %q on %s, want %q", p.id, i, got.payload, got.topic, payload)
		}
		all = append(all, got)
	}
	return all
}

// quiet proves that no message waits: the log has an order, so one published now would come behind it.
func (p *peer) quiet() { p.t.Helper(); p.quietAt(1) }

func (p *peer) quietAt(qos int) {
	p.t.Helper()
	mark := fmt.Sprintf("quiet/%d", unique.Add(1))
	p.subscribe(want{mark, qos})
	other := connect(p.t, hello{})
	other.publish(post{topic: mark, payload: "marker", qos: qos})
	if got := p.receive(); got.topic != mark {
		p.t.Fatalf("%s: got %q (QoS %d) on %s, want nothing", p.id, got.payload, got.qos(), got.topic)
	}
	other.leave()
	p.unsubscribe(mark)
}

// leave says goodbye and waits for the end.
func (p *peer) leave(body ...[]byte) {
	p.t.Helper()
	p.send(raw(0xE0, body...))
	p.gone()
}

// gone waits for the server to have hung up; what comes before that is dropped.
func (p *peer) gone() {
	p.t.Helper()
	for p.next() != nil {
	}
	p.socket.Close()
}

// vanish ends the connection without a word and gives the server the time to see it.
func (p *peer) vanish() {
	p.t.Helper()
	p.socket.(*net.TCPConn).CloseWrite()
	p.gone()
}

// silentFor expects that nothing comes for a while: only where no marker can.
func (p *peer) silentFor(wait time.Duration) {
	p.t.Helper()
	if len(p.queued) > 0 {
		p.t.Fatalf("%s: got %v, want nothing", p.id, p.queued[0])
	}
	got, err := p.readWithin(wait)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("%s: got %v, %v, want nothing", p.id, got, err)
	}
}

// readable says whether anything comes within a while.
func (p *peer) readable(wait time.Duration) bool {
	if len(p.queued) > 0 || p.in.Buffered() > 0 {
		return true
	}
	p.socket.SetReadDeadline(time.Now().Add(wait))
	_, err := p.in.Peek(1)
	return err == nil
}

// publisher is a client of its own for what others shall receive.
func publisher(t *testing.T) *peer { t.Helper(); return connect(t, hello{}) }

func sameBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s is %x, want %x", what, got, want)
	}
}
