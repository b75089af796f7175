package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
)

func openSession(t testing.TB, s *Store, id string, expiry time.Duration) *Session {
	t.Helper()
	x, _, err := s.OpenSession(id, expiry, false)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func subscribe(t testing.TB, x *Session, filters ...string) {
	t.Helper()
	for _, filter := range filters {
		if err := x.Subscribe(Subscription{Filter: filter, From: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

func reopened(t testing.TB, s *Store, dir string) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return standingWith(t, dir)
}

func TestSessionsExpireOnTheLogClock(t *testing.T) {
	dir := t.TempDir()
	var text bytes.Buffer
	s := standing(t, dir, slog.New(slog.NewTextHandler(&text, nil)))
	appendNow(t, s, "1", "2", "3")
	for _, id := range []string{"away", "connected", "forever", "ends"} {
		x := openSession(t, s, id, time.Hour)
		subscribe(t, x, "t")
		switch id {
		case "away":
			x.Close(time.Hour)
		case "forever":
			x.Close(NeverExpires)
		case "ends":
			x.Close(0)
		}
	}
	if got := len(s.Sessions()); got != 3 {
		t.Fatalf("%d sessions, want 3: one has ended with its connection", got)
	}
	pass(s, 50*time.Minute)
	s.expireSmall()
	s = reopened(t, s, dir)
	if n := len(s.Sessions()); n != 3 {
		t.Fatalf("%d sessions after a restart, want 3", n)
	}
	connected := openSession(t, s, "connected", time.Hour)
	pass(s, 11*time.Minute)
	s.log = slog.New(slog.NewTextHandler(&text, nil))
	s.expireSmall()
	settleAll(s)
	var left []string
	for _, x := range s.Sessions() {
		left = append(left, x.ID)
	}
	if strings.Join(left, " ") != "connected forever" || s.StateStats().SessionsExpired != 1 {
		t.Errorf("left are %v", left)
	}
	if !strings.Contains(text.String(), "session=away") || !strings.Contains(text.String(), "messages=3") {
		t.Errorf("the log says %q", text.String())
	}
	if got := names(s.Cursors()); strings.Count(got, sessionCursor) != 2 {
		t.Errorf("cursors are %q, want two", got)
	}
	// What is open does not expire, and after a kill it is idle only from then on.
	pass(s, 100*time.Hour)
	s.expireSmall()
	settleAll(s)
	copied := copyStill(t, dir)
	connected.Close(time.Hour)
	s = reopened(t, s, copied)
	pass(s, 59*time.Minute)
	s.expireSmall()
	if _, known := s.Session("connected"); !known {
		t.Error("a session that was open at a kill has expired at once")
	}
	pass(s, 2*time.Minute)
	s.expireSmall()
	if _, known := s.Session("connected"); known {
		t.Error("a session that nobody took up again has not expired")
	}
}

// A session and its cursor come and go in one transaction, however little else fits.
func TestSessionsGoWithTheirCursors(t *testing.T) {
	dir := t.TempDir()
	s := standing(t, dir, nil)
	x := openSession(t, s, "c", NeverExpires)
	subscribe(t, x, "a", "b")
	b := newBatch(s.db)
	if list := s.cursors.save(b); len(list) == 0 {
		t.Fatal("nothing was saved")
	} else if err := s.write(b); err != nil {
		t.Fatal(err)
	} else {
		s.cursors.saved(list)
	}
	if err := s.DropCursor(x.Cursor().name); !errors.Is(err, ErrCursorInUse) {
		t.Errorf("dropping the cursor of a session gives %v", err)
	}
	b = newBatch(s.db)
	for i := byte(0); len(b.entries) < batchEntries-1; i++ { // room for one entry, not for two
		b.set([]byte{prefixFiller, i}, nil)
	}
	s.small.mu.Lock()
	s.small.sessions.dropLocked(x)
	s.small.mu.Unlock()
	if list := s.cursors.save(b); len(list) != 0 || !s.cursors.crowded() {
		t.Errorf("%d of what belongs together was saved, crowded %v", len(list), s.cursors.crowded())
	}
	settleAll(s)
	s = reopened(t, s, dir)
	if len(s.Sessions()) != 0 || len(s.Cursors()) != 0 {
		t.Errorf("left are %v and %v", s.Sessions(), s.Cursors())
	}
	// The slot, and with it the cursor's name, is used again.
	subscribe(t, openSession(t, s, "d", NeverExpires), "a")
	settleAll(s)
	s = reopened(t, s, dir)
	if got := s.Cursors(); len(got) != 1 || got[0].Session != "d" {
		t.Errorf("cursors are %+v", got)
	}
}

// A cursor that takes the name of one just dropped is not undone by the drop, however urgent it is.
func TestNamesAreTakenAgainInOrder(t *testing.T) {
	dir := t.TempDir()
	s := standing(t, dir, nil)
	for round := range 20 {
		c, err := s.OpenCursor("c", 1)
		if err != nil {
			t.Fatal(err)
		}
		if round%2 == 0 {
			c.Flush()
			s.commit(nil)
		}
		if err := s.DropCursor("c"); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.OpenCursor("c", 1)
	if err != nil {
		t.Fatal(err)
	}
	c.Flush()
	settleAll(s)
	s = reopened(t, s, dir)
	if len(s.Cursors()) != 1 {
		t.Errorf("cursors are %+v, want one", s.Cursors())
	}
}

// QoS 2 from a client: an id is durable with its message, and only with it; a release is durable before
// it is confirmed.
func TestReceivedIdsFollowTheirMessages(t *testing.T) {
	dir := t.TempDir()
	s := standingWith(t, dir)
	openSession(t, s, "c", NeverExpires)
	settleAll(s)
	for id := range 30 {
		publish(t, s, message.Message{Topic: "q", QoS: 2, Properties: []message.Property{{Name: "from", Value: fmt.Sprint("c:", id+1)}}})
	}
	if _, dirty := s.cursors.due(); dirty {
		t.Error("a received message costs a write of its own")
	}
	s = standingWith(t, copyStill(t, dir))
	x := openSession(t, s, "c", NeverExpires)
	if got := x.ReceivedIDs(); len(got) != 30 || !x.Received(30) || x.Received(31) {
		t.Fatalf("after a kill the ids are %v", got)
	}
	// In the queue, but not in the log: unknown.
	m := message.Message{Topic: "q", QoS: 2, Properties: []message.Property{{Name: "from", Value: "c:31"}}}
	if err := s.Append(t.Context(), &m, nil, 0); err != nil {
		t.Fatal(err)
	}
	if x.Received(31) {
		t.Error("an id is known before its message is durable")
	}
	released := false
	x.Release(7, func(err error) { released = err == nil })
	if released {
		t.Error("a release is confirmed before it is durable")
	}
	settleAll(s)
	if !released || x.Received(7) || !x.Received(31) {
		t.Errorf("released %v, ids %v", released, x.ReceivedIDs())
	}
	s = standingWith(t, copyStill(t, s.opts.Dir))
	x, present, err := s.OpenSession("c", NeverExpires, false)
	if err != nil || !present || x.Received(7) || len(x.ReceivedIDs()) != 30 {
		t.Errorf("after a second kill the ids are %v", x.ReceivedIDs())
	}
	// A client that begins anew has nothing received.
	x, _, err = s.OpenSession("c", NeverExpires, true)
	settleAll(s)
	if err != nil || len(x.ReceivedIDs()) != 0 {
		t.Errorf("a new session has received %v, %v", x.ReceivedIDs(), err)
	}
	s = standingWith(t, copyStill(t, s.opts.Dir))
	if x := openSession(t, s, "c", NeverExpires); len(x.ReceivedIDs()) != 0 {
		t.Errorf("after a kill a new session has received %v", x.ReceivedIDs())
	}
}

func TestFlightsComeBackAndMoveTheCursor(t *testing.T) {
	dir := t.TempDir()
	s := standing(t, dir, nil)
	appendNow(t, s, strings.Fields(strings.Repeat("x ", 40))...)
	x := openSession(t, s, "c", NeverExpires)
	subscribe(t, x, "t")
	settleAll(s)
	want := []Flight{{65535, 12, FlightSent}, {0, 13, FlightSent}, {9, 14, FlightReceived}, {10, 15, FlightReceived}, {3, 30, FlightDone}, {4, 31, FlightSentExactly}}
	durable := false
	if err := x.SaveFlights(11, want, func(err error) { durable = err == nil }); err != nil {
		t.Fatal(err)
	}
	settleAll(s)
	if !durable || x.Cursor().Durable() != 11 {
		t.Errorf("durable %v, the cursor stands at %d", durable, x.Cursor().Durable())
	}
	if err := x.SaveFlights(11, []Flight{{1, 11, FlightSent}}, nil); err == nil {
		t.Error("what is done with is taken as under way")
	}
	var many []Flight
	for i := range 250 {
		many = append(many, Flight{uint16(i * 77), 12 + message.Position(i)*1e12, FlightReceived})
	}
	if err := x.SaveFlights(11, many, nil); err != nil {
		t.Errorf("250 under way: %v", err)
	}
	for i := range 1000 {
		many = append(many, Flight{uint16(i * 77), 1e15 + message.Position(i)*1e12, FlightReceived})
	}
	if err := x.SaveFlights(11, many, nil); !errors.Is(err, message.ErrTooLarge) {
		t.Errorf("too many under way: %v", err)
	}
	if err := x.SaveFlights(11, want, nil); err != nil {
		t.Fatal(err)
	}
	settleAll(s)
	s = standing(t, copyStill(t, dir), nil)
	x = openSession(t, s, "c", NeverExpires)
	if upTo, got := x.Flights(); upTo != 11 || fmt.Sprint(got) != fmt.Sprint(want) || x.Cursor().Position() != 11 {
		t.Errorf("got %d, %v with the cursor at %d, want 11, %v", upTo, got, x.Cursor().Position(), want)
	}
}

func TestWhatIsTooLongIsRefused(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	x := openSession(t, s, "c", NeverExpires)
	if err := x.Subscribe(Subscription{Filter: strings.Repeat("x", maxFilter+1)}); !errors.Is(err, message.ErrTooLarge) {
		t.Errorf("a long filter gives %v", err)
	}
	if err := x.Subscribe(Subscription{Filter: "a/#/b"}); !errors.Is(err, message.ErrTopic) {
		t.Errorf("a wrong filter gives %v", err)
	}
	if _, _, err := s.OpenSession(strings.Repeat("x", maxName+1), 0, false); err == nil {
		t.Error("a long id is taken")
	}
}

func TestTooManyAreRefused(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	s.small.sessions.filters.most, s.small.sessions.most, s.small.groups.most, s.small.groups.inTopics.most, s.small.topics.most = 2, 2, 2, 2, 2
	refused := func(what string, do func(i int) error) {
		t.Helper()
		for i := range 3 {
			if err := do(i); (err != nil) != (i == 2) || err != nil && !errors.Is(err, ErrTooMany) {
				t.Errorf("%s %d: %v", what, i, err)
			}
		}
	}
	refused("session", func(i int) error { _, _, err := s.OpenSession(fmt.Sprint(i), time.Hour, false); return err })
	x := s.small.sessions.byID["0"]
	refused("filter", func(i int) error { return x.Subscribe(Subscription{Filter: fmt.Sprint(i)}) })
	refused("group", func(i int) error { return s.OpenGroup(fmt.Sprint(i), 0) })
	refused("offsets", func(i int) error { return s.CommitOffset("0", fmt.Sprint(i), 0, 1) })
	s.small.bytes = maxSmallBytes
	if err := x.Subscribe(Subscription{Filter: "other"}); !errors.Is(err, ErrTooMany) {
		t.Errorf("beyond all bytes a filter gives %v", err)
	}
	s.small.bytes = 0
	// A slot that was emptied is used again, but only once that is durable.
	x.Unsubscribe("0")
	if err := x.Subscribe(Subscription{Filter: "2"}); !errors.Is(err, ErrTooMany) {
		t.Errorf("the slot of a filter is taken before it is empty: %v", err)
	}
	settleAll(s)
	if err := x.Subscribe(Subscription{Filter: "2"}); err != nil {
		t.Errorf("an empty slot is not taken: %v", err)
	}
}

// TestSleepingSessionsNeedLittle counts the memory of 1,000 sessions with 3 filters each, and the
// writes that a message costs them: none.
func TestSleepingSessionsNeedLittle(t *testing.T) {
	dir := t.TempDir()
	s := standing(t, dir, nil)
	// Both times just after opening: what the databases hold for writes in progress differs by
	// megabytes from one moment to the next, and is not the sessions'. So is what other tests of
	// this process have not let go of yet, which is why the least of three openings counts.
	heap := func() int64 {
		least := int64(math.MaxInt64)
		for range 3 {
			s = reopened(t, s, dir)
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			least = min(least, int64(m.HeapAlloc))
		}
		return least
	}
	before := heap()
	for i := range 1000 {
		x := openSession(t, s, fmt.Sprintf("device-%04d-of-the-plant", i), NeverExpires)
		subscribe(t, x, fmt.Sprintf("commands/plant/%d", i), "broadcast/#", fmt.Sprintf("replies/plant/%d/+", i))
		x.Close(NeverExpires)
	}
	settleAll(s)
	each := (heap() - before) / 1000
	t.Logf("%d bytes a session, %d in the database", each, s.StateStats().Bytes/1000)
	if each > 8<<10 {
		t.Errorf("a sleeping session needs %d bytes", each)
	}
	appendNow(t, s, "1", "2", "3")
	if _, dirty := s.cursors.due(); dirty {
		t.Error("a message has made something of a sleeping session dirty")
	}
	if got := s.StateStats(); got.Sessions != 1000 || got.Subscriptions != 3000 {
		t.Errorf("after a restart: %+v", got)
	}
}

func TestWaitersHearOfAFailure(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	x := openSession(t, s, "c", NeverExpires)
	heard := errors.New("nothing")
	x.Release(1, nil)
	if err := x.SaveFlights(0, nil, func(err error) { heard = err }); err != nil {
		t.Fatal(err)
	}
	s.fail(errors.New("injected"))
	s.commitNext()
	if !errors.Is(heard, message.ErrFailed) {
		t.Errorf("heard %v", heard)
	}
	if err := x.Sync(context.Background()); !errors.Is(err, message.ErrFailed) {
		t.Errorf("sync after a failure gives %v", err)
	}
	if _, _, err := s.OpenSession("d", 0, false); !errors.Is(err, message.ErrFailed) {
		t.Errorf("a session after a failure: %v", err)
	}
}

// What was unsubscribed before Sync returned is not subscribed to after a kill.
func TestSyncOfASessionWaitsForWhatItLeft(t *testing.T) {
	dir := t.TempDir()
	s := standingYoung(t, dir, modelYoung)
	x, _, err := s.OpenSession("client", time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, filter := range []string{"a/#", "b/#"} {
		if err := x.Subscribe(Subscription{Filter: filter, From: 1}); err != nil {
			t.Fatal(err)
		}
	}
	settleWith(s, func() error { return x.Sync(t.Context()) })
	x.Unsubscribe("a/#")
	done := make(chan error, 1)
	go func() { done <- x.Sync(t.Context()) }()
	for synced := false; !synced; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			synced = true
		default:
			if wait, ok := s.cursors.due(); ok && wait <= 0 {
				s.commit(nil)
			}
		}
	}
	copied := copyStill(t, dir)
	s = standingYoung(t, copied, modelYoung)
	x, present, err := s.OpenSession("client", time.Hour, false)
	if err != nil || !present {
		t.Fatalf("present %v, %v", present, err)
	}
	if got := x.Subscriptions(); len(got) != 1 || got[0].Filter != "b/#" {
		t.Errorf("after a kill the session has %+v, want b/# alone", got)
	}
}

// A new session knows nothing of what was appended before it, even if that was not durable. When it never
// becomes durable its positions are given out again, also to what the new session receives.
func TestReceivedIDsAtPositionsGivenOutAgain(t *testing.T) {
	dir := t.TempDir()
	s := standingYoung(t, dir, modelYoung)
	for range 5 {
		if err := s.Append(t.Context(), &message.Message{Topic: "t"}, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	x := openSession(t, s, "client", time.Hour)
	if err := x.Subscribe(Subscription{Filter: "t", From: 6}); err != nil {
		t.Fatal(err)
	}
	s.commit(nil) // the session, not the messages

	s = standingYoung(t, copyStill(t, dir), modelYoung)
	publish(t, s, message.Message{Topic: "q2", QoS: 2, Properties: []message.Property{{Name: "from", Value: "client:48"}}})
	if x := openSession(t, s, "client", time.Hour); !x.Received(48) {
		t.Fatal("the id is not known when its message is durable")
	}
	for range 9 {
		publish(t, s, message.Message{Topic: "t"})
	}

	s = standingYoung(t, copyStill(t, s.opts.Dir), modelYoung)
	x = openSession(t, s, "client", time.Hour)
	if !x.Received(48) {
		t.Error("after a kill the id is forgotten: its message would be taken twice")
	}
	if got := x.Subscriptions(); len(got) != 1 || got[0].From != 1 {
		t.Errorf("the subscription is %+v, want it from 1 on: that is all it can have missed", got)
	}
}
