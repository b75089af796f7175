package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/bridge/mqttline"
)

// Uplink is a configured way to one MQTT broker, which may have several addresses.
type Uplink struct {
	// Session is asked at the beginning of every connection, if it is there. It is set before the
	// first; a Probe may ask at the same time as a Connect.
	Session func(ctx context.Context) (Session, error)

	options   Options
	gateway   string
	addresses []*url.URL
	turn      dial.Turn
	log       *slog.Logger
	reach     mqttline.Reach // tests in simulated time have lines of their own
}

// New makes an uplink. It touches neither network nor files. gateway is the client id when the
// options name none.
func New(o Options, gateway string, log *slog.Logger) (*Uplink, error) {
	var problem error
	o.Validate(func(path, text string) {
		if problem == nil {
			problem = fmt.Errorf("mqtt uplink: %s %s", path, text)
		}
	})
	if problem != nil {
		return nil, problem
	}
	addresses, err := o.addresses()
	if err != nil {
		return nil, fmt.Errorf("mqtt uplink: %w", err)
	}
	if o.ClientID == "" {
		o.ClientID = gateway
	}
	if log == nil {
		log = slog.Default()
	}
	u := &Uplink{options: o, gateway: gateway, addresses: addresses, log: log}
	u.reach = u.options.Dial
	return u, nil
}

// Connect opens one connection to the first address that works, from the last good one on, logs in
// and says what the session begins with. Each connection has a paho client of its own: one that
// reconnects would complete the tokens of messages that nobody has.
func (u *Uplink) Connect(ctx context.Context) (bridge.Link, error) {
	var l *link
	err := u.turn.Try(ctx, len(u.addresses), func(ctx context.Context, i int) error {
		ctx, cancel := context.WithTimeout(ctx, u.options.ConnectTimeout)
		defer cancel()
		session, err := u.session(ctx)
		if err != nil {
			return err
		}
		if l, err = u.open(ctx, u.addresses[i], session); err != nil {
			return err
		}
		l.useless = func() { u.turn.Avoid(i, len(u.addresses)) }
		if err := l.begin(ctx, session.Births); err != nil {
			l.Close()
			return u.explain(ctx, u.addresses[i], fmt.Errorf("the first messages: %w", err))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// open opens a connection to one address and logs in.
func (u *Uplink) open(ctx context.Context, to *url.URL, session Session) (*link, error) {
	conn, raw, err := mqttline.Dial(ctx, u.reach, &u.options.Options, to)
	if err != nil {
		return nil, u.explain(ctx, to, err)
	}
	l := newLink(u.log)
	l.inbound, l.raw = newInbound(conn), raw
	l.line = mqttline.New(conn, raw, l.inbound, l.broken)
	go l.line.Run()
	if err := l.prepare(session); err != nil {
		l.line.Finish(nil)
		<-l.line.Done()
		return nil, err
	}
	err = dial.Take(ctx, bridge.LoggedIn, func() (string, error) {
		l.client = paho.NewClient(u.clientOptions(l, session))
		return fmt.Sprintf("as client %q", session.Login.ClientID), u.loginWords(ctx, l.login(ctx))
	})
	if err != nil {
		l.line.Finish(nil)
		<-l.line.Done()
		return nil, u.explain(ctx, to, err)
	}
	l.start(session.Until)
	return l, nil
}

func (u *Uplink) clientOptions(l *link, session Session) *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.Servers = []*url.URL{{Scheme: "tcp", Host: "line"}} // paho wants one, but never opens it
	o.SetCustomOpenConnectionFn(l.open)
	o.SetProtocolVersion(4) // else a refused login is tried again as MQTT 3.1
	o.SetClientID(session.Login.ClientID)
	o.SetUsername(session.Login.Username)
	o.SetPassword(session.Login.Password)
	if w := session.Will; w != nil {
		o.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	o.SetCleanSession(true)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetConnectTimeout(u.options.ConnectTimeout)
	o.SetKeepAlive(u.options.KeepAlive)
	o.SetPingTimeout(min(10*time.Second, u.options.KeepAlive))
	// The line takes every byte at once, so this only bounds a Publish that is under way at the
	// moment at which paho's own keep-alive gives up.
	o.SetWriteTimeout(time.Second)
	o.SetOrderMatters(true) // our handler never blocks, and commands keep their order
	o.SetAutoAckDisabled(true)
	o.SetStore(noStore{})
	o.SetConnectionLostHandler(func(_ paho.Client, err error) { l.ended(err) })
	return o
}

// noStore: the log is the store. With a clean session and no reconnection paho never reads its own.
type noStore struct{}

func (noStore) Open()                             {}
func (noStore) Put(string, packets.ControlPacket) {}
func (noStore) Get(string) packets.ControlPacket  { return nil }
func (noStore) All() []string                     { return nil }
func (noStore) Del(string)                        {}
func (noStore) Close()                            {}
func (noStore) Reset()                            {}

// loginWords says why a login failed.
func (u *Uplink) loginWords(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &dial.Error{Text: "no answer to the login within " + u.options.ConnectTimeout.String(),
			Hint: "does it speak MQTT at this port?", Cause: err}
	}
	return mqttline.Explain(err)
}

// explain says in plain words what went wrong with a connection attempt.
func (u *Uplink) explain(ctx context.Context, to *url.URL, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return cause
	}
	return fmt.Errorf("%s: %w", to.Host, mqttline.Explain(err))
}
