package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/gateway/message"
)

// Session is what the options cannot say of a connection, because it differs from one to the next or
// belongs to a convention on top of MQTT.
type Session struct {
	// Login replaces what the options say, if it is there.
	Login *Login
	// Will is published by the broker when the connection is lost, and by us when we close it:
	// MQTT drops a will at a DISCONNECT, but whoever waits for it wants to know of every end.
	Will *Note
	// Births are sent in their order before anything else. Connect fails when one is not taken.
	Births []Note
	// Until is when the login expires; the zero time is never. The link is lost then, so that the
	// next one logs in anew.
	Until time.Time
}

// Login is who we are in the eyes of the broker. An empty Username sends neither it nor Password.
type Login struct{ ClientID, Username, Password string }

// Note is a message that belongs to the connection and not to the log.
type Note struct {
	Topic   string
	Payload []byte
	QoS     byte // 0 or 1
	Retain  bool
}

// session asks for what this connection shall be like, and fills in what the options say.
func (u *Uplink) session(ctx context.Context) (Session, error) {
	var session Session
	if u.Session != nil {
		var err error
		if session, err = u.Session(ctx); err != nil {
			return Session{}, err
		}
	}
	if session.Login == nil {
		password, err := dial.Secret(u.options.PasswordFile)
		if err != nil {
			return Session{}, fmt.Errorf("cannot read the password: %w", err)
		}
		session.Login = &Login{ClientID: u.options.ClientID, Username: u.options.Username, Password: password}
	}
	return session, nil
}

// farewell is what is sent at the end of a connection that we close ourselves.
func (s *Session) farewell() ([]byte, error) {
	if s.Will == nil {
		return disconnect, nil
	}
	if err := message.CheckTopic(s.Will.Topic); err != nil {
		return nil, fmt.Errorf("the topic of the will: %w", err)
	}
	var b bytes.Buffer
	will := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	// QoS 0: nobody is left to wait for an answer.
	will.TopicName, will.Payload, will.Retain = s.Will.Topic, s.Will.Payload, s.Will.Retain
	if err := will.Write(&b); err != nil {
		return nil, fmt.Errorf("encode the will: %w", err)
	}
	return append(b.Bytes(), disconnect...), nil
}

// begin sends the births and waits until each is taken.
func (l *link) begin(ctx context.Context, births []Note) error {
	for i := range births {
		b := &births[i]
		done := make(chan error, 1)
		o := bridge.Outgoing{Topic: b.Topic, Key: b.Topic, Payload: b.Payload, QoS: b.QoS, Retain: b.Retain}
		if err := l.Send(ctx, &o, func(err error) { done <- err }); err != nil {
			return err
		}
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
