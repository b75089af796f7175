package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"sluice/bridge"
	"sluice/bridge/dial"
)

// probeSuffix makes the test's client id another than that of the connection in use, which the
// broker would end otherwise [MQTT-3.1.4-2].
const probeSuffix = "-test"

// Probe tries the addresses in their order until one works, and publishes a message of its own
// there. It leaves the connection in use alone, unless a Session fixes the client id.
func (u *Uplink) Probe(ctx context.Context, report func(bridge.Step)) error {
	var turn dial.Turn // the test begins with the first and leaves the uplink's own turn as it is
	return turn.Try(ctx, len(u.addresses), func(ctx context.Context, i int) error {
		to := u.addresses[i]
		return u.probe(dial.Traced(ctx, func(s dial.Step) {
			if len(u.addresses) > 1 && s.Err == nil {
				s.Detail = to.Host + ": " + s.Detail
			} else if len(u.addresses) > 1 {
				s.Err = fmt.Errorf("%s: %w", to.Host, s.Err)
			}
			report(bridge.Step(s))
		}), to)
	})
}

func (u *Uplink) probe(ctx context.Context, to *url.URL) error {
	ctx, cancel := context.WithTimeout(ctx, u.options.ConnectTimeout)
	defer cancel()
	session, err := u.probeSession(ctx)
	if err != nil {
		return dial.Take(ctx, bridge.LoggedIn, func() (string, error) { return "", err })
	}
	l, err := u.open(ctx, to, session)
	if err != nil {
		return err
	}
	defer l.Close()
	return u.probeMessage(ctx, l)
}

// probeSession has neither births nor will: the test is not the gateway that comes or goes.
func (u *Uplink) probeSession(ctx context.Context) (Session, error) {
	session, err := u.session(ctx)
	if err != nil {
		return Session{}, err
	}
	login := *session.Login
	if u.Session == nil && len(login.ClientID)+len(probeSuffix) <= 65535 {
		login.ClientID += probeSuffix
	}
	return Session{Login: &login}, nil
}

func (u *Uplink) probeMessage(ctx context.Context, l *link) error {
	topic := u.options.TestTopic
	if topic == "" {
		topic = "sluice/test/" + u.gateway
	}
	payload, err := json.Marshal(map[string]any{"test": true, "gateway": u.gateway, "ts": time.Now().UnixMilli()})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	err = dial.Take(ctx, bridge.Published, func() (string, error) {
		o := bridge.Outgoing{Topic: topic, Key: topic, Payload: payload, QoS: 1}
		if err := l.Send(ctx, &o, func(err error) { done <- err }); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d bytes to %s", len(payload), topic), l.line.Flush(ctx, l.lost)
	})
	if err != nil {
		return err
	}
	return dial.Take(ctx, bridge.Acknowledged, func() (string, error) {
		select {
		case err := <-done:
			if err != nil {
				return "", &dial.Error{Text: "the cloud has ended the connection at the message",
					Hint: "it may not let us publish to " + topic + ": see test_topic", Cause: err}
			}
			return "", nil
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return "", ctx.Err()
			}
			return "", &dial.Error{Text: fmt.Sprintf("the cloud has not acknowledged the message within %s", u.options.ConnectTimeout),
				Hint: "it may not let us publish to " + topic + ": see test_topic"}
		}
	})
}
