// Package storetest opens logs for tests, runs them, and checks their consistency when the test
// ends. It hides the life cycle of a store.
package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
)

// Log is a running store in a directory of the test.
type Log struct {
	*store.Store
	Dir string

	t       testing.TB
	options store.Options
	stop    context.CancelFunc
	ran     chan error
}

// Open opens a log in a new directory and runs it. When the test ends it is stopped, closed and
// checked; anything that the check finds fails the test. Small files keep tests quick; change may
// set other options.
func Open(t testing.TB, change ...func(*store.Options)) *Log {
	t.Helper()
	options := store.Options{Dir: t.TempDir(), FileSize: 1 << 20}
	for _, c := range change {
		c(&options)
	}
	l := &Log{Dir: options.Dir, t: t, options: options}
	l.start()
	t.Cleanup(l.end)
	return l
}

// In keeps the log in dir instead of a new directory.
func In(dir string) func(*store.Options) {
	return func(o *store.Options) { o.Dir = dir }
}

// Reopen closes the log in an orderly way, checks it, and opens it again. What was returned by the
// old one is of no use any more.
func (l *Log) Reopen() {
	l.t.Helper()
	l.end()
	l.start()
}

// Restart is Reopen for a log that has failed: that Close says so is no mistake.
func (l *Log) Restart() {
	l.t.Helper()
	l.stop()
	<-l.ran
	if err := l.Close(); !errors.Is(err, message.ErrFailed) {
		l.t.Errorf("close a log that failed: %v, want %v", err, message.ErrFailed)
	}
	Check(l.t, l.Dir)
	l.start()
}

func (l *Log) start() {
	l.t.Helper()
	opened, err := store.Open(l.options)
	if err != nil {
		l.t.Fatalf("open the log: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.Store, l.stop, l.ran = opened, stop, make(chan error, 1)
	go func() { l.ran <- opened.Run(ctx) }()
}

func (l *Log) end() {
	l.t.Helper()
	l.stop()
	select {
	case err := <-l.ran:
		if err != nil {
			l.t.Errorf("run the log: %v", err)
		}
	case <-time.After(time.Minute):
		l.t.Fatal("the log does not stop")
	}
	if err := l.Close(); err != nil {
		l.t.Errorf("close the log: %v", err)
	}
	Check(l.t, l.Dir)
}

// Check fails the test on anything that is not as it should be in the closed log in dir.
func Check(t testing.TB, dir string) store.Report {
	t.Helper()
	report, err := store.Check(dir)
	if err != nil {
		t.Errorf("check the log: %v", err)
	}
	for _, finding := range report.Findings {
		t.Errorf("check the log: %s", finding)
	}
	return report
}

// Append appends messages and waits until all are durable; it gives the position of the last.
func (l *Log) Append(messages ...message.Message) message.Position {
	l.t.Helper()
	var mu sync.Mutex
	var last message.Position
	var failure error
	var all sync.WaitGroup
	ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
		mu.Lock()
		defer mu.Unlock()
		last = at
		if err != nil {
			failure = err
		}
		all.Done()
	})
	for i := range messages {
		all.Add(1)
		if err := l.Store.Append(l.t.Context(), &messages[i], ack, uint64(i)); err != nil {
			l.t.Fatalf("append message %d: %v", i, err)
		}
	}
	all.Wait()
	if failure != nil {
		l.t.Fatalf("append: %v", failure)
	}
	return last
}
