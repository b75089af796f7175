package bus

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func visited(t *testing.T) (*Set, *Visited, func() Stats) {
	t.Helper()
	s, err := NewSet(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	v := s.Visited("0.0.0.0:9212")
	return s, v, func() Stats {
		t.Helper()
		ports := s.Ports()
		if len(ports) != 1 {
			t.Fatalf("%d lines are shown, want 1", len(ports))
		}
		return ports[0].Stats()
	}
}

func TestVisitedLineIsShownLikeOthers(t *testing.T) {
	s, v, stats := visited(t)
	if got := stats(); got.Open || got.Name != "listen://0.0.0.0:9212" || got.Place != got.Name || !IsVisited(got.Name) || !strings.Contains(got.LastError, "nobody has come to 0.0.0.0:9212 yet") {
		t.Errorf("before anybody came: %+v", got)
	}
	v.Enter()
	logger := v.Visitor("outfall")
	watch := s.Ports()[0].Watch(0)
	defer watch.Close()
	logger.Good()
	v.Said([]byte("ack"), "outfall", "hj212")
	logger.Damaged()
	logger.TurnedAway()
	logger.Unanswered()
	frame := v.Heard([]byte("report"), "outfall", "hj212", "")
	v.Judge(frame, "cannot be used")
	got := stats()
	if !got.Open || got.LastError != "" || got.Exchanges != 4 || got.Failures != 3 || got.BytesIn != 6 || got.BytesOut != 3 {
		t.Errorf("the line is %+v", got)
	}
	if len(got.Clients) != 1 {
		t.Fatalf("%d devices are shown", len(got.Clients))
	}
	if c := got.Clients[0]; c.Device != "outfall" || c.Exchanges != 4 || c.Damaged != 1 || c.Refused != 1 || c.NoReply != 1 || c.LastGood.IsZero() {
		t.Errorf("the device is %+v", c)
	}
	first, err := watch.Next(t.Context())
	if err != nil || first.Direction != Out || string(first.Bytes) != "ack" || first.Device != "outfall" || first.Protocol != "hj212" {
		t.Errorf("watched %+v, %v", first, err)
	}
	second, err := watch.Next(t.Context())
	if err != nil || second.Direction != In || second.Seq != frame || second.Verdict != "cannot be used" {
		t.Errorf("watched %+v, %v", second, err)
	}
	logger.Depart()
	v.Leave()
	if got := stats(); got.Open || len(got.Clients) != 0 || !strings.Contains(got.LastError, "has gone") {
		t.Errorf("after all have gone: %+v", got)
	}
	v.Close()
	v.Close()
	if len(s.Ports()) != 0 {
		t.Error("the line is shown though it is closed")
	}
}

// What a stranger does is told for a while, though others are well meanwhile.
func TestTroubleOfAVisitedLineLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, v, stats := visited(t)
		v.Enter()
		logger := v.Visitor("outfall")
		v.Trouble("a stranger comes")
		for range 10 {
			time.Sleep(59 * time.Second)
			logger.Good()
			if got := stats(); got.LastError != "a stranger comes" {
				t.Fatalf("the line says %q", got.LastError)
			}
		}
		time.Sleep(time.Minute)
		logger.Good()
		if got := stats(); got.LastError != "" {
			t.Errorf("the line still says %q", got.LastError)
		}
	})
}

func TestVisitedLineOfANextOwnerStays(t *testing.T) {
	s, v, stats := visited(t)
	next := s.Visited("0.0.0.0:9212")
	next.Enter()
	v.Close()
	if got := stats(); !got.Open {
		t.Error("the earlier owner took the later one's line away")
	}
	next.Close()
}

// A driver that is shown nowhere need not know.
func TestNothingIsVisitedWithoutASet(t *testing.T) {
	var none *Set
	v := none.Visited("0.0.0.0:9212")
	v.Enter()
	v.Judge(v.Heard([]byte("x"), "", "hj212", ""), "y")
	v.Said([]byte("x"), "", "hj212")
	v.Trouble("z")
	logger := v.Visitor("outfall")
	logger.Good()
	logger.Damaged()
	logger.TurnedAway()
	logger.Unanswered()
	logger.Depart()
	v.Leave()
	v.Close()

	s, _, _ := visited(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if late := s.Visited("0.0.0.0:9213"); late != nil {
		t.Error("a closed set shows a new line")
	}
}

func TestVisitedLineIsToldOfFromManySides(t *testing.T) {
	_, v, stats := visited(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			logger := v.Visitor("outfall")
			defer logger.Depart()
			for range 200 {
				v.Enter()
				v.Judge(v.Heard([]byte("report"), "outfall", "hj212", ""), "x")
				logger.Good()
				v.Trouble("a stranger comes")
				v.Leave()
			}
		})
	}
	all.Wait()
	if got := stats(); got.Open || got.Exchanges != 8*200*2 || got.BytesIn != 8*200*6 {
		t.Errorf("the line is %+v", got)
	}
}
