package mqtt5

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/bridge/mqttline"
)

// Uplink is a configured way to one MQTT 5 broker, which may have several addresses.
type Uplink struct {
	options   Options
	gateway   string
	addresses []*url.URL
	turn      dial.Turn
	log       *slog.Logger
}

// New makes an uplink. It touches neither network nor files. gateway is the client id when the
// options name none.
func New(o Options, gateway string, log *slog.Logger) (*Uplink, error) {
	var problem error
	o.Validate(func(path, text string) {
		if problem == nil {
			problem = fmt.Errorf("mqtt5 uplink: %s %s", path, text)
		}
	})
	if problem != nil {
		return nil, problem
	}
	addresses, err := o.urls()
	if err != nil {
		return nil, fmt.Errorf("mqtt5 uplink: %w", err)
	}
	if o.ClientID == "" {
		o.ClientID = gateway
	}
	if log == nil {
		log = slog.Default()
	}
	return &Uplink{options: o, gateway: gateway, addresses: addresses, log: log}, nil
}

// Connect opens one connection to the first address that works, from the last good one on, and logs
// in. Each connection is a session of its own: what is not acknowledged is sent again from the log.
func (u *Uplink) Connect(ctx context.Context) (bridge.Link, error) {
	var l *link
	err := u.turn.Try(ctx, len(u.addresses), func(ctx context.Context, i int) (err error) {
		ctx, cancel := context.WithTimeout(ctx, u.options.ConnectTimeout)
		defer cancel()
		l, err = u.open(ctx, u.addresses[i], u.options.ClientID)
		if err == nil {
			l.useless = func() { u.turn.Avoid(i, len(u.addresses)) }
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// open opens a connection to one address and logs in.
func (u *Uplink) open(ctx context.Context, to *url.URL, clientID string) (*link, error) {
	password, err := dial.Secret(u.options.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the password: %w", err)
	}
	conn, raw, err := mqttline.Dial(ctx, u.options.Dial, &u.options.Options, to)
	if err != nil {
		return nil, explain(ctx, to, err)
	}
	l := newLink(u.log, u.options.PerTopic)
	l.line = mqttline.New(conn, raw, newInbound(conn), l.broken)
	go l.line.Run()
	err = dial.Take(ctx, bridge.LoggedIn, func() (string, error) {
		name, err := u.login(ctx, l, clientID, password)
		return fmt.Sprintf("as client %q", name), err
	})
	if err != nil {
		l.line.Finish(nil)
		<-l.line.Done()
		return nil, explain(ctx, to, err)
	}
	l.start()
	return l, nil
}

// login gives the client id that the broker knows us by.
func (u *Uplink) login(ctx context.Context, l *link, clientID, password string) (name string, err error) {
	l.client = paho.NewClient(paho.ClientConfig{
		Conn:              l.line,
		Session:           session{l},
		PingHandler:       &pinger{paho.NewDefaultPinger(), l.lose},
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){l.enqueue},
		PacketTimeout:     u.options.ConnectTimeout,
	})
	atOnce, largest := uint16(maxCommands), uint32(maxInbound)
	ack, err := l.client.Connect(ctx, &paho.Connect{
		ClientID:     clientID,
		Username:     u.options.Username,
		UsernameFlag: u.options.Username != "",
		Password:     []byte(password),
		PasswordFlag: u.options.PasswordFile != "",
		KeepAlive:    uint16(u.options.KeepAlive / time.Second),
		CleanStart:   true,
		Properties: &paho.ConnectProperties{ReceiveMaximum: &atOnce, MaximumPacketSize: &largest,
			RequestProblemInfo: true},
	})
	switch {
	case err == nil:
	case ack != nil && ack.ReasonCode >= 0x80:
		return "", &loginError{because(ack.ReasonCode, ack.Properties.ReasonString)}
	case l.Err() != nil: // knows better why
		return "", l.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return "", &dial.Error{Text: "no answer to the login within " + u.options.ConnectTimeout.String(),
			Hint: "does it speak MQTT at this port?", Cause: err}
	default:
		return "", mqttline.Explain(err)
	}
	l.welcome(ack)
	return l.client.ClientID(), nil
}

// explain says in plain words what went wrong with a connection attempt.
func explain(ctx context.Context, to *url.URL, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return cause
	}
	return fmt.Errorf("%s: %w", to.Host, mqttline.Explain(err))
}

// pinger is paho's, but says what it has found before paho closes the connection over it.
type pinger struct {
	*paho.DefaultPinger
	lose func(error)
}

// Run keeps the line alive until ctx ends or an answer fails to come.
func (p *pinger) Run(ctx context.Context, conn net.Conn, keepAlive uint16) error {
	err := p.DefaultPinger.Run(ctx, conn, keepAlive)
	if err != nil && ctx.Err() == nil {
		p.lose(fmt.Errorf("the cloud does not answer any more: %w", err))
	}
	return err
}
