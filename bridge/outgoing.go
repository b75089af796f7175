package bridge

import "sluice/gateway/message"

// Outgoing is one message on its way up, as a Link is given it.
type Outgoing struct {
	Topic string // where the receiver shall find it
	// Key names what keeps its order: messages of one key arrive in the order of their Sends. It is
	// the topic here.
	Key string
	// ID is the same at every repetition and differs between messages: what a receiver can tell
	// repetitions by.
	ID         string
	Payload    []byte
	QoS        byte
	Retain     bool
	Properties []message.Property // the record's and the Forwarder's marks
	Record     *message.Record    // what it was made of
}
