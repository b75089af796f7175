package mqtt

import (
	"errors"
	"fmt"

	"sluice/gateway/mqtt/packet"
)

// check holds a packet from the server against what the client has done.
func (w *wire) check(frame packet.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.judgeLocked(frame); err != nil {
		w.t.Errorf("the server sent %s %x %x: %v", frame.Type, frame.Flags, frame.Body, err)
	}
}

func (w *wire) judgeLocked(frame packet.Frame) error {
	switch size := len(frame.Body) + 2; {
	case w.loose && !w.sent:
		return nil // which version it speaks nobody knows
	case w.over:
		return errors.New("behind its DISCONNECT [MQTT-3.14.4-1]")
	case size > w.maxPacket:
		return fmt.Errorf("%d bytes, the client takes %d [MQTT-3.1.2-24]", size, w.maxPacket)
	case (frame.Type == packet.CONNACK) == w.accepted:
		return errors.New("CONNACK comes first, and once [MQTT-3.2.0-1, MQTT-3.2.0-2]")
	}
	switch frame.Type {
	case packet.CONNACK:
		return w.connackLocked(frame)
	case packet.PUBLISH:
		return w.publishLocked(frame)
	case packet.PUBACK, packet.PUBREC, packet.PUBCOMP, packet.PUBREL:
		return w.ackLocked(frame)
	case packet.SUBACK:
		var s packet.Suback
		err := s.Decode(frame, w.version)
		if codes, owed := w.subacks[s.ID]; err == nil && !w.loose && (!owed || codes != len(s.Codes)) {
			err = fmt.Errorf("SUBSCRIBE had %d filters [MQTT-3.8.4-6]", codes)
		}
		delete(w.subacks, s.ID)
		return err
	case packet.UNSUBACK:
		var u packet.Unsuback
		err := u.Decode(frame, w.version)
		return w.owedLocked(err, w.unsubacks, u.ID)
	case packet.PINGRESP:
		if w.pings--; w.pings < 0 && !w.loose {
			return errors.New("nobody asked [MQTT-3.12.4-1]")
		}
		return new(packet.Ping).Decode(frame, w.version)
	case packet.DISCONNECT:
		w.over = true
		if w.version != packet.V5 {
			return errors.New("before MQTT 5 no server says so")
		}
		return new(packet.Disconnect).Decode(frame, w.version)
	}
	return errors.New("no server sends this")
}

// owedLocked takes one from a debt, which must be there.
func (w *wire) owedLocked(err error, debt map[uint16]int, id uint16) error {
	debt[id]--
	if err == nil && debt[id] < 0 && !w.loose {
		err = errors.New("nobody asked for it [MQTT-2.2.1-5]")
	}
	return err
}

func (w *wire) connackLocked(frame packet.Frame) error {
	var c packet.Connack
	if err := c.Decode(frame, w.version); err != nil {
		return err
	}
	w.accepted = c.Code == packet.Success
	if c.SessionPresent && !w.resume && !w.loose {
		return errors.New("session present after a clean start [MQTT-3.2.2-2]")
	}
	return nil
}

func (w *wire) publishLocked(frame packet.Frame) error {
	var p packet.Publish
	if err := p.Decode(frame, w.version); err != nil {
		return err
	}
	if alias, ok := p.Properties.Number(packet.TopicAlias); ok {
		if alias > w.aliases || len(p.Topic) == 0 && !w.topicAlias[alias] {
			return fmt.Errorf("alias %d, the client takes %d [MQTT-3.3.2-11]", alias, w.aliases)
		}
		w.topicAlias[alias] = true
	}
	switch {
	case p.QoS == 0 || w.loose:
		return nil
	case p.ID == 0 || w.under[p.ID] != 0:
		return fmt.Errorf("the identifier %d is in use [MQTT-2.2.1-4]", p.ID)
	case p.Dup && !w.resume:
		return errors.New("DUP in a new session [MQTT-3.3.1-3]")
	case len(w.under) >= w.window:
		return fmt.Errorf("%d are under way, the client takes %d [MQTT-3.3.4-9]", len(w.under), w.window)
	}
	w.under[p.ID] = []stage{1: withQoS1, 2: withQoS2}[p.QoS]
	return nil
}

func (w *wire) ackLocked(frame packet.Frame) error {
	var a packet.Ack
	if err := a.Decode(frame, w.version); err != nil || w.loose {
		return err
	}
	switch a.Type {
	case packet.PUBACK:
		if len(w.pubacks) == 0 || w.pubacks[0] != a.ID {
			return fmt.Errorf("owed are %v [MQTT-4.3.2-4]", w.pubacks)
		}
		w.pubacks = w.pubacks[1:]
	case packet.PUBREC:
		return w.owedLocked(nil, w.pubrecs, a.ID)
	case packet.PUBCOMP:
		return w.owedLocked(nil, w.pubcomps, a.ID)
	case packet.PUBREL:
		if s := w.under[a.ID]; s != recorded && (s != 0 || !w.resume) {
			return fmt.Errorf("the message is in state %d [MQTT-4.3.3-4]", s)
		}
		w.under[a.ID] = released
	}
	return nil
}
