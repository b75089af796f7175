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
)

// Uplink is a configured way to one MQTT broker.
type Uplink struct {
	options Options
	address *url.URL
	log     *slog.Logger
	reach   reach // tests in simulated time have lines of their own
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
	address, err := o.url()
	if err != nil {
		return nil, fmt.Errorf("mqtt uplink: address %w", err)
	}
	if o.ClientID == "" {
		o.ClientID = gateway
	}
	if log == nil {
		log = slog.Default()
	}
	return &Uplink{options: o, address: address, log: log, reach: overTCP}, nil
}

// Connect opens one connection and logs in. Each has a paho client of its own: one that reconnects
// would complete the tokens of messages that nobody has.
func (u *Uplink) Connect(ctx context.Context) (bridge.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, u.options.ConnectTimeout)
	defer cancel()
	password, err := u.options.password()
	if err != nil {
		return nil, err
	}
	conn, raw, err := u.options.dial(ctx, u.address, u.reach)
	if err != nil {
		return nil, u.explain(ctx, "", err)
	}
	l := newLink(u.log)
	l.line = newLine(conn, raw, l.broken)
	go l.line.send()
	l.client = paho.NewClient(u.clientOptions(l, password))
	if err := l.login(ctx); err != nil {
		l.line.finish(nil)
		<-l.line.done
		return nil, u.explain(ctx, "during the login ", err)
	}
	l.start()
	return l, nil
}

func (u *Uplink) clientOptions(l *link, password string) *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.Servers = []*url.URL{u.address} // paho wants one, but never opens it
	o.SetCustomOpenConnectionFn(l.open)
	o.SetProtocolVersion(4) // else a refused login is tried again as MQTT 3.1
	o.SetClientID(u.options.ClientID)
	o.SetUsername(u.options.Username)
	o.SetPassword(password)
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

// explain says in plain words what went wrong with a connection attempt.
func (u *Uplink) explain(ctx context.Context, when string, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return cause
	} else if cause != nil {
		return fmt.Errorf("no answer from %s %swithin %s", u.address.Host, when, u.options.ConnectTimeout)
	}
	return fmt.Errorf("%s: %w", u.address.Host, plainWords(err))
}
