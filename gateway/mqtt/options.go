package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/transport"
)

// Options say where to listen and what to allow. Zero means the default.
type Options struct {
	Listen    []string   // host:port of each address for plain TCP
	Listeners []Listener // the addresses with settings of their own

	// Anonymous tells Access that clients may come without a user name, at the addresses of Listen.
	Anonymous bool
	// Access decides who gets in and what they may do; without one anonymous clients get in where
	// Anonymous says so, and may do everything.
	Access Access

	// Readable gives the payload that clients get of a message which is stored in another form. encoding, if
	// not empty, names the form of one that could not be made readable, and MQTT 5 clients are told in
	// a user property. nil: all payloads go out as they are stored.
	Readable func(m *message.Record) (payload []byte, encoding string)
	// Tell adds what the rest of the gateway has to say below $SYS, every few seconds; nil: nothing.
	Tell func(add func(topic string, payload []byte))

	Version          string        // of the gateway, for $SYS/broker/version
	MaxKeepAlive     time.Duration // longest keep-alive of MQTT 5 clients, in seconds; 0: what they ask
	MaxPacket        int           // bytes of the largest packet; default 1 MiB
	MaxConnections   int           // default 1,000
	MaxSubscriptions int           // filters of one client; default 1,000
	MaxLevels        int           // levels of a topic or filter; default 128
	MaxRate          int           // messages a second that are taken from one client; 0: as many as come
	Window           int           // QoS 1 messages on their way to one client; default 100
}

// Listener is one address with settings of its own.
type Listener struct {
	transport.Spec
	Anonymous bool // as in Options, for this address
}

// listeners are all addresses alike.
func (o *Options) listeners() (all []Listener) {
	for _, address := range o.Listen {
		all = append(all, Listener{transport.Spec{Address: address}, o.Anonymous})
	}
	return append(all, o.Listeners...)
}

// open says whether anybody who reaches the address gets in.
func (l *Listener) open() bool {
	return l.Anonymous && (l.TLS == nil || l.TLS.ClientCA == "" || l.TLS.Optional)
}

const (
	connectTimeout = 10 * time.Second       // from accept to the end of CONNECT
	answerTime     = 500 * time.Millisecond // of it, for the CONNACK
	writeTimeout   = 30 * time.Second       // a peer that takes no byte for so long is dead
	settleTimeout  = 5 * time.Second        // for the log to answer what a session's client has published
	willTimeout    = 5 * time.Second        // for the log to take a will, as the connection ends
	lingerTimeout  = time.Second            // for the last answers to reach a client that we leave
	fullPause      = 250 * time.Millisecond
	behindLimit    = 10 * time.Second // then a QoS 0 subscriber with a full socket is skipped ahead

	lingerLimit        = 1 << 20   // bytes that are read away meanwhile
	connectLimit       = 128 << 10 // bytes of a CONNECT: it comes from anybody
	maxUnanswered      = 2048      // answers that one connection is owed; a power of two
	maxUnansweredBytes = 4 << 20   // of the publishes among them
	receiveMaximum     = 1024      // publishes of an MQTT 5 client that are not answered to their end
	maxClientID        = 256       // bytes
	deliverAtOnce      = 256       // records a subscriber is handed in one turn
	defaultMaxPacket   = 1 << 20
)

func (o Options) withDefaults() (Options, error) {
	for _, field := range []struct {
		name           string
		value          *int
		otherwise, max int
	}{
		{"max packet", &o.MaxPacket, defaultMaxPacket, 256 << 20},
		{"max connections", &o.MaxConnections, 1000, 1 << 20},
		{"max subscriptions", &o.MaxSubscriptions, 1000, 1 << 20},
		{"max levels", &o.MaxLevels, 128, 65535},
		{"window", &o.Window, 100, 250}, // so many the log remembers of a session in any case
	} {
		if *field.value == 0 {
			*field.value = field.otherwise
		}
		if *field.value < 1 || *field.value > field.max {
			return o, fmt.Errorf("mqtt: %s is %d, it can be 1 to %d", field.name, *field.value, field.max)
		}
	}
	if len(o.Listen)+len(o.Listeners) == 0 {
		return o, errors.New("mqtt: no address to listen on")
	}
	if o.Access == nil {
		o.Access = everybody{}
	}
	return o, nil
}

// everybody is the Access of a server that was given none.
type everybody struct{}

func (everybody) Connect(_ context.Context, a *Attempt) Grant {
	if !a.Anonymous {
		return nil
	}
	return everything{}
}

type everything struct{}

func (everything) Publish(string) bool   { return true }
func (everything) Subscribe(string) bool { return true }
func (everything) Receive(string) bool   { return true }
