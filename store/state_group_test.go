package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
)

func commit(t testing.TB, s *Store, group, topic string, queue int, next int64) {
	t.Helper()
	if err := s.CommitOffset(group, topic, queue, next); err != nil {
		t.Fatal(err)
	}
}

func TestOffsetsOfAGroup(t *testing.T) {
	dir := t.TempDir()
	s := standing(t, dir, nil)
	commit(t, s, "g", "b", 0, 5)
	commit(t, s, "g", "a", 3, 7)
	commit(t, s, "g", "a", 1, 0)
	commit(t, s, "g", "a", 3, 6) // back
	commit(t, s, "other", "a", 1, 9)
	for _, bad := range []GroupOffset{{"", 0, 1}, {"a", -1, 1}, {"a", maxQueues, 1}, {"a", 0, -1}} {
		if err := s.CommitOffset("g", bad.Topic, bad.Queue, bad.Next); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	for _, when := range []string{"at once", "after a kill", "after a restart"} {
		if got := fmt.Sprint(s.Offsets("g")); got != "[{a 1 0} {a 3 6} {b 0 5}]" {
			t.Errorf("%s: got %s", when, got)
		}
		if next, known := s.Offset("g", "a", 1); next != 0 || !known {
			t.Errorf("%s: got %d, %v", when, next, known)
		}
		for _, queue := range []int{-1, 0, 2, 4} {
			if next, known := s.Offset("g", "a", queue); known {
				t.Errorf("%s: queue %d is at %d", when, queue, next)
			}
		}
		if when == "at once" {
			settleAll(s)
			s = standing(t, copyStill(t, dir), nil)
			dir = s.opts.Dir
		} else {
			s = reopened(t, s, dir)
		}
	}
	// A group that was dropped and comes again has none of its old offsets, whatever a kill leaves.
	s.small.mu.Lock()
	g := s.small.groups.byName["g"]
	delete(s.small.groups.byName, "g")
	g.topics = nil // their slots are not emptied
	s.small.dropLocked(&g.slotted)
	s.small.mu.Unlock()
	commit(t, s, "g", "c", 0, 1)
	settleAll(s)
	s = reopened(t, s, dir)
	if got := fmt.Sprint(s.Offsets("g")); got != "[{c 0 1}]" {
		t.Errorf("a new group has %s", got)
	}
}

func TestOffsetsExpireAndSettingsStay(t *testing.T) {
	dir := t.TempDir()
	s := standing(t, dir, nil)
	for _, group := range []string{"plain", "set", "used", "never"} {
		commit(t, s, group, "t", 0, 5)
	}
	settleWith(s, func() error {
		version, err := s.PutGroup(t.Context(), "set", GroupSettings{MaxRetries: 3, Attributes: map[string]string{"a": "b"}}, 0)
		if version != 1 {
			t.Errorf("the first version is %d", version)
		}
		return err
	})
	if err := s.OpenGroup("never", 0); err != nil {
		t.Fatal(err)
	}
	pass(s, DefaultGroupIdle-time.Hour)
	commit(t, s, "used", "t", 0, 5)
	settleAll(s)
	s = reopened(t, s, dir)
	pass(s, 2*time.Hour)
	s.expireSmall()
	settleAll(s)
	s = reopened(t, s, dir)
	var got []string
	for _, g := range s.Groups() {
		got = append(got, fmt.Sprint(g.Name, len(s.Offsets(g.Name))))
	}
	if text := strings.Join(got, " "); text != "never1 set0 used1" {
		t.Errorf("groups and their offsets are %s", text)
	}
	g, known := s.Group("set")
	if !known || g.Version != 1 || g.Settings.MaxRetries != 3 || g.Settings.Attributes["a"] != "b" {
		t.Errorf("got %+v", g)
	}
	s.expireSmall()
	if s.StateStats().GroupsExpired != 0 {
		t.Error("a group without offsets expires again and again")
	}
}

func TestSettingsAreChangedFromTheVersionThatWasSeen(t *testing.T) {
	dir := t.TempDir()
	s := standing(t, dir, nil)
	settleWith(s, func() error {
		ctx := t.Context()
		if _, err := s.PutTopic(ctx, "t", TopicSettings{ReadQueues: 4}, 1); !errors.Is(err, ErrChanged) {
			t.Errorf("a topic that is not there has version 1: %v", err)
		}
		for want := range uint64(3) {
			if version, err := s.PutTopic(ctx, "t", TopicSettings{ReadQueues: int(want)}, want); version != want+1 || err != nil {
				t.Errorf("version %d, %v, want %d", version, err, want+1)
			}
		}
		if _, err := s.PutTopic(ctx, "t", TopicSettings{}, 2); !errors.Is(err, ErrChanged) {
			t.Errorf("an old version is changed: %v", err)
		}
		if _, err := s.PutGroup(ctx, "g", GroupSettings{}, 2); !errors.Is(err, ErrChanged) {
			t.Errorf("a group that is not there is changed: %v", err)
		}
		large := TopicSettings{Attributes: map[string]string{"x": strings.Repeat("x", maxSettings)}}
		if _, err := s.PutTopic(ctx, "large", large, 0); err == nil {
			t.Error("large settings are taken")
		}
		if _, known := s.Topic("large"); known {
			t.Error("what was refused is there")
		}
		return nil
	})
	s = reopened(t, s, dir)
	if got, known := s.Topic("t"); !known || got.Version != 3 || got.Settings.ReadQueues != 2 || len(s.Topics()) != 1 {
		t.Errorf("got %+v", got)
	}
}

// What groups still want stays in the log, when the caller says where that is.
func TestGroupsPinTheLogThroughTheirHook(t *testing.T) {
	wanted := message.Position(2)
	s, err := Open(Options{youngBytes: -1, Dir: t.TempDir(), FileSize: 1 << 20, RetentionSize: 1, Passed: func() message.Position { return wanted - 1 }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	appendNow(t, s, "1", "2", "3", "4", "5")
	if err := s.trim(false); err != nil || s.Head() != 2 {
		t.Errorf("the head is %d, %v, want 2", s.Head(), err)
	}
	wanted = 4
	if err := s.trim(false); err != nil || s.Head() != 4 {
		t.Errorf("the head is %d, %v, want 4", s.Head(), err)
	}
}

// A value that has no room beside blocks gets a transaction of its own.
func TestLargeValuesAreNotCrowdedOut(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	x := openSession(t, s, "c", NeverExpires)
	settleAll(s)
	subscribe(t, x, strings.Repeat("f", maxFilter))
	durable := false
	s.small.afterwards(func(error) { durable = true }, &x.filters[strings.Repeat("f", maxFilter)].tracked)
	for round := 0; round < 50 && !durable; round++ {
		for i := range groupDevices { // a group with as much beside its block as there can be
			name := fmt.Sprintf("%080d", round*groupDevices+i)
			m := message.Message{Topic: "t", Device: name, Seq: 1, Payload: make([]byte, 50)}
			if err := s.Append(t.Context(), &m, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		s.commitNext()
	}
	if !durable {
		t.Error("it was never written")
	}
}
