//go:build linux

package nighttest

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	mqttDoorAddress = cloudIP + ":8883"
	// brokerAddress is where a cloud that speaks MQTT listens behind its door.
	brokerAddress = cloudIP + ":1884"
	// answerSize is how long a PUBACK is, and a CONNACK, too.
	answerSize = 4
)

// mqttDoor leads to an MQTT broker.
type mqttDoor struct {
	*door
	guest *guest // guarded by the door's mu
}

// guest is the client that the broker behind knows of.
type guest struct {
	client, broker net.Conn
	gone           chan struct{} // closed when the broker has ended its side, too
}

func newMQTTDoor(t *testing.T, s site, m manners) *door {
	t.Helper()
	d := &mqttDoor{door: newDoor(t, s, m)}
	d.open(t, mqttDoorAddress, d.usher)
	return d.door
}

// mqttUplink is what a configuration says of the way to that door.
func mqttUplink() []string {
	return []string{"driver: mqtt", "address: ssl://" + mqttDoorAddress, "client_id: line-3", "keep_alive: 10s"}
}

func mqttRefusals() []refusal {
	return []refusal{{name: "refused login", code: 5, says: "not authorised"}}
}

func (d *mqttDoor) usher(client net.Conn, m manners) {
	in := bufio.NewReaderSize(client, 1<<16)
	head, body, err := readPacket(in)
	if err != nil || head != 0x10 {
		return
	}
	if m.refuse.code != 0 {
		client.Write([]byte{0x20, 2, 0, byte(m.refuse.code)})
		client.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	broker, err := d.site.dial(ctx, "tcp", brokerAddress)
	if err != nil {
		return
	}
	g := d.takeOver(client, broker)
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

// takeOver makes a client the guest. A broker ends the connection of a client whose id comes again
// [MQTT-3.1.4-2]; the recording sink does not, so the door does, for both: nothing of the old
// connection, which may have lain in a dead line, arrives behind the first of the new one.
func (d *mqttDoor) takeOver(client, broker net.Conn) *guest {
	g := &guest{client, broker, make(chan struct{})}
	d.enter()
	d.mu.Lock()
	before := d.guest
	d.guest = g
	d.mu.Unlock()
	if before != nil {
		before.client.Close()
		<-before.gone
	}
	return g
}

// messages passes on what the client says until one of them ends. Behind the n-th message nothing more
// gets through.
func (d *mqttDoor) messages(g *guest, in *bufio.Reader, out []byte, cutAt int) {
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
func (d *mqttDoor) answers(g *guest, cutAt int) {
	pieces := make(chan piece, 1<<12)
	var passing sync.WaitGroup
	passing.Go(func() { d.slowly(g.client, pieces) })
	buffer := make([]byte, 1<<14)
	for room := answerSize * cutAt; ; {
		n, err := g.broker.Read(buffer)
		if cutAt > 0 {
			n = min(n, room)
			room -= n
		}
		if n > 0 {
			pieces <- d.answer(append([]byte(nil), buffer[:n]...))
		}
		if err != nil || cutAt > 0 && room == 0 {
			break
		}
	}
	close(pieces)
	passing.Wait()
	io.Copy(io.Discard, g.broker) // what it says behind a cut, up to its end
}
