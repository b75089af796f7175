// Package message is the vocabulary that every other package shares: messages, the records they
// become in the log, readings, topics and filters. It imports nothing of ours and keeps no state.
package message

import "errors"

// Position is a message's place in the log's one sequence. The first message has position 1;
// 0 means "before everything".
type Position uint64

// Message is what a producer hands to the broker, whichever protocol it speaks.
type Message struct {
	Topic   string // a full MQTT topic without wildcards
	Payload []byte
	Time    int64 // Unix milliseconds at which the gateway took it; 0: the broker fills it in
	QoS     byte  // the MQTT QoS it was published with
	Retain  bool

	// Queue is the number of its queue within QueueTopic(Topic), which the broker chooses by QueueOf
	// unless a RocketMQ producer did; NoQueue: it belongs to none.
	Queue byte

	// Device and Seq are set on readings only: the log keeps Seq as the device's last sequence
	// number in the same transaction that makes the message durable.
	Device string
	Seq    uint64

	// Client is the identifier of the client that published it, empty for the gateway itself.
	Client string

	Properties []Property
}

// Delivery is a record on its way to one reader, on its own account (Share 0) or as a member of a
// shared subscription, which it names. Position 0 is a message that the log does not hold.
type Delivery struct {
	Record
	Share int
}

// Property is one name and value beside the payload: an MQTT 5 user property or a RocketMQ
// property. Names may repeat and their order is kept.
type Property struct{ Name, Value string }

// Record is a message that is in the log. It is read-only and may share memory with other records
// of its block; it stays valid for as long as somebody holds it.
type Record struct {
	Position    Position
	QueueOffset uint64 // its place in its queue, counted from 0; without a queue it means nothing
	Message
}

// Acknowledger is told what became of an accepted append. The log calls it exactly once for each,
// in the order of positions, from one goroutine that everybody shares: it must not block.
// err is nil only when the message would survive a power cut.
type Acknowledger interface {
	Acknowledge(token uint64, at Position, err error)
}

// AcknowledgeFunc lets a function be an Acknowledger.
type AcknowledgeFunc func(token uint64, at Position, err error)

// Acknowledge calls f.
func (f AcknowledgeFunc) Acknowledge(token uint64, at Position, err error) { f(token, at, err) }

// What a producer may be told instead of success. Compare with errors.Is.
var (
	ErrFull     = errors.New("the log is full")       // producers may try again later
	ErrTooLarge = errors.New("message is too large")  // trying again would not help
	ErrClosed   = errors.New("the log is closed")     // the gateway is stopping
	ErrFailed   = errors.New("the log's disk failed") // nothing can be acknowledged until a restart
	ErrTopic    = errors.New("topic is not allowed")  // empty, too long, with wildcards or not UTF-8
)
