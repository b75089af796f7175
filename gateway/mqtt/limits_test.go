package mqtt

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A client that sends more than it may is not read for a while; nothing is lost.
func TestAClientIsKeptToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{MaxRate: 100})
		c := r.connect(t, "a")
		began := time.Now()
		for range 350 { // a burst of a second passes
			c.publish(0, 0, "t", "x")
		}
		c.send("c000")
		c.expect("d000")
		if took := time.Since(began); took < 2400*time.Millisecond || took > 2600*time.Millisecond {
			t.Errorf("350 messages took %v, want two seconds and a half", took)
		}
		if got := len(r.log.messages()); got != 350 {
			t.Errorf("the log has %d messages, want 350", got)
		}
	})
}

// One client cannot fill what the log takes at a time.
func TestBytesUnderWayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.log.hold()
		c := r.connect(t, "a")
		payload := strings.Repeat("x", 900<<10)
		go func() {
			for id := range uint16(10) {
				c.publish(1, id+1, "t", payload)
			}
		}()
		synctest.Wait()
		if got := r.log.waitingAcks(); got != maxUnansweredBytes/len(payload) {
			t.Errorf("%d messages of 900 KiB wait for the log", got)
		}
		for range 10 {
			r.log.release(1, nil)
			synctest.Wait()
		}
		if got := len(r.log.messages()); got != 10 {
			t.Errorf("the log has %d messages, want 10", got)
		}
	})
}
