package bridge

import (
	"iter"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// Outgoing is one message on its way up, as a Link is given it.
type Outgoing struct {
	Topic string // where the receiver shall find it
	// Key names what keeps its order: messages of one key arrive in the order of their Sends. It is
	// the record's topic.
	Key        string
	Payload    []byte
	QoS        byte
	Retain     bool
	Properties []message.Property // the record's
	Marks      []message.Property // what the Forwarder says beside them: lane and origin
	Origin     string             // gateway and epoch of the log: what ID begins with
	Part       int                // counts the messages that were made of one record, from 0
	Record     *message.Record    // what it was made of
}

// ID is the same at every repetition and differs between messages: a receiver tells repetitions by it.
func (o *Outgoing) ID() string {
	id := make([]byte, 0, len(o.Origin)+28)
	id = append(append(id, o.Origin...), '-')
	id = strconv.AppendUint(id, uint64(o.Record.Position), 10)
	if o.Part > 0 {
		id = strconv.AppendInt(append(id, '.'), int64(o.Part), 10)
	}
	return string(id)
}

// UserProperties gives what a receiver may see: properties and marks, but none that a face of the
// gateway keeps for itself, whose names begin with U+0000.
func (o *Outgoing) UserProperties() iter.Seq[message.Property] {
	return func(yield func(message.Property) bool) {
		for _, list := range [][]message.Property{o.Properties, o.Marks} {
			for _, p := range list {
				if !strings.HasPrefix(p.Name, "\x00") && !yield(p) {
					return
				}
			}
		}
	}
}
