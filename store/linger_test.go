package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

func lazyQueue() *queue {
	q := newQueue(Options{PendingBytes: 4000, FileSize: defaultFileSize, Linger: defaultLinger})
	q.next = 1
	return &q
}

func deviceReading(device string, size int) *message.Message {
	return &message.Message{Topic: "readings/g/" + device, Device: device, Payload: make([]byte, size)}
}

func mustAppend(t *testing.T, q *queue, m *message.Message, lazy bool) {
	t.Helper()
	if _, err := q.append(t.Context(), m, nil, 0, lazy); err != nil {
		t.Fatal(err)
	}
}

func TestLazyAppendsWaitForCompanyUntilTheLingerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := lazyQueue()
		for range 5 {
			mustAppend(t, q, deviceReading("press", 10), true)
			if g := q.take(takeDue); g != nil {
				t.Fatalf("a group of %d is due at once", g.count)
			}
			time.Sleep(defaultLinger / 6)
		}
		if wait, ok := q.due(); !ok || wait != defaultLinger-5*(defaultLinger/6) {
			t.Errorf("it is due in %s, %v: the first message sets the clock", wait, ok)
		}
		time.Sleep(defaultLinger / 5)
		if g := q.take(takeDue); g == nil || g.count != 5 {
			t.Errorf("after the linger got %v, want a group of 5", g)
		}
	})
}

func TestLingerEndsWhenSomebodyCannotWait(t *testing.T) {
	for name, hurry := range map[string]func(t *testing.T, q *queue){
		"a client waits": func(t *testing.T, q *queue) {
			mustAppend(t, q, deviceReading("press", 10), false)
		},
		"a poller nears its bound": func(t *testing.T, q *queue) {
			for range lingerReadings - 1 {
				mustAppend(t, q, deviceReading("press", 10), true)
			}
		},
		"the log closes": func(_ *testing.T, q *queue) { q.close() },
		"a producer is held back": func(t *testing.T, q *queue) {
			mustAppend(t, q, deviceReading("saw", 3000), true)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := q.append(ctx, deviceReading("saw", 3000), nil, 0, true); !errors.Is(err, context.Canceled) {
				t.Errorf("it was not held back: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := lazyQueue()
				mustAppend(t, q, deviceReading("press", 10), true)
				<-q.wanted // its clock is set
				if g := q.take(takeDue); g != nil {
					t.Fatal("it is due before anything happened")
				}
				hurry(t, q)
				if !q.closed { // drain takes it then
					select {
					case <-q.wanted:
					default:
						t.Error("the committer is not told")
					}
				}
				if g := q.take(takeDue); g == nil {
					t.Error("it still lingers")
				}
			})
		})
	}
}

func TestManyDevicesLingerTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := lazyQueue()
		for i := range 20 {
			mustAppend(t, q, deviceReading(string(rune('a'+i)), 10), true)
		}
		if g := q.take(takeDue); g != nil {
			t.Errorf("one reading each of 20 devices is due at once")
		}
		if g := q.take(takeFull); g != nil {
			t.Errorf("a group that may be joined was taken for a full one")
		}
		if g := q.take(takeAny); g == nil || g.count != 20 {
			t.Errorf("a transaction that is written anyway got %v", g)
		}
	})
}

func TestMessageOfAClientAfterATakenGroupWakesTheCommitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := lazyQueue()
		mustAppend(t, q, deviceReading("press", 10), false)
		<-q.wanted
		mustAppend(t, q, deviceReading("press", 10), true) // joins
		if q.take(takeDue) == nil {
			t.Fatal("nothing to take")
		}
		mustAppend(t, q, deviceReading("press", 10), true)
		<-q.wanted
		if q.take(takeDue) != nil {
			t.Fatal("the new group does not linger")
		}
		mustAppend(t, q, deviceReading("press", 10), false)
		select {
		case <-q.wanted:
		default:
			t.Error("the committer sleeps although a client waits")
		}
	})
}

// TestAppendAllocatesNothingPerMessage counts what a stream of readings allocates up to the committer:
// buffers of groups, and nothing that grows with the messages in them.
func TestAppendAllocatesNothingPerMessage(t *testing.T) {
	q := newQueue(Options{PendingBytes: 8 << 20, FileSize: defaultFileSize})
	q.next = 1
	m := deviceReading("press", 256)
	var ack message.Acknowledger = message.AcknowledgeFunc(func(uint64, message.Position, error) {})
	const messages = 4000
	allocs := testing.AllocsPerRun(10, func() {
		for i := range messages {
			if _, err := q.append(t.Context(), m, ack, uint64(i), false); err != nil {
				t.Fatal(err)
			}
		}
		for g := q.take(takeAny); g != nil; g = q.take(takeAny) {
			q.release(g)
		}
	})
	if allocs > messages/40 { // some for each of the three groups that they make
		t.Errorf("%v allocations for %d messages", allocs, messages)
	}
}
