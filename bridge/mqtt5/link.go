package mqtt5

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"sluice/bridge"
	"sluice/bridge/mqttline"
)

const (
	// maxTaken is how many messages may wait or be under way before Send makes its caller wait.
	maxTaken = 1 << 16
	// maxQuota leaves packet ids for subscriptions, whatever the broker allows.
	maxQuota = 65_000
)

var (
	errClosed = errors.New("the link was closed")
	errEnded  = errors.New("the connection has ended")
	errQoS    = errors.New("the cloud takes only messages with QoS 0, so it acknowledges nothing: its routes need qos: 0")
)

// disconnect is the whole DISCONNECT packet: a normal end.
var disconnect = []byte{packets.DISCONNECT << 4, 0}

// link is one connection with its paho client.
type link struct {
	line    *mqttline.Line
	client  *paho.Client
	limits  limits
	log     *slog.Logger
	useless func() // tells that the address took the connection, but no message; may be nil

	once    sync.Once
	lost    chan struct{}
	err     error // set before lost is closed
	workers sync.WaitGroup

	commands chan command
	dropped  uint64        // messages without QoS from the cloud; only paho's handler goroutine touches it
	flush    chan struct{} // tells the flushing goroutine that written is no longer empty

	mu       sync.Mutex // guards what follows
	ended    bool       // nobody answers any more what is taken now
	order    order
	room     chan struct{} // closed when order.taken gets smaller, if somebody asked
	inFlight map[uint16]*pending
	asked    map[uint16]chan<- packets.ControlPacket // subscriptions without their SUBACK
	lastID   uint16
	aliases  aliases
	packet   bytes.Buffer
	written  []*pending // messages without QoS that were handed to the line
	filters  []subscription
	sent     bool // a message with QoS
	answered bool // one of them
}

// limits are what the broker said at the login.
type limits struct {
	packet int  // bytes
	qos    byte // the highest
	retain bool
}

func newLink(log *slog.Logger, perKey int) *link {
	return &link{
		log:      log,
		lost:     make(chan struct{}),
		commands: make(chan command, 2*maxCommands),
		flush:    make(chan struct{}, 1),
		order:    newOrder(perKey),
		inFlight: make(map[uint16]*pending),
		asked:    make(map[uint16]chan<- packets.ControlPacket),
		aliases:  aliases{topics: make(map[string]*alias)},
	}
}

// welcome takes note of what the broker allows.
func (l *link) welcome(ack *paho.Connack) {
	l.limits = limits{packet: 1 << 28, qos: 2, retain: true}
	l.order.quota = maxQuota
	p := ack.Properties
	if p.MaximumPacketSize != nil {
		l.limits.packet = int(min(*p.MaximumPacketSize, 1<<28))
	}
	if p.MaximumQoS != nil {
		l.limits.qos = *p.MaximumQoS
	}
	if p.ReceiveMaximum != nil {
		l.order.quota = min(maxQuota, int(*p.ReceiveMaximum))
	}
	if p.TopicAliasMaximum != nil {
		l.aliases.max = min(maxAliases, int(*p.TopicAliasMaximum))
	}
	l.limits.retain = p.RetainAvailable
	if !l.limits.retain {
		l.log.Info("the cloud keeps no retained messages; routes with retain are sent without")
	}
}

func (l *link) start() {
	l.workers.Go(l.bury)
	l.workers.Go(l.flushed)
	l.workers.Go(l.deliver)
}

// lose ends the link for the reason err; the first one counts.
func (l *link) lose(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.lost)
	})
}

// broken is called by the line when it fails, before paho learns of it.
func (l *link) broken(err error) { l.lose(mqttline.Explain(err)) }

// Lost is closed when the connection is gone.
func (l *link) Lost() <-chan struct{} { return l.lost }

// Err says why the connection is gone.
func (l *link) Err() error {
	select {
	case <-l.lost:
		return l.err
	default:
		return nil
	}
}

// Send takes a message and sends it when its turn has come. It waits while the line is congested.
func (l *link) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	p, refused := l.compose(o, done)
	if refused != nil {
		return refused
	}
	if p.publish.QoS > l.limits.qos {
		return errQoS // not a refusal: all that is wrong is in the configuration, and nothing may be lost over it
	}
	if err := l.line.Room(ctx, l.lost); err != nil {
		return l.why(ctx)
	}
	for {
		full, err := l.take(ctx, o.Key, p)
		if full == nil {
			return err
		}
		select {
		case <-full:
		case <-l.lost:
			return l.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// why is the reason for which Send cannot go on.
func (l *link) why(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.Err()
}

// take puts a message in its place, or gives a channel that is closed when it may be tried again.
func (l *link) take(ctx context.Context, key string, p *pending) (full <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Under the lock, which also orders the queue: a refusal before has ended ctx by now, or will
	// find this message among those that it holds back.
	if err := l.why(ctx); err != nil {
		return nil, err
	}
	if l.order.taken >= maxTaken {
		if l.room == nil {
			l.room = make(chan struct{})
		}
		return l.room, nil
	}
	l.order.add(key, p)
	l.pumpLocked()
	return nil, nil
}

// pumpLocked sends everything whose turn has come. The line takes it at once: this never blocks.
func (l *link) pumpLocked() {
	for !l.ended {
		p := l.order.next()
		if p == nil {
			return
		}
		l.aliases.apply(p, l.limits.packet)
		if p.acknowledged() {
			p.publish.PacketID = l.freeIDLocked()
			l.inFlight[p.publish.PacketID] = p
			l.sent = true
		} else {
			l.written = append(l.written, p)
		}
		// Not with paho's Publish: it waits for the PUBACK, or never tells of it.
		l.packet.Reset()
		_, err := p.publish.WriteTo(&l.packet)
		if err == nil {
			err = l.line.WritePacket(l.packet.Bytes())
		}
		if err != nil {
			l.lose(mqttline.Explain(err)) // the message is answered with the others
		}
		if l.packet.Cap() > keptInbound {
			l.packet = bytes.Buffer{} // one huge message shall not keep its memory for ever
		}
		if !p.acknowledged() {
			notify(l.flush)
		}
	}
}

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it knows
	}
}

// freeIDLocked gives a packet id that is not in use. There always is one: see maxQuota.
func (l *link) freeIDLocked() uint16 {
	for {
		l.lastID++
		_, sent := l.inFlight[l.lastID]
		_, asked := l.asked[l.lastID]
		if l.lastID != 0 && !sent && !asked {
			return l.lastID
		}
	}
}

// acknowledge runs in paho's reading goroutine with each PUBACK. Those whom done tells do not block.
func (l *link) acknowledge(ack *packets.Puback) {
	l.mu.Lock()
	p := l.inFlight[ack.PacketID]
	if p == nil || l.ended {
		l.mu.Unlock()
		l.lose(fmt.Errorf("%w: it acknowledges a message that is not under way", errProtocol))
		return
	}
	delete(l.inFlight, ack.PacketID)
	l.answered = true
	if ack.ReasonCode >= 0x80 {
		l.order.refuse(p)
		l.movedLocked()
		l.mu.Unlock()
		l.refuse(p, ack)
		return
	}
	if p.alias != nil {
		p.alias.known = true
	}
	l.order.acknowledged(p)
	l.movedLocked()
	l.mu.Unlock()
	p.done(nil)
}

// movedLocked uses the room that an answer has made.
func (l *link) movedLocked() {
	if l.room != nil && l.order.taken < maxTaken {
		close(l.room)
		l.room = nil
	}
	l.pumpLocked()
}

// refuse tells of a refusal, and then answers what was held back behind it. Until done has returned,
// and with it has ended the context of whatever else would come behind, the key stands still.
func (l *link) refuse(p *pending, ack *packets.Puback) {
	if ack.ReasonCode == packets.PubackPacketIdentifierInUse {
		l.lose(fmt.Errorf("%w: it says that a packet id is in use", errProtocol))
		p.done(l.Err())
	} else {
		p.done(refused(ack.ReasonCode, ack.Properties.ReasonString))
	}
	l.mu.Lock()
	held := l.order.release(p.key)
	l.movedLocked()
	l.mu.Unlock()
	for _, p := range held {
		p.done(bridge.ErrHeld)
	}
}

// flushed is the goroutine that answers messages without QoS: they are done with when they are on
// their way.
func (l *link) flushed() {
	for {
		select {
		case <-l.flush:
		case <-l.lost:
			return
		}
		l.mu.Lock()
		written := l.written
		l.written = nil
		l.mu.Unlock()
		err := l.line.Flush(context.Background(), l.lost)
		if err != nil {
			err = l.Err()
		}
		l.mu.Lock()
		for range written {
			l.order.written()
		}
		l.movedLocked()
		l.mu.Unlock()
		for _, p := range written {
			p.done(err)
		}
	}
}

// bury is the goroutine that answers everything when the link is lost.
func (l *link) bury() {
	<-l.lost
	l.mu.Lock()
	l.ended = true
	left := append(l.order.clear(), l.written...)
	for _, p := range l.inFlight {
		left = append(left, p)
	}
	asked := l.asked
	l.inFlight, l.written, l.asked = nil, nil, nil
	l.mu.Unlock()
	for _, p := range left {
		p.done(l.err)
	}
	for _, answer := range asked {
		answer <- packets.ControlPacket{} // paho's way to say that there will be none; there is room for one
	}
}

// Moved implements bridge.Mover.
func (l *link) Moved() (written, reached int64) { return l.line.Moved() }

// Close says goodbye to the broker and waits until paho and the line have ended.
func (l *link) Close() error {
	l.lose(errClosed)
	l.line.Finish(disconnect)
	<-l.line.Done()
	<-l.client.Done()
	l.workers.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent && !l.answered && l.useless != nil {
		l.useless()
	}
	return nil
}
