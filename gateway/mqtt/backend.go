// Package mqtt is the MQTT listener: it speaks MQTT 3.1.1 with clients and hides connections,
// sessions, packet ids, QoS and limits from the broker behind its Backend.
package mqtt

import (
	"context"

	"sluice/gateway/message"
)

// Backend is the broker as the listener sees it. Its methods may be called from any goroutine.
type Backend interface {
	// Publish takes a copy of m and returns once m has its place in the log; ack hears later, in
	// order, whether it is durable. ack may be nil (QoS 0). It blocks while the log is busy. The
	// errors are those of gateway/message (ErrFull, ErrTooLarge, ErrTopic, ErrClosed, ErrFailed).
	Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error

	// Subscribe opens a subscription that sees what is published from now on and that nothing
	// survives: what a clean session has.
	Subscribe() (Subscription, error)
}

// Subscription is a reader's place in the log together with its filters. It costs the log no
// memory, however far behind it is. Next is called by one goroutine, the rest by any.
type Subscription interface {
	// Add lets messages that match filter through from now on. Remove takes it back.
	Add(filter string)
	Remove(filter string)
	// Next waits for at least one record that matches a filter and appends up to max to dst.
	Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error)
	// Skip drops everything up to now and says how many matching records that was at most: for a
	// QoS 0 subscriber too slow to be worth waiting for.
	Skip() (dropped uint64)
	Close()
}
