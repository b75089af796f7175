package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/bridge/mqttline"
	"sluice/gateway/message"
)

// maxCommands is how many messages from the cloud may wait for the broker here. Beyond that they
// are dropped, counted and not acknowledged: a command that waits behind so many is stale anyway.
const maxCommands = 64

var (
	errClosed  = errors.New("the link was closed")
	errExpired = errors.New("the login has expired; the next connection has a new one")
	errNoProof = errors.New("bug: a message was reported as delivered without its PUBACK")
)

// disconnect is the whole DISCONNECT packet. It is sent past paho, whose own Disconnect returns
// before it is done, and leaves tokens behind that never complete.
var disconnect = []byte{packets.Disconnect << 4, 0}

// link is one connection with its paho client.
type link struct {
	line    *mqttline.Line
	inbound *inbound // what comes in on it, looked into
	raw     *dial.Patient
	client  paho.Client
	log     *slog.Logger

	once    sync.Once
	lost    chan struct{}
	err     error         // set before lost is closed
	stopped chan struct{} // closed once paho has ended all it started
	workers sync.WaitGroup

	// sending is held while a message is handed to paho. Whoever has closed lost and then gets it
	// knows that no message is on its way into paho any more.
	sending sync.Mutex

	wake     chan struct{} // tells the answering goroutine that inFlight is no longer empty
	commands chan command
	dropped  uint64 // messages from the cloud; only paho's handler goroutine touches it

	farewell []byte // what Close sends
	// useless tells that the address took the connection, but no message. It may be nil.
	useless func()

	mu       sync.Mutex // guards what follows
	inFlight ring
	sent     bool // a message was given to paho
	answered bool // one was acknowledged
}

// pending is a message that waits for its answer.
type pending struct {
	token *paho.PublishToken
	qos   byte
	done  func(error)
}

type command struct {
	message paho.Message
	deliver func(ctx context.Context, m *bridge.Incoming) error
}

func newLink(log *slog.Logger) *link {
	return &link{
		log:      log,
		lost:     make(chan struct{}),
		stopped:  make(chan struct{}),
		wake:     make(chan struct{}, 1),
		commands: make(chan command, maxCommands),
	}
}

// prepare takes what the session says about the end.
func (l *link) prepare(session Session) (err error) {
	l.farewell, err = session.farewell()
	return err
}

// open gives paho the line that is already there.
func (l *link) open(*url.URL, paho.ClientOptions) (net.Conn, error) { return l.line, nil }

func (l *link) login(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.line.Finish(nil) })
	defer stop()
	token := l.client.Connect()
	<-token.Done() // comes for sure: when ctx ends, reading fails
	if code := l.inbound.outcome.Load(); code > 0 {
		return &loginError{byte(code)}
	}
	if err := token.Error(); err != nil {
		select {
		case <-l.lost: // knows better why
			return l.err
		default:
			return err
		}
	}
	return nil
}

func (l *link) start(until time.Time) {
	l.workers.Go(l.answer)
	l.workers.Go(l.deliver)
	if !until.IsZero() {
		l.workers.Go(func() { l.expire(until) })
	}
}

// expire is the goroutine that ends the link when its login does: the broker would, at a worse moment.
func (l *link) expire(until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		l.lose(errExpired)
	case <-l.lost:
	}
}

// lose ends the link for the reason err; the first one counts.
func (l *link) lose(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.lost)
	})
}

// broken is called by the line when it fails, before paho learns of it. It waits until no Publish is
// under way, because one that meets a client which is ending waits for nothing until it times out.
func (l *link) broken(err error) {
	l.lose(mqttline.Explain(err))
	l.sending.Lock()
	defer l.sending.Unlock()
}

// ended is called by paho once everything that it had started is over.
func (l *link) ended(err error) {
	l.lose(fmt.Errorf("the connection was lost: %w", err))
	close(l.stopped)
}

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

// Send hands a message to paho. It waits while the line is congested.
func (l *link) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	if err := message.CheckTopic(o.Topic); err != nil {
		return &bridge.RefusedError{Reason: err.Error()} // paho would send a damaged packet
	}
	if err := l.line.Room(ctx, l.lost); err != nil {
		if ctx.Err() == nil {
			return l.Err()
		}
		return err
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	// A token that has failed already goes into the ring like the others.
	token, ok := l.client.Publish(o.Topic, min(o.QoS, 1), o.Retain, o.Payload).(*paho.PublishToken)
	if !ok {
		return errors.New("bug: paho's publish token is of another type")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight.push(pending{token, min(o.QoS, 1), done})
	l.sent = true
	select {
	case l.wake <- struct{}{}:
	default: // it knows
	}
	return nil
}

// answer is the goroutine that calls done for every message, oldest first: PUBACKs come in the order
// of the messages [MQTT-4.6.0-2], so waiting for the oldest costs nothing.
func (l *link) answer() {
	acknowledged := false
	for {
		p, ok := l.oldest()
		if !ok {
			return
		}
		select {
		case <-p.token.Done():
		case <-l.lost:
		}
		err := l.outcome(p)
		if err == nil && !acknowledged {
			acknowledged = true
			l.noteAnswer()
		}
		p.done(err)
	}
}

func (l *link) noteAnswer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = true
}

// oldest waits for a message in flight. It gives none only when the link is lost and all have been
// answered.
func (l *link) oldest() (pending, bool) {
	for {
		if p, ok := l.pop(); ok {
			return p, true
		}
		select {
		case <-l.wake:
		case <-l.lost:
			l.sending.Lock() // a Send that has passed its check may still add a message
			p, ok := l.pop()
			l.sending.Unlock()
			return p, ok
		}
	}
}

func (l *link) pop() (pending, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight.pop()
}

// outcome decides what became of a message. Only a PUBACK that we have seen ourselves is a yes:
// there are ways for a token of a message that nobody has to complete without an error.
func (l *link) outcome(p pending) error {
	select {
	case <-p.token.Done():
	default:
		return l.Err() // the link is lost
	}
	if err := p.token.Error(); err != nil {
		// Paho fails tokens a moment before it says why the connection has ended. A token that
		// fails alone leaves a hole in the stream: that ends the link, too.
		reason := time.NewTimer(time.Second)
		defer reason.Stop()
		select {
		case <-l.lost:
		case <-reason.C:
			l.lose(mqttline.Explain(err))
		}
		return l.Err()
	}
	if p.qos == 0 {
		if err := l.line.Flush(context.Background(), l.lost); err != nil {
			return l.Err()
		}
		return nil
	}
	if !l.inbound.takeAck(p.token.MessageID()) {
		l.lose(errNoProof)
		return errNoProof
	}
	return nil
}

// Receive subscribes to filter and returns once the broker has agreed.
func (l *link) Receive(ctx context.Context, filter string, deliver func(ctx context.Context, m *bridge.Incoming) error) error {
	l.sending.Lock()
	if err := l.Err(); err != nil {
		l.sending.Unlock()
		return err
	}
	token, ok := l.client.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) {
		l.enqueue(command{m, deliver})
	}).(*paho.SubscribeToken)
	l.sending.Unlock()
	if !ok {
		return errors.New("bug: paho's subscribe token is of another type")
	}
	select {
	case <-token.Done():
	case <-l.lost:
		return l.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := token.Error(); err != nil {
		return mqttline.Explain(err)
	}
	for _, code := range token.Result() {
		if code > 2 { // 0x80 [MQTT-3.9.3-2]
			return fmt.Errorf("the cloud refuses the subscription to %s", filter)
		}
	}
	return nil
}

// enqueue runs in paho's reading goroutine: it must not block, or no PUBACK would come through.
func (l *link) enqueue(c command) {
	select {
	case l.commands <- c:
	default:
		l.dropped++
		if l.dropped == 1 {
			l.log.Warn("messages from the cloud come faster than they can be taken; some are dropped")
		}
	}
}

// deliver is the goroutine that hands messages from the cloud over, one at a time, in order.
func (l *link) deliver() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.workers.Go(func() {
		<-l.lost
		cancel()
	})
	for {
		select {
		case c := <-l.commands:
			m := bridge.Incoming{Topic: c.message.Topic(), Payload: c.message.Payload(),
				Retained: c.message.Retained(), Repeated: c.message.Duplicate()}
			if c.deliver(ctx, &m) == nil {
				c.message.Ack()
			}
		case <-l.lost:
			return
		}
	}
}

// Moved implements bridge.Mover.
func (l *link) Moved() (written, reached int64) { return l.line.Moved() }

// Close says goodbye to the broker and waits until paho and the line have ended.
func (l *link) Close() error {
	l.lose(errClosed)
	l.line.Finish(l.farewell)
	<-l.line.Done()
	<-l.stopped
	l.workers.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent && !l.answered && l.useless != nil {
		l.useless()
	}
	return nil
}

// ring is a queue that keeps its memory. Who calls Send bounds it by the window; there are no more
// than 65,535 packet ids.
type ring struct {
	slots   []pending
	head, n int
}

func (r *ring) push(p pending) {
	if r.n == len(r.slots) {
		grown := make([]pending, max(64, 2*len(r.slots)))
		for i := range r.n {
			grown[i] = r.slots[(r.head+i)%len(r.slots)]
		}
		r.slots, r.head = grown, 0
	}
	r.slots[(r.head+r.n)%len(r.slots)] = p
	r.n++
}

func (r *ring) pop() (pending, bool) {
	if r.n == 0 {
		return pending{}, false
	}
	p := r.slots[r.head]
	r.slots[r.head] = pending{}
	r.head = (r.head + 1) % len(r.slots)
	r.n--
	return p, true
}
