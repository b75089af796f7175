package mqtt

import (
	"errors"
	"fmt"
	"time"
)

// Options say where to listen and what to allow. Zero means the default.
type Options struct {
	Listen []string // host:port of each address

	// Anonymous lets clients in that give no user name. Without it, and without Authenticate,
	// nobody gets in.
	Anonymous bool
	// Authenticate says whether a password belongs to a user. It may take its time over a slow hash:
	// two run at once, the others wait. It must not keep password.
	Authenticate func(user string, password []byte) bool

	// Access decides who may connect and what they may do.
	Access Access

	MaxPacket        int // bytes of the largest packet; default 1 MiB
	MaxConnections   int // default 1,000
	MaxSubscriptions int // filters of one client; default 1,000
	MaxLevels        int // levels of a topic or filter; default 128
	Window           int // QoS 1 messages on their way to one client; default 100
}

const (
	connectTimeout = 10 * time.Second // from accept to the end of CONNECT
	writeTimeout   = 30 * time.Second // a peer that takes no byte for so long is dead
	willTimeout    = 5 * time.Second  // for the log to take a will, as the connection ends
	lingerTimeout  = time.Second      // for the last answers to reach a client that we leave
	fullPause      = 250 * time.Millisecond
	behindLimit    = 10 * time.Second // then a QoS 0 subscriber with a full socket is skipped ahead

	connectLimit     = 128 << 10 // bytes of a CONNECT: it comes from anybody
	maxUnacked       = 1024      // publishes of one connection that the log has not answered
	deliverAtOnce    = 256       // records a subscriber is handed in one turn
	passwordsAtOnce  = 2
	defaultMaxPacket = 1 << 20
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
		{"window", &o.Window, 100, 65535}, // packet identifiers have 16 bits
	} {
		if *field.value == 0 {
			*field.value = field.otherwise
		}
		if *field.value < 1 || *field.value > field.max {
			return o, fmt.Errorf("mqtt: %s is %d, it can be 1 to %d", field.name, *field.value, field.max)
		}
	}
	if len(o.Listen) == 0 {
		return o, errors.New("mqtt: no address to listen on")
	}
	return o, nil
}
