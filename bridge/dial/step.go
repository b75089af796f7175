package dial

import (
	"context"
	"time"
)

// The steps of a connection, by the names that people see.
const (
	NameResolved     = "name resolved"
	PortOpen         = "port open"
	ProxyAnswered    = "proxy answered"
	CertificateValid = "certificate valid"
)

// Step is one step of a connection attempt, as it ended.
type Step struct {
	Name   string
	Detail string // what was found, if it went well
	Took   time.Duration
	Err    error // in plain words
}

type traceKey struct{}

// Traced gives a context under which every step is reported as it ends, from here and from whoever
// calls Take with it. report is called from one goroutine at a time for one connection attempt.
func Traced(ctx context.Context, report func(Step)) context.Context {
	return context.WithValue(ctx, traceKey{}, report)
}

// Take runs one step and reports it to whoever has Traced ctx.
func Take(ctx context.Context, name string, run func() (detail string, err error)) error {
	from := time.Now()
	detail, err := run()
	if report, ok := ctx.Value(traceKey{}).(func(Step)); ok {
		report(Step{Name: name, Detail: detail, Took: time.Since(from), Err: err})
	}
	return err
}
