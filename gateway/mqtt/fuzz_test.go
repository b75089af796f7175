package mqtt

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// FuzzConnection drives three clients of one server with what the input says: each pair of bytes picks
// a client, a packet or an event, and what is in it. The clients share three identifiers, so that they
// take over from each other, and speak 3.1, 3.1.1 and 5. Nothing may panic; every goroutine must have
// gone when the server stops (the bubble sees to that), and nothing of a connection may be left in it;
// what it writes is held against what each client did (wire).
func FuzzConnection(f *testing.F) {
	every := make([]byte, 0, 2*3*scriptSteps)
	for i := range byte(3 * scriptSteps) {
		every = append(every, i%3<<6|i/3, 85*i+i/7)
	}
	f.Add(every)
	v5, v311 := byte(2), byte(1) // versions in a CONNECT's argument, clean
	persistent := byte(0x0c)
	// QoS 2 both ways, with a retry and a new connection in between.
	f.Add([]byte{0, v5 | persistent, 4, 0x82, 64, v311, 65, 2, 17, 0, 6, 0, 2, 0, 66, 2, 3, 0, 17, 0, 15, 0, 0, v5 | persistent, 17, 0, 6, 0, 6, 0})
	// Members of a share who refuse, leave and come back.
	f.Add([]byte{0, v5 | persistent, 4, 0x86, 64, v5, 68, 0x86, 128, v311, 129, 1, 129, 2, 129, 2, 7, 0, 15, 0, 6, 0, 70, 0, 0, v5 | persistent, 17, 0, 70, 1, 71, 0})
	// Wills with delays, take-overs, expiring sessions.
	f.Add([]byte{0, v5 | persistent | 0x40, 15, 0, 16, 3, 0, v5 | 0x40, 64, v5 | 0x40, 15, 64, 16, 60, 0, v311, 10, 0})
	// A log that holds, refuses and answers later, while everybody publishes.
	f.Add([]byte{0, v5, 64, v311, 13, 0, 1, 1, 65, 2, 1, 0x12, 14, 0, 11, 0, 1, 1, 65, 1, 12, 0, 14, 0, 10, 0, 74, 0})
	f.Add([]byte{18, 3, 0x10, 0x0d, 0x00, 0, 18, 2, 0x30, 0xff, 0, v5, 19, 7, 19, 200})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 2000 {
			return
		}
		synctest.Test(t, func(t *testing.T) { playScript(t, script) })
	})
}

type player struct {
	r     *rig
	wires [3]*wire // nil without a connection
	next  uint16
}

func playScript(t *testing.T, script []byte) {
	r := newRig(t, Options{Window: 3, MaxLevels: 3, MaxSubscriptions: 4, MaxPacket: 3000, MaxKeepAlive: 100 * time.Second})
	r.Server.log = slog.New(slog.DiscardHandler)
	r.conns.Go(func() { r.keepHouse(r.ctx) })
	p := &player{r: r}
	for len(script) > 0 {
		op, arg := script[0], byte(0)
		script = script[1:]
		if len(script) > 0 {
			arg, script = script[0], script[1:]
		}
		script = p.step(t, int(op>>6)%len(p.wires), op&63, arg, script)
	}
	for i := range p.wires {
		p.hangUp(i)
	}
	r.log.refuse(nil)
	r.log.release(r.log.waitingAcks(), nil)
	r.stop()
	r.conns.Wait()
	r.closeHouse(context.WithoutCancel(r.ctx))
	if s := r.Stats(); s.Connections != 0 || s.Sessions != 0 || s.Subscriptions != 0 || len(r.wills) != 0 {
		t.Errorf("when all is over there are %+v and %d wills", s, len(r.wills))
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	for _, s := range r.log.subscriptions {
		if !s.closed {
			t.Error("a subscription is left open")
		}
	}
}

// wire gives the connection of a client, a new one if it has none.
func (p *player) wire(t *testing.T, i int) *wire {
	if p.wires[i] == nil {
		here, there := net.Pipe()
		p.wires[i] = newWire(t, here)
		p.r.conns.Go(func() { p.r.serve(p.r.ctx, there) })
	}
	return p.wires[i]
}

func (p *player) hangUp(i int) {
	if w := p.wires[i]; w != nil {
		w.close()
		p.wires[i] = nil
	}
}

var (
	scriptTopics  = []string{"a", "a/b", "$SYS/a", "a/b/c/d", "a/+", "é", ""}
	scriptFilters = []string{"#", "a/#", "+/b", "$SYS/#", "a/b/c/d/e", "a#", "$share/g/a/#", "$share/h/#", "$share//a", "a"}
)

const scriptSteps = 21 // kinds of them

func (p *player) step(t *testing.T, i int, op, arg byte, rest []byte) []byte {
	w := p.wire(t, i)
	p.next = p.next%60000 + 1
	id := p.next
	var b []byte
	switch op % scriptSteps {
	case 0:
		b = w.connect(arg, i)
	case 1:
		b = w.publish(packet.Publish{QoS: arg % 3, ID: id, Retain: arg&0x10 != 0, Topic: []byte(scriptTopics[int(arg>>5)%len(scriptTopics)]), Payload: make([]byte, int(arg)*3)}, arg)
	case 2: // again what waits for its PUBREL
		if again := w.unreleased(); again != 0 {
			id = again
		}
		b = w.publish(packet.Publish{QoS: 2, Dup: true, ID: id, Topic: []byte("a/b")}, 0)
	case 3:
		b = w.release(id)
	case 4:
		b = w.subscribe(id, arg)
	case 5:
		b = w.unsubscribe(id, scriptFilters[int(arg)%len(scriptFilters)])
	case 6:
		b = w.acknowledge(packet.Success)
	case 7:
		b = w.acknowledge(packet.QuotaExceeded)
	case 8: // of something that may not be under way
		w.forget()
		b = (&packet.Ack{Type: []packet.Type{packet.PUBACK, packet.PUBREC, packet.PUBCOMP}[arg%3], ID: uint16(arg>>2)%5 + 1}).Append(nil, w.version)
	case 9:
		b = w.ping()
	case 10:
		b = w.disconnect(arg)
	case 11:
		p.r.log.refuse([]error{message.ErrFull, message.ErrTooLarge, message.ErrFailed}[arg%3])
	case 12:
		p.r.log.refuse(nil)
	case 13:
		p.r.log.hold()
	case 14:
		p.r.log.release(p.r.log.waitingAcks(), nil)
	case 15:
		p.hangUp(i)
		return rest
	case 16:
		time.Sleep(time.Duration(arg) * time.Second)
	case 17:
		synctest.Wait()
	case 18: // any bytes at all
		n := min(int(arg), len(rest))
		w.forget()
		b, rest = slices.Clone(rest[:n]), rest[n:]
	case 19: // a packet with a mistake in it
		q := packet.Publish{QoS: 1, ID: id, Topic: []byte("a"), Properties: packet.Properties{{ID: packet.TopicAlias, Number: 1}}}
		b = q.Append(nil, w.version)
		b[int(arg)%len(b)] ^= 1 << (arg >> 5)
		w.forget()
	case 20:
		w.stall(arg&1 == 0)
	}
	if len(b) > 0 && !w.write(b) {
		p.hangUp(i)
	}
	return rest
}
