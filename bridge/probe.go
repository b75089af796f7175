package bridge

import (
	"context"
	"time"
)

// Step is one step of a test of an uplink, as it ended.
type Step struct {
	Name   string // what was shown: "port open", "logged in"
	Detail string // what was found, if it went well
	Took   time.Duration
	Err    error // in plain words
}

// Prober is an Uplink that can be tested step by step.
type Prober interface {
	// Probe opens a connection of its own, logs in, sends one message that is marked as a test, and
	// waits for its acknowledgement. Each step is reported as it ends, the last one with the error
	// that is returned. The connection in use is left alone unless the cloud allows only one.
	Probe(ctx context.Context, report func(Step)) error
}

// Names of the steps behind those of the connection, by which people see them.
const (
	LoggedIn     = "logged in"
	Published    = "published"
	Acknowledged = "acknowledged"
)
