package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// The ring against a plain list that keeps everything: what is there is the end of it.
func TestRingKeepsTheLastFrames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r := newRing(1+random.IntN(20), 64+random.IntN(400))
		var all [][]byte
		for i := range 300 {
			b := bytes.Repeat([]byte{byte(i)}, 1+random.IntN(100))
			all = append(all, b)
			if seq := r.put(time.Unix(0, int64(i)), Out, b, "d", "p", ""); seq != uint64(i+1) {
				t.Fatalf("frame %d has the number %d", i, seq)
			}
			frames := r.recent(0)
			if len(frames) == 0 || frames[len(frames)-1].Seq != uint64(i+1) {
				t.Fatalf("after frame %d the newest is not there", i)
			}
			used := 0
			for _, f := range frames {
				whole := all[f.Seq-1]
				if !bytes.Equal(f.Bytes, whole[:len(whole)-f.Cut]) || f.At.UnixNano() != int64(f.Seq-1) {
					t.Fatalf("frame %d is %x, cut by %d; was %x", f.Seq, f.Bytes, f.Cut, whole)
				}
				used += len(f.Bytes)
			}
			if used > r.maxBytes || len(frames) > r.maxFrames {
				t.Fatalf("%d frames with %d bytes, at most %d and %d", len(frames), used, r.maxFrames, r.maxBytes)
			}
		}
	}
}

func TestRingUsesItsRoom(t *testing.T) {
	r := newRing(512, 128<<10)
	for range 2000 {
		r.put(time.Now(), In, make([]byte, 256), "d", "p", "")
	}
	if got := len(r.recent(0)); got != 512 {
		t.Errorf("%d frames of 256 bytes are kept, want 512", got)
	}
	if got := len(r.recent(1990)); got != 10 {
		t.Errorf("%d frames after number 1990, want 10", got)
	}
	if r.recent(2000) != nil || newRing(1, 64).recent(0) != nil {
		t.Error("frames that do not exist")
	}
}

func TestRingAllocatesNothing(t *testing.T) {
	r := newRing(linkFrames, linkBytes)
	b := make([]byte, 260)
	now := time.Now()
	if got := testing.AllocsPerRun(1000, func() { r.judge(r.put(now, In, b, "meter", "modbus-tcp", ""), "x") }); got != 0 {
		t.Errorf("%v allocations a frame, want none", got)
	}
}

func TestWatchShowsFramesAndTheirVerdicts(t *testing.T) {
	p := newPort("line", "bus line", newRing(8, 1<<10), Settings{})
	put := func(text string) uint64 {
		return p.frames.put(time.Now(), In, []byte(text), "meter", "custom", "")
	}
	first := put("1")
	w := p.Watch(0)
	defer w.Close()
	next := func(want string) {
		t.Helper()
		f, err := w.Next(t.Context())
		if got := fmt.Sprintf("%d %s %s", f.Seq, f.Bytes, f.Verdict); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	next("1 1 ")
	var meanwhile sync.WaitGroup
	meanwhile.Go(func() { put("2") })
	next("2 2 ")
	meanwhile.Wait()
	p.frames.judge(first, "bad checksum") // has been seen, so it comes again
	p.frames.judge(put("3"), "refused")   // has not
	next("1 1 bad checksum")
	next("3 3 refused")
	for i := range 20 {
		put(fmt.Sprint(i + 4))
	}
	next("16 16 ")
	if got := w.Dropped(); got != 12 {
		t.Errorf("%d frames went unseen, want 12", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 7 {
		if _, err := w.Next(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	w.Close()
	if _, err := w.Next(t.Context()); !errors.Is(err, ErrClosed) || len(p.frames.watches) != 0 {
		t.Errorf("after close: got %v and %d watches", err, len(p.frames.watches))
	}
}

func TestDriversJudgeFrames(t *testing.T) {
	line := newLine(t)
	c := on(t, fast(line.Path()))
	serve(t, line, exclaim)
	want(t, c, "a?", "a!")
	c.Verdict(Damaged, "the checksum is wrong")
	want(t, c, "b?", "b!")
	turn, err := c.Take(t.Context(), false)
	must(t, err)
	turn.Refused("exception 2")
	turn.Release()
	frames := c.Port().Recent(0)
	if len(frames) != 4 || frames[1].Verdict != "the checksum is wrong" || frames[3].Verdict != "exception 2" || frames[2].Verdict != "" {
		t.Errorf("got %+v", frames)
	}
	if f := frames[3]; f.Device != "meter" || f.Protocol != "custom" || f.Direction != In || f.At.Before(frames[2].At) {
		t.Errorf("got %+v", f)
	}
	// What the bus knows to be no answer is counted once, and a verdict on nothing falls on no frame.
	if _, err := c.Exchange(t.Context(), Request{Timeout: time.Millisecond, Answer: until('!')}); err == nil {
		t.Error("an answer to no request")
	}
	c.Verdict(Garbled, "nothing came")
	if got := len(c.Port().Recent(0)); got != 4 || c.Port().Recent(3)[0].Verdict != "exception 2" {
		t.Errorf("a verdict on nothing changed a frame: %+v", c.Port().Recent(0))
	}
	if s := c.Port().Stats().Clients[0]; s.Damaged != 1 || s.Garbled != 0 || s.Refused != 1 || s.Answers != 1 || s.NoReply != 1 || s.Exchanges != 3 {
		t.Errorf("got %+v", s)
	}
}

func TestBusyShareAndCycleOfTheLastMinute(t *testing.T) {
	var m minute
	at := func(age time.Duration, busy, cycle time.Duration) {
		s := m.at(age)
		s.busy += busy
		s.cycle = max(s.cycle, cycle)
	}
	at(time.Second, 500*time.Millisecond, time.Second)
	if busy, cycle := m.sum(2 * time.Second); busy != 0.25 || cycle != time.Second {
		t.Errorf("after 2 s: %v, %v; want 0.25 and 1s", busy, cycle)
	}
	for age := 5 * time.Second; age < 300*time.Second; age += time.Second {
		at(age, 300*time.Millisecond, 10*time.Millisecond)
	}
	if busy, cycle := m.sum(300*time.Second - 1); busy < 0.29 || busy > 0.31 || cycle != 10*time.Millisecond {
		t.Errorf("after 5 min: %v, %v; want 0.3 and 10ms", busy, cycle)
	}
	if busy, cycle := m.sum(400 * time.Second); busy != 0 || cycle != 0 {
		t.Errorf("after a minute of rest: %v, %v; want nothing", busy, cycle)
	}
}
