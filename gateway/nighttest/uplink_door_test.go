//go:build linux

package nighttest

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// door is the front of a cloud: it ends TLS and passes MQTT on to a broker behind it, in the manner
// that it is told. So the same broker, foreign or not, can be silent, late, rude or an impostor.
type door struct {
	site    site
	address string // of the broker behind
	ended   chan struct{}
	serving sync.WaitGroup

	mu      sync.Mutex // guards what follows
	manners manners
	conns   map[net.Conn]bool
	shut    bool
	logins  int // that were passed on
	guest   *guest
}

// answerSize is how long a PUBACK is, and a CONNACK, too.
const answerSize = 4

// manners say how a door treats who comes. The zero manners are good, but for the certificate.
type manners struct {
	certificate *tls.Certificate
	silent      bool          // take the connection and never say a word
	refuse      byte          // answer the login with this code
	late        time.Duration // hold every answer back so long
	cutAt       int           // end the connection in place of the answer to its n-th message, the last that the broker gets
}

// guest is the client that the broker behind knows of.
type guest struct {
	client, broker net.Conn
	gone           chan struct{} // closed when the broker has ended its side, too
}

func newDoor(t *testing.T, s site, address, broker string, m manners) *door {
	t.Helper()
	d := &door{site: s, address: broker, ended: make(chan struct{}), manners: m, conns: map[net.Conn]bool{}}
	listener := s.listen(t, address)
	d.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if d.admit(conn) {
				d.serving.Go(func() {
					defer d.forget(conn)
					d.serve(conn)
				})
			}
		}
	})
	t.Cleanup(func() {
		close(d.ended)
		listener.Close()
		d.mu.Lock()
		d.shut = true
		d.mu.Unlock()
		d.dropAll()
		d.serving.Wait()
	})
	return d
}

func (d *door) admit(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		conn.Close()
		return false
	}
	d.conns[conn] = true
	return true
}

func (d *door) forget(conn net.Conn) {
	conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, conn)
}

// behave changes the manners; whoever is there must come anew to see them.
func (d *door) behave(m manners) {
	d.mu.Lock()
	d.manners = m
	d.mu.Unlock()
	d.dropAll()
}

// delay holds answers back from now on, also on connections that are there.
func (d *door) delay(late time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.manners.late = late
}

func (d *door) present() manners {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.manners
}

func (d *door) dropAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for conn := range d.conns {
		conn.Close()
	}
}

// passed is how many logins the broker behind has been given.
func (d *door) passed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logins
}

func (d *door) serve(raw net.Conn) {
	m := d.present()
	if m.silent {
		io.Copy(io.Discard, raw)
		return
	}
	client := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{*m.certificate}})
	in := bufio.NewReaderSize(client, 1<<16)
	head, body, err := readPacket(in)
	if err != nil || head != 0x10 {
		return
	}
	if m.refuse != 0 {
		client.Write([]byte{0x20, 2, 0, m.refuse})
		client.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	broker, err := d.site.dial(ctx, "tcp", d.address)
	if err != nil {
		return
	}
	g := d.enter(client, broker)
	var down sync.WaitGroup
	down.Go(func() { d.answers(g, m.cutAt) })
	d.messages(g, in, mqttPacket(head, body), m.cutAt)
	// The broker keeps what it was given: its end of the connection comes behind all of it.
	broker.(*net.TCPConn).CloseWrite()
	broker.SetReadDeadline(time.Now().Add(10 * time.Second))
	down.Wait()
	broker.Close()
	close(g.gone)
}

// enter makes a client the guest. A broker ends the connection of a client whose id comes again
// [MQTT-3.1.4-2]; the recording sink does not, so the door does, for both: nothing of the old
// connection, which may have lain in a dead line, arrives behind the first of the new one.
func (d *door) enter(client, broker net.Conn) *guest {
	g := &guest{client, broker, make(chan struct{})}
	d.mu.Lock()
	before := d.guest
	d.guest = g
	d.logins++
	d.mu.Unlock()
	if before != nil {
		before.client.Close()
		<-before.gone
	}
	return g
}

// messages passes on what the client says until one of them ends. Behind the n-th message nothing more
// gets through.
func (d *door) messages(g *guest, in *bufio.Reader, out []byte, cutAt int) {
	for n := 0; ; {
		last := cutAt > 0 && n == cutAt
		if in.Buffered() == 0 || len(out) > 1<<14 || last {
			if _, err := g.broker.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		if last {
			io.Copy(io.Discard, in)
			return
		}
		head, body, err := readPacket(in)
		if err != nil {
			return
		}
		if head>>4 == 3 {
			n++
		}
		out = append(out, mqttPacket(head, body)...)
	}
}

// answers passes on what the broker says, as late as the manners are at the time. A broker that ends
// the connection ends it for the client as well.
func (d *door) answers(g *guest, cutAt int) {
	type piece struct {
		due   time.Time
		bytes []byte
	}
	pieces := make(chan piece, 1<<12)
	var passing sync.WaitGroup
	passing.Go(func() {
		defer g.client.Close()
		for p := range pieces {
			select {
			case <-time.After(time.Until(p.due)):
			case <-d.ended:
			}
			g.client.Write(p.bytes) // an error shows to the one who reads from it
		}
	})
	buffer := make([]byte, 1<<14)
	for room := answerSize * cutAt; ; {
		n, err := g.broker.Read(buffer)
		if cutAt > 0 {
			n = min(n, room)
			room -= n
		}
		if n > 0 {
			pieces <- piece{time.Now().Add(d.present().late), append([]byte(nil), buffer[:n]...)}
		}
		if err != nil || cutAt > 0 && room == 0 {
			break
		}
	}
	close(pieces)
	passing.Wait()
	io.Copy(io.Discard, g.broker) // what it says behind a cut, up to its end
}
