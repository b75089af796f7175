package mqtt

import (
	"context"
	"crypto/x509"
)

// Access decides who may connect and what they may do. Its methods may be called from any goroutine.
type Access interface {
	// Connect decides on an attempt. It may take its time: hashes are made to be slow, and failed
	// attempts are slowed down. A nil Grant is a refusal, which does not say why: nobody shall learn
	// whether a user exists.
	Connect(ctx context.Context, attempt *Attempt) Grant
}

// Attempt is what a client brings along with its CONNECT.
type Attempt struct {
	ClientID    string // as it will be called, also when the server chose the name
	Address     string // host:port of the client, behind a proxy that of the client too
	HasUser     bool
	User        string
	HasPassword bool
	Password    []byte            // must not be kept
	Certificate *x509.Certificate // of the client, verified; nil without one
	Anonymous   bool              // the listener lets in who names no user
}

// Grant is what a client may do.
type Grant interface {
	// Publish says whether the client may publish on a topic.
	Publish(topic string) bool
	// Subscribe says whether it may subscribe to a filter. A shared subscription asks for the filter
	// in it.
	Subscribe(filter string) bool
	// Receive says whether a message on this topic may reach it under a filter that was granted:
	// a wide filter may cover topics that are nobody's.
	Receive(topic string) bool
}
