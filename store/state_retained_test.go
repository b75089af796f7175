package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
)

// retainedTopics lists what a filter finds, sorted.
func retainedTopics(t testing.TB, s *Store, filter string) string {
	t.Helper()
	var topics []string
	if err := s.EachRetained(filter, func(r *message.Record) error { topics = append(topics, r.Topic); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(topics)
	return strings.Join(topics, " ")
}

func retain(t testing.TB, s *Store, topic, payload string) {
	t.Helper()
	publish(t, s, message.Message{Topic: topic, Payload: []byte(payload), Retain: true, QoS: 1, Time: 7, Properties: []message.Property{{Name: "n", Value: "v"}}})
}

// TestRetainedTreeMatches holds the tree to message.Match over random topics and filters.
func TestRetainedTreeMatches(t *testing.T) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	levels := []string{"", "a", "b", "$c", "d"}
	name := func(levels []string) string {
		var parts []string
		for range 1 + r.IntN(4) {
			parts = append(parts, levels[r.IntN(len(levels))])
		}
		return strings.Join(parts, "/")
	}
	var root retainedNode
	known := make(map[string]*retainedTopic)
	for range 3000 {
		topic := name(levels)
		switch r.IntN(3) {
		case 0:
			root.remove(topic)
			delete(known, topic)
		default:
			known[topic] = &retainedTopic{retainedValue: retainedValue{topic: topic}}
			root.put(topic, known[topic])
		}
		if got := root.find(topic); got != known[topic] {
			t.Fatalf("%q is %v, want %v", topic, got, known[topic])
		}
		filter := name([]string{"", "a", "b", "$c", "+", "+"})
		if r.IntN(3) == 0 {
			filter += "/#"
		}
		if r.IntN(30) == 0 {
			filter = "#"
		}
		var got, want []string
		root.each(filter, func(t *retainedTopic) { got = append(got, t.topic) })
		for topic := range known {
			if message.Match(filter, topic) {
				want = append(want, topic)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%q matches %q, want %q", filter, got, want)
		}
	}
	for topic := range known {
		root.remove(topic)
	}
	if len(root.below) > 0 {
		t.Errorf("left over: %v", root.below)
	}
}

func TestRetainedMessagesFollowTheLog(t *testing.T) {
	dir := t.TempDir()
	s := standingWith(t, dir)
	retain(t, s, "a/b", "1")
	retain(t, s, "a/c", "2")
	retain(t, s, "a/b", "3")
	publish(t, s, message.Message{Topic: "a/d", Payload: []byte("not retained")})
	retain(t, s, "a/c", "")
	if _, dirty := s.cursors.due(); dirty {
		t.Error("a retained message costs a write of its own")
	}
	for _, when := range []string{"at once", "after a kill", "after a checkpoint and a kill"} {
		r, known, err := s.Retained("a/b")
		if err != nil || !known || string(r.Payload) != "3" || r.Position != 3 || r.QoS != 1 || len(r.Properties) != 1 {
			t.Errorf("%s: got %+v, %v, %v", when, r, known, err)
		}
		if got := retainedTopics(t, s, "#"); got != "a/b" {
			t.Errorf("%s: retained are %q", when, got)
		}
		if when == "after a kill" {
			s.small.replay.begin(time.Now())
			settleAll(s)
		}
		s = standingWith(t, copyStill(t, s.opts.Dir))
	}
	if s.StateStats().Replayed != 0 {
		t.Errorf("%d messages were read again behind a checkpoint", s.StateStats().Replayed)
	}
}

func TestRetainedMessagesExpire(t *testing.T) {
	dir := t.TempDir()
	s := standingWith(t, dir)
	publish(t, s, message.Message{Topic: "short", Payload: []byte("x"), Retain: true, Properties: []message.Property{{Name: "expiry", Value: "1m"}}})
	publish(t, s, message.Message{Topic: "long", Payload: []byte("x"), Retain: true})
	s = standingWith(t, copyStill(t, dir))
	pass(s, 59*time.Second)
	if got := retainedTopics(t, s, "+"); got != "long short" {
		t.Errorf("before its time: %q", got)
	}
	pass(s, 2*time.Second)
	if _, known, _ := s.Retained("short"); known || retainedTopics(t, s, "+") != "long" {
		t.Error("it is still seen")
	}
	s.expireSmall()
	settleAll(s)
	if got := s.StateStats().Retained; got != 1 {
		t.Errorf("%d are kept, want 1", got)
	}
}

// A topic that expired before a checkpoint heard of it does not empty the slot of the one after it.
func TestSlotsAreEmptiedOnce(t *testing.T) {
	dir := t.TempDir()
	s := standingWith(t, dir)
	for i := range 20 {
		publish(t, s, message.Message{Topic: fmt.Sprint("old/", i), Payload: []byte("x"), Retain: true, Properties: []message.Property{{Name: "expiry", Value: "1m"}}})
	}
	pass(s, 2*time.Minute)
	s.expireSmall()
	settleAll(s)
	for i := range 20 {
		retain(t, s, fmt.Sprint("new/", i), "x")
	}
	if s.small.retained.next != 20 {
		t.Errorf("%d slots are used, want 20", s.small.retained.next)
	}
	for range 2 {
		s.small.replay.begin(time.Now())
		settleAll(s)
	}
	s = standingWith(t, copyStill(t, dir))
	if got := len(strings.Fields(retainedTopics(t, s, "#"))); got != 20 || len(s.small.retained.free) != 0 {
		t.Errorf("%d are found, %d slots are free, want 20 and none", got, len(s.small.retained.free))
	}
}

// A kill may leave the value of a topic that was emptied beside the new one of the same topic: the old
// one must not come back when the new one is emptied too.
func TestTwinsOfARetainedMessage(t *testing.T) {
	s := standingWith(t, t.TempDir())
	retain(t, s, "a", "1")
	s.small.replay.begin(time.Now())
	settleAll(s)
	retain(t, s, "a", "")
	retain(t, s, "a", "2")
	second := s.small.retained.root.find("a")
	if second.slot != 1 {
		t.Fatalf("the second is in slot %d, want another than the first", second.slot)
	}
	e := s.small.retained.entry(second.slot, second.append(nil))
	overwrite(t, s, e.key, e.value) // and not yet that the first slot is empty
	s = standingWith(t, copyStill(t, s.opts.Dir))
	if r, known, err := s.Retained("a"); err != nil || !known || string(r.Payload) != "2" {
		t.Errorf("got %+v, %v, %v", r, known, err)
	}
	settleAll(s)
	retain(t, s, "a", "")
	s.small.replay.begin(time.Now())
	settleAll(s)
	s = standingWith(t, copyStill(t, s.opts.Dir))
	if got := retainedTopics(t, s, "#"); got != "" {
		t.Errorf("retained are %q, want none", got)
	}
}

// TestRetainedMessagesAreCarried lets the head pass retained messages of all sizes.
func TestRetainedMessagesAreCarried(t *testing.T) {
	dir := t.TempDir()
	s := standingWith(t, dir)
	want := make(map[string]string)
	for i := range 300 {
		topic, size := fmt.Sprint("r/", i), i
		if i%50 == 0 {
			size = 200 << 10
		}
		want[topic] = strings.Repeat(fmt.Sprint(i%10), size+1)
		retain(t, s, topic, want[topic])
	}
	for range 5 {
		publish(t, s, message.Message{Topic: "t", Payload: []byte("behind")})
	}
	check := func(when string) {
		t.Helper()
		found := 0
		err := s.EachRetained("r/#", func(r *message.Record) error {
			found++
			if string(r.Payload) != want[r.Topic] || r.Time != 7 || r.QoS != 1 || !r.Retain {
				t.Errorf("%s: %s has %d bytes, want %d", when, r.Topic, len(r.Payload), len(want[r.Topic]))
			}
			return nil
		})
		if err != nil || found != len(want) {
			t.Errorf("%s: %d are found, want %d; %v", when, found, len(want), err)
		}
	}
	check("in the log")
	for len(s.index.oldest(1)) > 0 {
		if err := s.remove(s.index.oldest(60), s.index.tail); err != nil {
			t.Fatal(err)
		}
		check("while the head passes")
	}
	s = standingWith(t, copyStill(t, dir))
	check("after a kill")
	if st := s.StateStats(); st.CarriedBytes == 0 {
		t.Errorf("%+v: nothing is carried", st)
	}
	// What is replaced gives its space back, and a large value does not come back.
	for i := range 300 {
		topic := fmt.Sprint("r/", i)
		want[topic] = "new"
		retain(t, s, topic, "new")
	}
	check("replaced")
	if st := s.StateStats(); st.CarriedBytes != 0 {
		t.Errorf("%+v: what was replaced is carried still", st)
	}
	s = reopened(t, s, s.opts.Dir)
	check("replaced, after a restart")
	err := s.each(prefixCarried, true, func(key, value []byte) {
		if len(value) != 2+4 {
			t.Errorf("%q has %d bytes still", key, len(value))
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if report := sound(t, s.opts.Dir); report.Carried != 0 || report.Values < 300 {
		t.Errorf("the check counts %+v", report)
	}
}

func TestCarryingHasABound(t *testing.T) {
	s := standingWith(t, t.TempDir())
	large := strings.Repeat("x", 100<<10)
	noise := rand.NewChaCha8([32]byte{})
	for i := range 40 {
		payload := []byte(large)
		noise.Read(payload)
		publish(t, s, message.Message{Topic: fmt.Sprint("r/", i), Payload: payload, Retain: true})
	}
	publish(t, s, message.Message{Topic: "t"})
	if err := s.remove(s.index.oldest(40), s.index.tail); err != nil {
		t.Fatal(err)
	}
	st := s.StateStats()
	if st.CarriedBytes > s.carryLimit() || st.Retained != 20 || st.RetainedRefused != 20 {
		t.Errorf("%+v with a limit of %d", st, s.carryLimit())
	}
}

// A retained message that can be read nowhere is reported and forgotten, and hides no other.
func TestDamagedCarriedMessagesAreReported(t *testing.T) {
	dir := t.TempDir()
	s := standingWith(t, dir)
	retain(t, s, "a", "1")
	retain(t, s, "b", strings.Repeat("2", 100))
	retain(t, s, "c", "3")
	publish(t, s, message.Message{Topic: "t"})
	if err := s.remove(s.index.oldest(3), s.index.tail); err != nil {
		t.Fatal(err)
	}
	s.settle()
	key := carriedKey(s.small.retained.root.find("b").slot)
	value, err := s.value(key)
	if err != nil {
		t.Fatal(err)
	}
	value[len(value)/2] ^= 1
	overwrite(t, s, key, value)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if report, err := Check(dir); err != nil || !strings.Contains(strings.Join(report.Findings, " "), "carried message") {
		t.Errorf("the check finds %q, %v", report.Findings, err)
	}
	s = standingWith(t, dir)
	if got := retainedTopics(t, s, "#"); got != "a c" {
		t.Errorf("retained are %q", got)
	}
	if st := s.Stats(); st.Damages != 1 || !strings.Contains(st.Damage[0].Cause, `of "b"`) {
		t.Errorf("damage is %+v", st.Damage)
	}
	settleAll(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound(t, dir)
}

// overwrite changes a value behind the log's back.
func overwrite(t testing.TB, s *Store, key, value []byte) {
	t.Helper()
	b := newBatch(s.db)
	b.set(key, value)
	if err := s.write(b); err != nil {
		t.Fatal(err)
	}
}

func TestWhatANoteMeans(t *testing.T) {
	o := Options{Inbound: inboundOf}
	for _, c := range []struct {
		m    message.Message
		want string
	}{
		{message.Message{Topic: "t", Payload: []byte("x")}, "false"},
		{message.Message{Topic: "t", QoS: 2}, "false"},
		{message.Message{Topic: "t", Retain: true}, "true empty"},
		{message.Message{Topic: "t", Retain: true, Payload: []byte("x")}, "true retain"},
		{message.Message{Topic: "t", QoS: 2, Properties: []message.Property{{Name: "from", Value: "c:9"}}}, "true inbound"},
	} {
		n, ok := o.noteOf(&c.m)
		var got bytes.Buffer
		fmt.Fprint(&got, ok)
		switch {
		case n.empty:
			got.WriteString(" empty")
		case n.retain:
			got.WriteString(" retain")
		case n.inbound:
			got.WriteString(" inbound")
		}
		if got.String() != c.want {
			t.Errorf("%+v means %s, want %s", c.m, got.String(), c.want)
		}
	}
}
