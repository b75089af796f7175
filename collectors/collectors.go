// Package collectors polls devices on schedule and turns every poll into one message with the next
// sequence number. It hides timing, back-off and device state; what is spoken on the wire is a
// Driver's business, one folder each.
package collectors

import (
	"context"
	"encoding/json"

	"sluice/gateway/message"
)

// Driver makes devices of one kind. Options gives a fresh struct with defaults that the
// configuration is decoded into; Open takes that struct back and touches no network.
type Driver interface {
	Options() any
	Open(name string, options any) (Device, error)
}

// Device is one opened device. A Poller calls its methods one at a time.
type Device interface {
	// Points describes what Read fills in, in the order of the configuration. It never changes. A
	// Reporter that tells what it likes may name none.
	Points() []Spec
	// Read polls every point once and fills r.Points in the order of Points. A point
	// that failed carries its own error. The returned error means that the device as a whole did
	// not answer; then r is not used. Connections are opened as needed and closed after an error
	// that leaves the wire in doubt. Read returns soon after ctx ends.
	Read(ctx context.Context, r *message.Reading) error
	// Close lets go of connections. Closing again does nothing; a Read after it connects anew.
	Close() error
}

// Spec is what the configuration says of one point, whatever the driver.
type Spec struct {
	Name, Unit string // Unit is for people; "" is none
	Policy     Policy
	Writable   bool // commands may write it
}

// Divisible is a Device of which some points can be read alone, which scan groups need.
type Divisible interface {
	// Part gives a device that has the points with these indexes only. It shares the connection and
	// whatever was learned about the device with the whole; one of them is read at a time. The
	// connection is let go of when the whole and all parts that were read are closed.
	Part(points []int) Device
}

// Reporter is a Device that speaks unasked: it is listened to instead of being read.
type Reporter interface {
	// Report listens until ctx ends and hands each reading to take, with its Points and, where the
	// device tells it, its Time. take returns nil once the reading is durable: only then may the
	// device be told that it was heard. An error of Report means that there is nothing to listen to.
	Report(ctx context.Context, take func(context.Context, *message.Reading) error) error
}

// Writer is a Device whose points can be written. Write may be called while a Read runs and waits
// for its turn. It sends the value once, never again by itself, reads it back and gives what the
// device then says. An error that leaves open whether the device took the value says
// "outcome unknown".
type Writer interface {
	Write(ctx context.Context, point string, value json.RawMessage) (message.Value, error)
}

// Sink is where readings go; the broker is the one that the gateway uses.
type Sink interface {
	// Publish takes a copy of m and returns once m has its place in the log; ack hears later
	// whether it is durable. After an error m has not been taken and its Seq is free again.
	Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error
	// Sequence gives the log's epoch and the device's last durable sequence number.
	Sequence(device string) (epoch, last uint64, err error)
}
