package preset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/bridge/payload"
	"sluice/gateway/message"
)

// sparkplugLink is one connection of an edge node, from its birth to its death.
type sparkplugLink struct {
	bridge.Link
	session *payload.Session
	gateway string
	log     *slog.Logger
	workers sync.WaitGroup
	reborn  chan struct{} // tells that a host asks for a rebirth

	// sending orders what has a sequence number: numbers are drawn and messages sent under it.
	sending sync.Mutex
	// torn: a number was drawn whose message the line did not take. The next births begin anew.
	torn bool
}

// errNoBirth ends a connection on which a host would not know what it sees.
var errNoBirth = errors.New("the broker did not take the births")

// beBorn subscribes to commands and publishes the births, as Sparkplug 3.0 section 6.4.1 orders it.
func (l *sparkplugLink) beBorn(ctx context.Context) error {
	commands := l.session.Subscriptions()
	if err := l.receiver().Receive(ctx, commands[0], l.nodeCommand); err != nil {
		return err
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	return l.birthsLocked(ctx)
}

// receiver is the link below, which is always one to an MQTT broker.
func (l *sparkplugLink) receiver() bridge.Receiver { return l.Link.(bridge.Receiver) }

// birthsLocked publishes the births, with the QoS that the specification asks for, and waits until the
// line has taken them.
func (l *sparkplugLink) birthsLocked(ctx context.Context) error {
	births := l.session.Births(time.Now().UnixMilli())
	answers := make(chan error, len(births))
	for i := range births {
		if err := l.publish(ctx, &births[i], 0, nil, func(err error) { answers <- err }); err != nil {
			l.torn = true
			return fmt.Errorf("%w: %w", errNoBirth, err)
		}
	}
	for range births {
		select {
		case err := <-answers:
			if err != nil {
				return fmt.Errorf("%w: %w", errNoBirth, err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.torn = false
	return nil
}

// publish hands one message to the line. It is never retained.
func (l *sparkplugLink) publish(ctx context.Context, m *payload.SparkplugMessage, qos byte, of *message.Record, done func(error)) error {
	o := bridge.Outgoing{Topic: m.Topic, Key: m.Topic, Payload: m.Payload, QoS: qos, Record: of}
	return l.Link.Send(ctx, &o, done)
}

// Send publishes what a record means: data, with the device's birth before it if need be, or its
// death. What is neither reading nor status is refused, since Sparkplug has no place for it.
func (l *sparkplugLink) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	if l.torn {
		if err := l.birthsLocked(ctx); err != nil {
			return err
		}
	}
	messages, err := l.messages(o.Record)
	if err != nil {
		return &bridge.RefusedError{Reason: err.Error()}
	}
	if len(messages) == 0 { // nobody needs to know
		done(nil)
		return nil
	}
	answers := &joined{left: len(messages), done: done}
	for i := range messages {
		qos := o.QoS
		if i < len(messages)-1 {
			qos = 0 // a birth, which a host asks for if it does not see it [tck-id-payloads-dbirth-qos]
		}
		if err := l.publish(ctx, &messages[i], qos, o.Record, answers.one); err != nil {
			l.torn = true
			return err
		}
	}
	return nil
}

// messages draws the sequence numbers of what is about to be published.
func (l *sparkplugLink) messages(r *message.Record) ([]payload.SparkplugMessage, error) {
	now := time.Now().UnixMilli()
	if strings.HasPrefix(r.Topic, "status/") {
		return l.status(r.Payload, now)
	}
	return l.session.Data(r, now)
}

// status makes the death of a device that does not answer. Its birth comes with its next reading.
func (l *sparkplugLink) status(told []byte, now int64) ([]payload.SparkplugMessage, error) {
	var status struct{ Device, State string }
	if err := json.Unmarshal(told, &status); err != nil || status.Device == "" {
		return nil, errors.New("the message is no status of a device")
	}
	if status.State != "offline" {
		return nil, nil
	}
	death, needed := l.session.DeviceDeath(status.Device, now)
	if !needed {
		return nil, nil
	}
	return []payload.SparkplugMessage{death}, nil
}

// joined is one answer for all messages of a record: they are a whole. When not all were handed over,
// none is given, as Send has returned an error.
type joined struct {
	mu   sync.Mutex // guards what follows
	left int
	err  error
	done func(error)
}

func (j *joined) one(err error) {
	j.mu.Lock()
	if j.err == nil {
		j.err = err
	}
	j.left--
	finished, first := j.left == 0, j.err
	j.mu.Unlock()
	if finished {
		j.done(first)
	}
}

// nodeCommand takes what a host asks of the node: a rebirth. It must not wait for the line.
func (l *sparkplugLink) nodeCommand(_ context.Context, m *bridge.Incoming) error {
	command, err := l.session.Command(m.Topic, m.Payload)
	if err != nil || m.Retained {
		l.log.Warn("a Sparkplug command cannot be used", "topic", m.Topic, "retained", m.Retained, "err", err)
		return nil // asking again would not help
	}
	if command.Rebirth {
		select {
		case l.reborn <- struct{}{}:
		default: // it is about to be
		}
	}
	return nil
}

// rebirths is the goroutine that publishes the births again when a host asks for them.
func (l *sparkplugLink) rebirths() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.workers.Go(func() {
		<-l.Lost()
		cancel()
	})
	for {
		select {
		case <-l.reborn:
			l.sending.Lock()
			err := l.birthsLocked(ctx)
			l.sending.Unlock()
			if err != nil && ctx.Err() == nil {
				l.log.Warn("a Sparkplug rebirth failed", "err", err)
			}
		case <-l.Lost():
			return
		}
	}
}

// Receive asks for messages. Commands to devices become commands as the gateway knows them.
func (l *sparkplugLink) Receive(ctx context.Context, filter string, deliver func(ctx context.Context, m *bridge.Incoming) error) error {
	if filter != l.session.Subscriptions()[1] {
		return l.receiver().Receive(ctx, filter, deliver)
	}
	return l.receiver().Receive(ctx, filter, func(ctx context.Context, m *bridge.Incoming) error {
		command, err := l.session.Command(m.Topic, m.Payload)
		if err != nil || len(command.Writes) == 0 {
			l.log.Warn("a Sparkplug command cannot be used", "topic", m.Topic, "err", err)
			return nil
		}
		translated := *m
		translated.Payload = deviceCommand(m, command.Writes)
		return deliver(ctx, &translated)
	})
}

// deviceCommand is what commands look like here. The id is made of what came, which has the time in it:
// so a repetition is known as one.
func deviceCommand(m *bridge.Incoming, writes []payload.SparkplugWrite) []byte {
	sum := sha256.Sum256(append([]byte(m.Topic+"\x00"), m.Payload...))
	b := append([]byte(`{"id":"sparkplug-`), hex.EncodeToString(sum[:12])...)
	b = append(b, `","write":{`...)
	for i, w := range writes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(message.Text(w.Name).AppendJSON(b), ':')
		b = w.Value.AppendJSON(b)
	}
	return append(b, "}}"...)
}

// Moved implements bridge.Mover: every link to an MQTT broker does.
func (l *sparkplugLink) Moved() (written, reached int64) { return l.Link.(bridge.Mover).Moved() }

// Close waits until nobody uses the link any more.
func (l *sparkplugLink) Close() error {
	err := l.Link.Close()
	l.workers.Wait()
	return err
}
