package mqtt

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// FuzzConnection drives two clients with what the input says: each byte picks a packet or an event,
// some take more bytes. Nothing may panic; every goroutine must have gone when the server stops
// (the bubble sees to that); what the server writes must be well-formed, with a PUBACK only for what
// was published, in order.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
	f.Add([]byte{0, 6, 2, 2, 2, 15, 2, 16, 13, 2, 14, 2, 2, 11})
	f.Add([]byte{0, 128, 6, 134, 2, 130, 3, 131, 8, 136, 17, 1, 12, 140})
	f.Add([]byte{20, 3, 0x10, 0x0d, 0x00, 0, 20, 2, 0x30, 0xff})
	f.Add(append([]byte{0, 6, 19}, bytes.Repeat([]byte{3}, 300)...))
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 2000 {
			return
		}
		synctest.Test(t, func(t *testing.T) { playScript(t, script) })
	})
}

type player struct {
	r    *rig
	to   [2]net.Conn
	read [2]chan struct{}
	sent [2]chan uint16 // the identifiers of QoS 1 publishes, in order
	next uint16
}

func playScript(t *testing.T, script []byte) {
	r := newRig(t, Options{Window: 2, MaxLevels: 3, MaxSubscriptions: 3, MaxPacket: 3000})
	r.Server.log = slog.New(slog.DiscardHandler)
	p := &player{r: r}
	for len(script) > 0 {
		op := script[0]
		script = script[1:]
		script = p.step(t, int(op>>7), op&0x7f, script)
	}
	for i := range p.to {
		p.hangUp(i)
	}
	r.log.refuse(nil)
	r.stop()
	r.conns.Wait()
}

func (p *player) dial(t *testing.T, i int) {
	here, there := net.Pipe()
	p.to[i], p.read[i], p.sent[i] = here, make(chan struct{}), make(chan uint16, 2000)
	p.r.conns.Go(func() { p.r.serve(p.r.ctx, there) })
	ended, sent := p.read[i], p.sent[i]
	go func() {
		defer close(ended)
		in := packet.NewReader(here, 1<<20)
		for {
			frame, err := in.Next()
			if err != nil {
				return
			}
			decodeFromServer(t, frame, &sent)
		}
	}()
}

// decodeFromServer checks that the server writes nothing malformed.
func decodeFromServer(t *testing.T, frame packet.Frame, sent *chan uint16) {
	var err error
	switch frame.Type {
	case packet.CONNACK:
		version := packet.V311
		if len(frame.Body) == 3 {
			version = packet.V5
		}
		err = new(packet.Connack).Decode(frame, version)
	case packet.PUBLISH:
		err = new(packet.Publish).Decode(frame, packet.V311)
	case packet.PUBACK:
		var ack packet.Ack
		err = ack.Decode(frame, packet.V311)
		select {
		case want := <-*sent:
			if want == 0 { // random bytes follow: anything may be answered
				*sent = nil
			} else if ack.ID != want {
				t.Errorf("PUBACK for %d, want %d", ack.ID, want)
			}
		default:
			if *sent != nil {
				t.Errorf("PUBACK for %d, which was not published", ack.ID)
			}
		}
	case packet.SUBACK:
		err = new(packet.Suback).Decode(frame, packet.V311)
	case packet.UNSUBACK:
		err = new(packet.Unsuback).Decode(frame, packet.V311)
	case packet.PINGRESP:
		err = new(packet.Ping).Decode(frame, packet.V311)
	default:
		t.Errorf("the server sent %s", frame.Type)
	}
	if err != nil {
		t.Errorf("the server sent %s %x: %v", frame.Type, frame.Body, err)
	}
}

func (p *player) hangUp(i int) {
	if p.to[i] != nil {
		p.to[i].Close()
		<-p.read[i]
		p.to[i] = nil
	}
}

// hangUpAfter sends any bytes at all. They may hold a PUBLISH, so no PUBACK is expected behind them.
func (p *player) hangUpAfter(b []byte, i int) {
	p.sent[i] <- 0
	p.to[i].SetWriteDeadline(time.Now().Add(time.Second))
	p.to[i].Write(b)
	p.hangUp(i)
}

var scriptTopics = []string{"a", "a/b", "$SYS/a", "a/b/c/d", "a/+", "é"}
var scriptFilters = []string{"#", "a/#", "+/b", "$SYS/#", "a/b/c/d/e", "a#", "$share/g/a"}

func (p *player) step(t *testing.T, i int, op byte, rest []byte) []byte {
	arg := byte(0)
	if len(rest) > 0 {
		arg = rest[0]
	}
	if p.to[i] == nil {
		p.dial(t, i)
	}
	p.next++
	id := p.next | 1
	var b []byte
	switch op % 21 {
	case 0, 1:
		c := packet.Connect{Version: packet.V311, CleanStart: true, KeepAlive: uint16(arg), ClientID: []byte{'c', arg & 1}}
		if op%21 == 1 {
			c.Version, c.CleanStart, c.HasWill = packet.V31+arg%3, arg&8 == 0, arg&16 != 0
			c.Will = packet.Will{QoS: arg >> 5 & 1, Topic: []byte("w")}
		}
		b, rest = c.Append(nil), rest[min(1, len(rest)):]
	case 2, 3, 4, 5:
		q := packet.Publish{QoS: op % 21 & 1, ID: id, Topic: []byte(scriptTopics[int(arg)%len(scriptTopics)]), Payload: make([]byte, int(arg)*5)}
		b = q.Append(nil, packet.V311)
		if q.QoS == 1 {
			p.sent[i] <- id
		}
	case 6, 7:
		q := packet.Subscribe{ID: id, Filters: []packet.Filter{{Filter: []byte(scriptFilters[int(arg)%len(scriptFilters)]), QoS: arg % 3}}}
		b = q.Append(nil, packet.V311)
	case 8:
		q := packet.Unsubscribe{ID: id, Filters: [][]byte{[]byte(scriptFilters[int(arg)%len(scriptFilters)])}}
		b = q.Append(nil, packet.V311)
	case 9, 10:
		b = (&packet.Ack{Type: packet.PUBACK, ID: uint16(arg%4) + 1}).Append(nil, packet.V311)
	case 11:
		b = (&packet.Ping{Type: packet.PINGREQ}).Append(nil, packet.V311)
	case 12:
		b = (&packet.Disconnect{}).Append(nil, packet.V311)
	case 13:
		p.r.log.refuse([]error{message.ErrFull, message.ErrTooLarge, message.ErrFailed}[arg%3])
	case 14:
		p.r.log.refuse(nil)
	case 15:
		p.r.log.hold()
	case 16:
		p.r.log.release(p.r.log.waitingAcks(), nil)
	case 17:
		p.hangUp(i)
		return rest
	case 18:
		time.Sleep(time.Duration(arg) * time.Second)
	case 19:
		synctest.Wait()
	case 20:
		n := min(int(arg), len(rest))
		b, rest = rest[:n], rest[n:]
		p.hangUpAfter(b, i)
		return rest
	}
	if len(b) > 0 {
		p.to[i].SetWriteDeadline(time.Now().Add(time.Second)) // the server may have stopped reading
		if _, err := io.Copy(p.to[i], bytes.NewReader(b)); err != nil {
			p.hangUp(i)
		}
	}
	return rest
}
