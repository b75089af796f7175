package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// smallSpecimen is a log with two small values of each kind, of which the first will be damaged.
func smallSpecimen(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := standingWith(t, dir)
	for i := range 5 {
		publish(t, s, message.Message{Topic: "t", Payload: []byte{byte(i)}})
	}
	for i, id := range []string{"first", "second"} {
		x := openSession(t, s, id, NeverExpires)
		settleAll(s)
		publish(t, s, message.Message{Topic: "q", QoS: 2, Properties: []message.Property{{Name: "from", Value: id + ":9"}}})
		subscribe(t, x, "filter/"+id)
		if err := x.SaveFlights(2, []Flight{{1, 3, FlightSent}}, nil); err != nil {
			t.Fatal(err)
		}
		commit(t, s, "group-"+id, "t", i, 5)
		settleWith(s, func() error {
			_, err := s.PutTopic(t.Context(), "topic-"+id, TopicSettings{ReadQueues: 4}, 0)
			return err
		})
		retain(t, s, "retained/"+id, id)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDamageToEachKindOfValue flips one bit of one value. It is reported and set aside; the rest is
// served, and what follows from the log comes back.
func TestDamageToEachKindOfValue(t *testing.T) {
	source := smallSpecimen(t)
	for kind := range smallSeeds() {
		t.Run(string(kind), func(t *testing.T) {
			dir := t.TempDir()
			copyDir(t, source, dir)
			s := standingWith(t, dir)
			key := smallKey(kind, 0)
			value, err := s.value(key)
			if err != nil {
				t.Fatal(err)
			}
			value[rand.IntN(len(value))] ^= 1 << rand.IntN(8)
			overwrite(t, s, key, value)
			s = standingWith(t, copyStill(t, dir))
			dir = s.opts.Dir
			if st := s.Stats(); st.Damages != 1 {
				t.Errorf("%d damages, want 1: %v", st.Damages, st.Damage)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "damaged", "small-*.bin")); len(files) != 1 {
				t.Errorf("set aside: %v", files)
			} else if content, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(content, value) {
				t.Errorf("set aside is %x, %v, want %x", content, err, value)
			}
			second := s.small.sessions.byID["second"]
			if second == nil || len(second.Subscriptions()) != 1 || !second.Received(9) || second.Cursor() == nil {
				t.Fatalf("the second session is %+v", second)
			}
			if _, under := second.Flights(); len(under) != 1 {
				t.Errorf("under way are %v", under)
			}
			if next, _ := s.Offset("group-second", "t", 1); next != 5 {
				t.Errorf("the second group is at %d", next)
			}
			if _, known := s.Topic("topic-second"); !known {
				t.Error("the second topic is gone")
			}
			if got := retainedTopics(t, s, "#"); got != "retained/first retained/second" {
				t.Errorf("retained are %s: the log still has both", got)
			}
			first := s.small.sessions.byID["first"]
			if (first == nil) != (kind == smallSession) {
				t.Errorf("the first session is %v", first)
			}
			if first != nil && !first.Received(9) {
				t.Error("the log still has the first session's received id")
			}
			if got := len(s.Cursors()); first == nil && got != 1 {
				t.Errorf("%d cursors, want the second session's alone", got)
			}
			settleAll(s)
			s = reopened(t, s, dir)
			if st := s.Stats(); st.Damages != 0 {
				t.Errorf("it is reported again: %v", st.Damage)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			sound(t, dir)
		})
	}
}

// TestTheCheckSeesEachDamagedValue is the same for a log that is closed.
func TestTheCheckSeesEachDamagedValue(t *testing.T) {
	source := smallSpecimen(t)
	sound(t, source)
	for kind := range smallSeeds() {
		dir := t.TempDir()
		copyDir(t, source, dir)
		s, _, err := openClosed(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		key := smallKey(kind, 0)
		value, err := s.value(key)
		if err != nil {
			t.Fatalf("%q: %v", kind, err)
		}
		if err := s.closeClosed(); err != nil {
			t.Fatal(err)
		}
		value[rand.IntN(len(value))] ^= 1 << rand.IntN(8)
		db, err := openBadger(dir, badgerOptions(filepath.Join(dir, "log"), 1<<20, nil).WithLogger(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(func(txn *badger.Txn) error { return txn.Set(key, value) }); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		report, err := Check(dir)
		if err != nil || !strings.Contains(strings.Join(report.Findings, "\n"), fmt.Sprintf("%q", key)) {
			t.Errorf("%q: the check finds %q, %v", kind, report.Findings, err)
		}
	}
}

// TestNoSmallValueIsEverDeleted uses and drops values of every kind and looks for deletions in the
// database: what is never deleted cannot come back.
func TestNoSmallValueIsEverDeleted(t *testing.T) {
	s := standingWith(t, t.TempDir())
	for round := range 5 {
		for i := range 20 {
			id := fmt.Sprint("c", round, "-", i)
			x := openSession(t, s, id, time.Hour)
			subscribe(t, x, "a", id)
			commit(t, s, "g"+id, "t", 0, 5)
			retain(t, s, "r/"+id, strings.Repeat(id, 2000*(i%2)+1))
			settleWith(s, func() error { _, err := s.PutTopic(t.Context(), id, TopicSettings{}, 0); return err })
		}
		publish(t, s, message.Message{Topic: "t"})
		if err := s.remove(s.index.oldest(50), 0); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			id := fmt.Sprint("c", round, "-", i)
			retain(t, s, "r/"+id, "")
			settleWith(s, func() error { return s.DropSession(t.Context(), id) })
			settleWith(s, func() error { return s.DropGroup(t.Context(), "g"+id) })
			settleWith(s, func() error { return s.DropTopic(t.Context(), id) })
		}
		s.small.replay.begin(time.Now())
		settleAll(s)
	}
	if st := s.StateStats(); st != (StateStats{Replayed: st.Replayed}) && st.Bytes != 0 {
		t.Errorf("left are %+v", st)
	}
	keys := make(map[byte]int)
	err := s.db.View(func(txn *badger.Txn) error {
		options := badger.DefaultIteratorOptions
		options.AllVersions = true
		it := txn.NewIterator(options)
		defer it.Close()
		last := ""
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			if p := item.Key()[0]; p != prefixSmall && p != prefixCarried && p != prefixCursor {
				continue
			}
			if item.IsDeletedOrExpired() {
				t.Errorf("key %q was deleted", item.Key())
			}
			if string(item.Key()) != last {
				last = string(item.Key())
				keys[item.Key()[0]]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Slots are used again: dropping leaves no more keys than there ever were values at once.
	if most := 20*(1+2+2+1+1+1+1) + 1 + 20; keys[prefixSmall] > most || keys[prefixCarried] > 40 || keys[prefixCursor] > 40 {
		t.Errorf("%v keys are left, want at most %d", keys, most)
	}
}

// TestGhostsOfTheSmallState writes back what a dropped session, group and topic left, as if Badger had
// brought it back or a kill had come before it was overwritten: nobody takes it for something.
func TestGhostsOfTheSmallState(t *testing.T) {
	dir := smallSpecimen(t)
	s := standingWith(t, dir)
	var ghosts []exportedValue
	for _, kind := range []byte{smallReceived, smallFlights, smallSubscription, smallOffsets} {
		value, err := s.value(smallKey(kind, 0))
		if err != nil {
			t.Fatal(err)
		}
		ghosts = append(ghosts, exportedValue{smallKey(kind, 0), value})
	}
	settleWith(s, func() error { return s.DropSession(t.Context(), "first") })
	settleWith(s, func() error { return s.DropGroup(t.Context(), "group-first") })
	x := openSession(t, s, "first", NeverExpires)
	if x.slot != 0 {
		t.Fatalf("the session is in slot %d, want the one that became free", x.slot)
	}
	commit(t, s, "group-first", "other", 0, 1)
	settleAll(s)
	for _, g := range ghosts {
		if g.key[1] == smallOffsets || g.key[1] == smallSubscription { // a slot that the new ones have not taken
			g.key = smallKey(g.key[1], 9)
			g.value = sealSmall(g.key, present, g.value[2:len(g.value)-4])
		}
		overwrite(t, s, g.key, g.value)
	}
	s = standingWith(t, copyStill(t, dir))
	x = openSession(t, s, "first", NeverExpires)
	upTo, under := x.Flights()
	if len(x.Subscriptions()) != 0 || len(x.ReceivedIDs()) != 0 || upTo != 0 || len(under) != 0 || x.Cursor() != nil {
		t.Errorf("a new session has %v, %v, %v, %v", x.Subscriptions(), x.ReceivedIDs(), under, x.Cursor())
	}
	if got := fmt.Sprint(s.Offsets("group-first")); got != "[{other 0 1}]" {
		t.Errorf("a new group has %s", got)
	}
	subscribe(t, x, "a", "b", "c") // the ghosts' slots are free
	settleAll(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound(t, s.opts.Dir)
}
