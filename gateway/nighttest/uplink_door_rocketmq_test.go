//go:build linux

package nighttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/gateway/remoting"
)

// rocketmqDoor leads to a name server and a broker that listen on loopback, at the same ports of the
// cloud's own address. A login is a connection to the broker: name servers ask nobody who they are.
type rocketmqDoor struct{ *door }

func newRocketMQDoor(t *testing.T, s site, nameServer, broker string, m manners) *door {
	t.Helper()
	d := rocketmqDoor{newDoor(t, s, m)}
	d.open(t, outside(nameServer), func(client net.Conn, m manners) {
		m.refuse, m.cutAt = refusal{}, 0
		d.usher(client, nameServer, m, func() {})
	})
	d.open(t, outside(broker), func(client net.Conn, m manners) { d.usher(client, broker, m, d.enter) })
	return d.door
}

// outside is where the door to an address is.
func outside(address string) string {
	_, port := split(address)
	return net.JoinHostPort(cloudIP, port)
}

// rocketmqRefusals are what a broker with an ACL says: 2.0 and its elder.
func rocketmqRefusals() []refusal {
	return []refusal{
		{"refused login", remoting.NoPermission, "check signature failed.", "NO_PERMISSION"},
		{"refused by the elder ACL", remoting.SystemError, "org.apache.rocketmq.acl.common.AclException: No accessKey is configured, " +
			"org.apache.rocketmq.acl.plain.PlainPermissionManager.validate(PlainPermissionManager.java:446)", "No accessKey is configured"},
	}
}

func (d rocketmqDoor) usher(client net.Conn, address string, m manners, enter func()) {
	in := bufio.NewReaderSize(client, 1<<16)
	frame, asks, err := readFrame(in)
	if err != nil {
		return
	}
	if m.refuse.code != 0 {
		refuseAll(client, in, asks.Opaque, m.refuse)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	behind, err := d.site.dial(ctx, "tcp", address)
	if err != nil {
		return
	}
	enter()
	c := &cutter{at: m.cutAt, open: map[int32]bool{}}
	var down sync.WaitGroup
	down.Go(func() { d.answers(client, behind, c) })
	requests(behind, in, frame, asks, c)
	// What was passed on is stored, with or without anybody to tell.
	behind.(*net.TCPConn).CloseWrite()
	behind.SetReadDeadline(time.Now().Add(10 * time.Second))
	down.Wait()
	behind.Close()
}

// refuseAll answers every request with the same until the client has enough.
func refuseAll(client net.Conn, in *bufio.Reader, opaque int32, with refusal) {
	for {
		answer := remoting.Command{Code: with.code, Remark: with.remark, Opaque: opaque, Flag: remoting.FlagResponse, Language: remoting.LanguageJava}
		b, err := answer.Append(nil)
		if err != nil {
			panic("bug: " + err.Error())
		}
		if _, err := client.Write(b); err != nil {
			return
		}
		_, asks, err := readFrame(in)
		if err != nil {
			return
		}
		opaque = asks.Opaque
	}
}

// requests passes on what the client asks until one of them ends. Behind the n-th message nothing more
// gets through.
func requests(behind net.Conn, in *bufio.Reader, frame []byte, asks remoting.Command, c *cutter) {
	for {
		last := c.asked(&asks)
		if _, err := behind.Write(frame); err != nil {
			return
		}
		if last {
			io.Copy(io.Discard, in)
			return
		}
		var err error
		if frame, asks, err = readFrame(in); err != nil {
			return
		}
	}
}

// answers passes on what comes back, as late as the manners are at the time. Who ends the connection
// behind the door ends it for the client as well.
func (d rocketmqDoor) answers(client, behind net.Conn, c *cutter) {
	pieces := make(chan piece, 1<<12)
	var passing sync.WaitGroup
	passing.Go(func() { d.slowly(client, pieces) })
	from := bufio.NewReaderSize(behind, 1<<16)
	for {
		frame, says, err := readFrame(from)
		if err != nil {
			break
		}
		withheld, over := c.answered(&says)
		if !withheld {
			pieces <- d.answer(frame)
		}
		if over {
			break
		}
	}
	close(pieces)
	passing.Wait()
	io.Copy(io.Discard, from)
}

// cutter ends a connection behind its n-th message, as soon as that one and all before it are answered.
type cutter struct {
	at int // n; 0: never

	mu   sync.Mutex // guards what follows
	n    int
	open map[int32]bool // messages without an answer
	last int32          // the n-th
}

// asked says whether a request is the last that gets through.
func (c *cutter) asked(request *remoting.Command) (last bool) {
	if c.at == 0 || request.Code != remoting.SendMessageV2 && request.Code != remoting.SendBatchMessage {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	c.open[request.Opaque] = true
	c.last = request.Opaque
	return c.n == c.at
}

// answered says whether an answer is the one that the client does not get, and whether it was the last.
func (c *cutter) answered(answer *remoting.Command) (withheld, over bool) {
	if c.at == 0 {
		return false, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, answer.Opaque)
	cut := c.n == c.at
	return cut && answer.Opaque == c.last, cut && len(c.open) == 0
}

// readFrame reads a frame as it is, and what it says.
func readFrame(in *bufio.Reader) (frame []byte, c remoting.Command, err error) {
	prefix, err := in.Peek(4)
	if err != nil {
		return nil, c, err
	}
	length := binary.BigEndian.Uint32(prefix)
	if length > remoting.MaxFrame {
		return nil, c, fmt.Errorf("a frame of %d bytes", length)
	}
	frame = make([]byte, 4+length)
	if _, err := io.ReadFull(in, frame); err != nil {
		return nil, c, err
	}
	err = remoting.Read(bufio.NewReader(bytes.NewReader(frame)), remoting.MaxFrame, &c)
	return frame, c, err
}

// TestCutterWaitsForAllAnswersButTheLast sends two messages with a heartbeat between them.
func TestCutterWaitsForAllAnswersButTheLast(t *testing.T) {
	request := func(code int, opaque int32) *remoting.Command { return &remoting.Command{Code: code, Opaque: opaque} }
	for _, order := range [][]int32{{1, 2, 3}, {3, 2, 1}, {2, 3, 1}} {
		c := &cutter{at: 2, open: map[int32]bool{}}
		if c.asked(request(remoting.SendMessageV2, 1)) || c.asked(request(remoting.HeartBeat, 2)) || !c.asked(request(remoting.SendBatchMessage, 3)) {
			t.Errorf("the second message is not the last request, or another one is")
		}
		open := map[int32]bool{1: true, 3: true}
		for _, opaque := range order {
			delete(open, opaque)
			withheld, over := c.answered(request(0, opaque))
			if withheld != (opaque == 3) || over != (len(open) == 0) {
				t.Errorf("answers in the order %v: %d is withheld %t, over %t", order, opaque, withheld, over)
			}
		}
	}
}
