//go:build linux

package nighttest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// publisher is an MQTT 3.1.1 client of the plainest kind: it publishes numbered messages with
// QoS 1 until its connection ends, and remembers which were acknowledged. Nothing is repeated or
// reconnected behind the test's back.
type publisher struct {
	topic string
	label string
	every func(n int) string // the topic of message n, where it is not always the same
	pause time.Duration      // after every tenth message
	acked int                // messages 1 to acked were acknowledged
	err   error              // what is wrong beyond the connection's end
}

const publisherWindow = 200

// run publishes over conn and returns once it has ended.
func (p *publisher) run(conn net.Conn) {
	defer conn.Close()
	body := append(mqttString("MQTT"), 4, 2, 0, 60)
	if _, err := conn.Write(mqttPacket(0x10, append(body, mqttString(p.label)...))); err != nil {
		return
	}
	in := bufio.NewReader(conn)
	if head, body, err := readPacket(in); err != nil || head != 0x20 || len(body) != 2 || body[1] != 0 {
		p.err = fmt.Errorf("CONNECT answered with %x %x: %w", head, body, err)
		return
	}
	window := make(chan struct{}, publisherWindow)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.acknowledge(in, window)
	}()
	for n := 1; ; n++ {
		select {
		case window <- struct{}{}:
		case <-ended:
			return
		}
		if n%10 == 0 && p.pause > 0 {
			time.Sleep(p.pause)
		}
		body := binary.BigEndian.AppendUint16(mqttString(p.topicOf(n)), packetID(n))
		if _, err := conn.Write(mqttPacket(0x32, append(body, p.payload(n)...))); err != nil {
			<-ended // acknowledgements that were under way still count
			return
		}
	}
}

// acknowledge counts PUBACKs, which come in the order of the PUBLISHes [MQTT-4.6.0-2].
func (p *publisher) acknowledge(in *bufio.Reader, window chan struct{}) {
	for {
		head, body, err := readPacket(in)
		if err != nil {
			return
		}
		if head != 0x40 || len(body) != 2 || binary.BigEndian.Uint16(body) != packetID(p.acked+1) {
			p.err = fmt.Errorf("got %x %x, want the PUBACK of %d", head, body, packetID(p.acked+1))
			return
		}
		p.acked++
		<-window
	}
}

func (p *publisher) topicOf(n int) string {
	if p.every != nil {
		return p.every(n)
	}
	return p.topic
}

func (p *publisher) payload(n int) string { return fmt.Sprintf("%s message %d", p.label, n) }

func packetID(n int) uint16 { return uint16(n%65535) + 1 }

func mqttString(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func mqttPacket(head byte, body []byte) []byte {
	// The variable byte integer of MQTT is a varint of seven bits a byte, low bits first.
	return append(binary.AppendUvarint([]byte{head}, uint64(len(body))), body...)
}

func readPacket(in *bufio.Reader) (head byte, body []byte, err error) {
	if head, err = in.ReadByte(); err != nil {
		return 0, nil, err
	}
	length, err := binary.ReadUvarint(in)
	if err != nil {
		return head, nil, err
	}
	body = make([]byte, min(length, 1<<20))
	_, err = io.ReadFull(in, body)
	return head, body, err
}

func TestPublisherCountsWhatMosquittoAcknowledges(t *testing.T) {
	cloud := newMosquitto(t, site{}, freeAddress(t))
	conn, err := site{}.dial(t.Context(), "tcp", cloud.address)
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{topic: "plants/load", label: "one"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(conn)
	}()
	until(t, time.Minute, "500 messages", func() bool { return cloud.count() > 500 })
	conn.Close()
	<-done
	if p.err != nil || p.acked < 500-publisherWindow {
		t.Errorf("acknowledged %d, %v", p.acked, p.err)
	}
	until(t, time.Minute, "the rest", func() bool {
		missing, _ := arrived(cloud.deliveries(t), "plants/load", []*publisher{p})
		return missing == 0
	})
	if _, unordered := arrived(cloud.deliveries(t), "plants/load", []*publisher{p}); unordered != 0 {
		t.Errorf("%d of %d acknowledged messages are out of order", unordered, p.acked)
	}
}

// arrived compares a record with what publishers had acknowledged: how many of those are missing,
// and how many came for the first time behind one that was published after them.
func arrived(record []delivery, topic string, publishers []*publisher) (missing, unordered int) {
	first := map[string]int{}
	for i, d := range record {
		if _, again := first[string(d.payload)]; d.topic == topic && !again {
			first[string(d.payload)] = i
		}
	}
	for _, p := range publishers {
		last := -1
		for n := 1; n <= p.acked; n++ {
			switch at, there := first[p.payload(n)]; {
			case !there:
				missing++
			case at < last:
				unordered++
			default:
				last = at
			}
		}
	}
	return missing, unordered
}

func TestArrivedMissesAndOrders(t *testing.T) {
	p := &publisher{label: "p", acked: 3}
	record := func(ns ...int) (made []delivery) {
		for _, n := range ns {
			made = append(made, delivery{"load", []byte(p.payload(n))})
		}
		return made
	}
	for _, c := range []struct {
		record             []delivery
		missing, unordered int
	}{
		{record(1, 2, 3), 0, 0},
		{record(1, 2, 1, 2, 3, 4), 0, 0},
		{record(1, 3), 1, 0},
		{record(1, 3, 2), 0, 1},
		{nil, 3, 0},
	} {
		if missing, unordered := arrived(c.record, "load", []*publisher{p}); missing != c.missing || unordered != c.unordered {
			t.Errorf("%q: %d missing, %d out of order, want %d and %d", c.record, missing, unordered, c.missing, c.unordered)
		}
	}
}
