package mqtt

import (
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/gateway/mqtt/packet"
)

// wire is one client's connection in a fuzzed script. It knows what the client has sent, and holds what
// the server sends against it.
type wire struct {
	t      *testing.T
	socket net.Conn
	ended  chan struct{} // closed when nothing comes any more

	reading chan struct{} // full while the client does not read
	stalled bool          // only the player looks at it

	version byte // of the CONNECT that was sent

	mu         sync.Mutex // guards what follows
	loose      bool       // bytes were sent whose meaning nobody knows: anything may be answered
	sent       bool       // a CONNECT
	resume     bool       // without a clean start
	accepted   bool       // and its CONNACK came
	over       bool       // a DISCONNECT came
	window     int        // how many messages the client takes at once
	aliases    uint32
	maxPacket  int
	pubacks    []uint16         // owed, in this order
	pubrecs    map[uint16]int   // owed
	pubcomps   map[uint16]int   // owed
	subacks    map[uint16]int   // owed: how many codes
	unsubacks  map[uint16]int   // owed
	pings      int              // owed
	open       map[uint16]bool  // the client's QoS 2 publishes without a PUBREL
	under      map[uint16]stage // the server's messages
	topicAlias map[uint32]bool
}

// stage says how far a message to the client is.
type stage int

const (
	withQoS1 stage = iota + 1
	withQoS2
	recorded // PUBREC was sent
	released // PUBREL came
)

func newWire(t *testing.T, socket net.Conn) *wire {
	w := &wire{
		t: t, socket: socket, ended: make(chan struct{}), reading: make(chan struct{}, 1), version: packet.V311, window: 65535, maxPacket: 1 << 20,
		pubrecs: make(map[uint16]int), pubcomps: make(map[uint16]int), subacks: make(map[uint16]int), unsubacks: make(map[uint16]int),
		open: make(map[uint16]bool), under: make(map[uint16]stage), topicAlias: make(map[uint32]bool),
	}
	go func() {
		defer close(w.ended)
		in := packet.NewReader(stalling{w}, 1<<20)
		in.RequireMinimal()
		for {
			frame, err := in.Next()
			if err != nil {
				return
			}
			w.check(frame)
		}
	}()
	return w
}

// stalling reads while the client does.
type stalling struct{ w *wire }

func (s stalling) Read(b []byte) (int, error) {
	s.w.reading <- struct{}{}
	<-s.w.reading
	return s.w.socket.Read(b)
}

func (w *wire) stall(on bool) {
	if on != w.stalled {
		if on {
			w.reading <- struct{}{}
		} else {
			<-w.reading
		}
		w.stalled = on
	}
}

func (w *wire) close() {
	w.stall(false)
	w.socket.Close()
	<-w.ended
}

func (w *wire) write(b []byte) bool {
	w.socket.SetWriteDeadline(time.Now().Add(time.Second)) // the server may have stopped reading
	_, err := w.socket.Write(b)
	return err == nil
}

func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loose = true
}

func (w *wire) connect(arg byte, client int) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := packet.Connect{Version: packet.V31 + arg%3, CleanStart: arg&4 == 0, KeepAlive: uint16(arg >> 3), ClientID: []byte{'c', byte('0' + (client+int(arg>>7))%3)}}
	c.HasWill = arg&0x40 != 0
	c.Will = packet.Will{QoS: arg >> 4 & 1, Retain: arg&0x20 != 0, Topic: []byte("a/will"), Payload: []byte("gone")}
	if !c.HasWill {
		c.Will = packet.Will{}
	}
	if w.sent { // CONNECT twice
		return c.Append(nil)
	}
	w.sent, w.resume, w.version = true, !c.CleanStart, c.Version
	if c.Version == packet.V5 {
		if arg&8 != 0 {
			c.Properties = append(c.Properties, packet.Property{ID: packet.SessionExpiry, Number: uint32(arg)})
		}
		if arg&0x10 != 0 {
			w.window, w.aliases, w.maxPacket = 1+int(arg>>6), 2, 300
			c.Properties = append(c.Properties, packet.Property{ID: packet.ReceiveMaximum, Number: uint32(w.window)},
				packet.Property{ID: packet.TopicAliasMaximum, Number: w.aliases}, packet.Property{ID: packet.MaximumPacketSize, Number: 300})
		}
		if c.HasWill {
			c.Will.Properties = packet.Properties{{ID: packet.WillDelay, Number: uint32(arg >> 3)}}
		}
	}
	return c.Append(nil)
}

func (w *wire) publish(p packet.Publish, arg byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch p.QoS {
	case 0:
		p.ID, p.Dup = 0, false
	case 1:
		w.pubacks = append(w.pubacks, p.ID)
	case 2:
		w.pubrecs[p.ID]++
		w.open[p.ID] = true
	}
	if w.version == packet.V5 && arg&8 != 0 {
		p.Properties = packet.Properties{{ID: packet.MessageExpiry, Number: uint32(arg >> 4)}, {ID: packet.UserProperty, Name: []byte("k"), Data: []byte("v")}}
		if arg&4 != 0 {
			p.Properties = append(p.Properties, packet.Property{ID: packet.TopicAlias, Number: 1})
		}
	}
	return p.Append(nil, w.version)
}

// unreleased is the lowest identifier that the client has not released; 0 if there is none.
func (w *wire) unreleased() uint16 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return lowest(w.open)
}

func lowest[V any](m map[uint16]V) uint16 {
	if len(m) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Keys(m)))
}

func (w *wire) release(otherwise uint16) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := lowest(w.open)
	if id == 0 {
		id = otherwise
	}
	delete(w.open, id)
	w.pubcomps[id]++
	return (&packet.Ack{Type: packet.PUBREL, ID: id}).Append(nil, w.version)
}

func (w *wire) subscribe(id uint16, arg byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := packet.Subscribe{ID: id, Filters: []packet.Filter{{Filter: []byte(scriptFilters[int(arg&15)%len(scriptFilters)]), QoS: arg >> 6 % 3}}}
	if arg&0x20 != 0 {
		s.Filters = append(s.Filters, packet.Filter{Filter: []byte("a/b"), QoS: 2})
	}
	if w.version == packet.V5 {
		s.Filters[0].NoLocal, s.Filters[0].RetainAsPublished, s.Filters[0].RetainHandling = arg&0x18 == 8, arg&0x10 != 0, arg>>4%3
		if arg&8 != 0 {
			s.Properties = packet.Properties{{ID: packet.SubscriptionIdentifier, Number: uint32(arg)}}
		}
	}
	w.subacks[id] = len(s.Filters)
	return s.Append(nil, w.version)
}

func (w *wire) unsubscribe(id uint16, filter string) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsubacks[id]++
	return (&packet.Unsubscribe{ID: id, Filters: [][]byte{[]byte(filter)}}).Append(nil, w.version)
}

// acknowledge answers the message with the lowest identifier.
func (w *wire) acknowledge(code packet.Reason) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := lowest(w.under)
	a := packet.Ack{ID: id, Code: code}
	switch w.under[id] {
	case withQoS1:
		a.Type = packet.PUBACK
		delete(w.under, id)
	case withQoS2:
		a.Type = packet.PUBREC
		if code != packet.Success && w.version == packet.V5 {
			delete(w.under, id)
		} else {
			w.under[id] = recorded
		}
	case released:
		a.Type, a.Code = packet.PUBCOMP, packet.Success
		delete(w.under, id)
	default:
		return nil
	}
	return a.Append(nil, w.version)
}

func (w *wire) ping() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pings++
	return (&packet.Ping{Type: packet.PINGREQ}).Append(nil, w.version)
}

func (w *wire) disconnect(arg byte) []byte {
	d := packet.Disconnect{}
	if w.version == packet.V5 && arg&1 != 0 {
		d.Code = packet.DisconnectWithWill
	}
	if w.version == packet.V5 && arg&2 != 0 {
		d.Properties = packet.Properties{{ID: packet.SessionExpiry, Number: uint32(arg)}}
	}
	return d.Append(nil, w.version)
}
