package mqtt5

import (
	"context"
	"fmt"
	"io"

	"github.com/eclipse/paho.golang/packets"
	paholog "github.com/eclipse/paho.golang/paho/log"
	pahosession "github.com/eclipse/paho.golang/paho/session"
)

// session is what paho asks about packet ids and tells what came in. Paho's own keeps a copy of every
// message until it is acknowledged; here the log is the store, and each connection begins anew.
type session struct{ link *link }

var _ pahosession.SessionManager = session{}

// ConAckReceived has nothing to repeat.
func (s session) ConAckReceived(io.Writer, *packets.Connect, *packets.Connack) error { return nil }

// ConnectionLost ends the link, with the cloud's reason if it gave one.
func (s session) ConnectionLost(d *packets.Disconnect) error {
	if d == nil {
		s.link.lose(errEnded)
		return nil
	}
	s.link.lose(disconnected(d.ReasonCode, d.Properties.ReasonString, d.Properties.ServerReference))
	return nil
}

// AddToSession gives a SUBSCRIBE its id. Messages do not come this way.
func (s session) AddToSession(_ context.Context, p pahosession.Packet, answer chan<- packets.ControlPacket) error {
	l := s.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return l.Err()
	}
	id := l.freeIDLocked()
	p.SetIdentifier(id)
	l.asked[id] = answer
	return nil
}

// PacketReceived takes an answer of the cloud, or a message, which goes on through paho so that those
// with and without QoS keep their order.
func (s session) PacketReceived(p *packets.ControlPacket, messages chan<- *packets.Publish) error {
	switch content := p.Content.(type) {
	case *packets.Publish:
		messages <- content // there is room for as many as the cloud may send unacknowledged
	case *packets.Puback:
		s.link.acknowledge(content)
	case *packets.Suback:
		s.link.answer(p, content.PacketID)
	default:
		s.link.lose(fmt.Errorf("%w: a packet of type %d", errProtocol, p.Type))
	}
	return nil
}

// Ack does nothing: a message is acknowledged when it has been delivered.
func (s session) Ack(*packets.Publish) error { return nil }

// Close does nothing.
func (s session) Close() error { return nil }

// SetErrorLogger does nothing.
func (s session) SetErrorLogger(paholog.Logger) {}

// SetDebugLogger does nothing.
func (s session) SetDebugLogger(paholog.Logger) {}
