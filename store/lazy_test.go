package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// longLinger is longer than any test: only company ends it.
func longLinger(o *store.Options) { o.Linger = time.Hour }

func TestLazyAppendsShareTheSyncOfAClient(t *testing.T) {
	l := storetest.Open(t, longLinger)
	var acked atomic.Int64
	ack := message.AcknowledgeFunc(func(token uint64, at message.Position, err error) {
		if err != nil || uint64(at) != token || acked.Add(1) != int64(token) {
			t.Errorf("acknowledgement %d is for %d with %v", token, at, err)
		}
	})
	for i := range uint64(10) {
		m := message.Message{Topic: "readings/g/d", Payload: []byte("x"), Device: "d", Seq: i + 1}
		if err := l.AppendLazy(t.Context(), &m, ack, i+1); err != nil {
			t.Fatal(err)
		}
	}
	if tail, _ := l.Tail(); tail != 0 || acked.Load() != 0 {
		t.Errorf("the log ends at %d, %d are acknowledged, before any sync", tail, acked.Load())
	}
	l.Append(text("a client waits"))
	if acked.Load() != 10 {
		t.Errorf("%d lazy ones are acknowledged, want 10", acked.Load())
	}
}

func TestCursorTakesLazyAppendsAlong(t *testing.T) {
	l := storetest.Open(t, longLinger)
	m := message.Message{Topic: "readings/g/d", Payload: []byte("x"), Device: "d", Seq: 1}
	if err := l.AppendLazy(t.Context(), &m, nil, 0); err != nil {
		t.Fatal(err)
	}
	c, err := l.OpenCursor("uplink", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tail, _ := l.Tail(); tail != 1 {
		t.Errorf("the log ends at %d, want 1", tail)
	}
}

func TestLingerEndsByItself(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) { o.Linger = 10 * time.Millisecond })
	_, grown := l.Tail()
	m := message.Message{Topic: "readings/g/d", Payload: []byte("x"), Device: "d", Seq: 1}
	if err := l.AppendLazy(t.Context(), &m, nil, 0); err != nil {
		t.Fatal(err)
	}
	select {
	case <-grown:
	case <-time.After(30 * time.Second):
		t.Error("nothing was committed")
	}
}
