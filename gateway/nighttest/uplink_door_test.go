//go:build linux

package nighttest

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// door is the front of a cloud: it ends TLS and passes on what is said to who is behind, in the manner
// that it is told. So the same broker, foreign or not, can be silent, late, rude or an impostor.
type door struct {
	site    site
	ended   chan struct{}
	serving sync.WaitGroup

	mu      sync.Mutex // guards what follows
	manners manners
	conns   map[net.Conn]bool
	shut    bool
	logins  int // that were passed on
}

// manners say how a door treats who comes. The zero manners are good, but for the certificate.
type manners struct {
	certificate *tls.Certificate
	silent      bool          // take the connection and never say a word
	refuse      refusal       // answer the login with this
	late        time.Duration // hold every answer back so long
	cutAt       int           // end the connection in place of the answer to its n-th message, the last that the broker gets
}

// refusal is how a cloud turns a login down.
type refusal struct {
	name   string
	code   int
	remark string
	says   string // what the gateway says then
}

func newDoor(t *testing.T, s site, m manners) *door {
	t.Helper()
	d := &door{site: s, ended: make(chan struct{}), manners: m, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { // listeners are closed by now
		close(d.ended)
		d.mu.Lock()
		d.shut = true
		d.mu.Unlock()
		d.dropAll()
		d.serving.Wait()
	})
	return d
}

// open lets clients in at an address, where usher leads them to who is behind. It returns when the
// client's connection is of no use any more.
func (d *door) open(t *testing.T, address string, usher func(client net.Conn, m manners)) {
	t.Helper()
	listener := d.site.listen(t, address)
	d.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if d.admit(conn) {
				d.serving.Go(func() {
					defer d.forget(conn)
					d.serve(conn, usher)
				})
			}
		}
	})
}

func (d *door) serve(raw net.Conn, usher func(client net.Conn, m manners)) {
	m := d.present()
	if m.silent {
		io.Copy(io.Discard, raw)
		return
	}
	usher(tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{*m.certificate}}), m)
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

// enter counts a login.
func (d *door) enter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logins++
}

// piece is something that a client is to be told.
type piece struct {
	due   time.Time
	bytes []byte
}

// answer makes a piece that is as late as the manners are at the time.
func (d *door) answer(b []byte) piece { return piece{time.Now().Add(d.present().late), b} }

// slowly tells a client one piece after the other, each when it is due, and ends the connection behind
// the last.
func (d *door) slowly(client net.Conn, pieces <-chan piece) {
	defer client.Close()
	for p := range pieces {
		select {
		case <-time.After(time.Until(p.due)):
		case <-d.ended:
		}
		client.Write(p.bytes) // an error shows to the one who reads from it
	}
}
