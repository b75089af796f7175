package rocketmq

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestFlowsKnowTheLastMinuteHourAndDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stats
		s.init(time.Now())
		tick := func(d time.Duration, each int) {
			for range d / (10 * time.Second) {
				s.flows.topic("t").put(each, each*100)
				time.Sleep(10 * time.Second)
				s.sample(time.Now())
			}
		}
		tick(2*time.Hour, 1)
		tick(time.Hour, 2)
		for i, want := range []uint64{12, 720, 1440} {
			first, last := s.flows.find("t").spans()[i][0], s.flows.find("t").spans()[i][1]
			if got := last.messages - first.messages; got != want {
				t.Errorf("span %d of %v has %d messages, want %d", i, last.at.Sub(first.at), got, want)
			}
			if got, want := last.bytes-first.bytes, want*100; got != want {
				t.Errorf("span %d has %d bytes, want %d", i, got, want)
			}
		}
		if got, want := s.flows.rate("t"), 0.2; got != want {
			t.Errorf("%v messages a second, want %v", got, want)
		}
		if got, want := s.flows.in.rates(sample.count), "0.20 0.20 0.20"; got != want {
			t.Errorf("all topics: %s, want %s", got, want)
		}
	})
}

func TestDaysBeginInTheMorning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stats
		s.init(time.Now())
		for day := range 3 {
			s.sample(time.Now())
			s.flows.topic("t").put(10*(day+1), 0)
			time.Sleep(24 * time.Hour)
		}
		s.sample(time.Now())
		if got := s.days(); got.yesterday.in != 30 || got.today.in != 60 {
			t.Errorf("yesterday began with %d messages and today with %d, want 30 and 60", got.yesterday.in, got.today.in)
		}
	})
}

func TestMoreNamesThanFlowsAreCountedWithAll(t *testing.T) {
	var s stats
	s.init(time.Now())
	for i := range maxFlows + 10 {
		s.flows.topic("t"+number10(i)).put(1, 1)
	}
	if got, want := s.flows.in.messages.Load(), uint64(maxFlows+10); got != want || len(s.flows.all) != maxFlows {
		t.Errorf("%d flows count %d messages, want %d flows and %d messages", len(s.flows.all), got, maxFlows, want)
	}
}

func TestQueuesAreSharedOut(t *testing.T) {
	clients := []string{"a", "b", "c"}
	for _, c := range []struct {
		queues int
		turns  bool
		want   [][]int
	}{
		{8, false, [][]int{{0, 1, 2}, {3, 4, 5}, {6, 7}}},
		{8, true, [][]int{{0, 3, 6}, {1, 4, 7}, {2, 5}}},
		{2, false, [][]int{{0}, {1}, nil}},
	} {
		for i, client := range clients {
			if got := share(c.queues, clients, client, c.turns); !slices.Equal(got, c.want[i]) {
				t.Errorf("%d queues, in turn %t: %s gets %v, want %v", c.queues, c.turns, client, got, c.want[i])
			}
		}
	}
	if got := share(8, clients, "stranger", false); got != nil {
		t.Errorf("a stranger gets %v", got)
	}
	for _, others := range []int{0, 2} {
		if got, want := sharePop(6, clients, "b", others, false), []int{-1}; !slices.Equal(got, want) {
			t.Errorf("popping with %d others of two: %v, want %v", others, got, want)
		}
	}
	if got, want := sharePop(6, []string{"a", "b", "c", "d"}, "b", 1, true), []int{1, 5, 2}; !slices.Equal(got, want) {
		t.Errorf("popping with one other of four: %v, want %v", got, want)
	}
}
