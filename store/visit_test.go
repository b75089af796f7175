package store

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"sluice/gateway/message"
)

type visited struct {
	at      message.Position
	time    int64
	topic   string
	payload string
}

func visitAll(t *testing.T, s *Store, from message.Position, since, until int64, topics ...string) (list []visited) {
	t.Helper()
	if from == 0 {
		from = 1
	}
	for calls := 0; from != 0; calls++ {
		next, err := s.Visit(from, since, until, topics, func(r Stored) {
			list = append(list, visited{r.Position, r.Time, topics[r.Topic], string(r.Payload)})
		})
		if err != nil {
			t.Fatal(err)
		}
		if next != 0 && next <= from && calls > 10_000 {
			t.Fatalf("Visit stands still at %d", next)
		}
		from = next
	}
	return list
}

// TestVisitAgreesWithAModel compares with a plain list, while small blocks become full ones and the log is
// indexed, after a restart, and with times and topics drawn at random.
func TestVisitAgreesWithAModel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	random := rand.New(rand.NewPCG(1, 2))
	s, stop := running(t, Options{Dir: dir, FileSize: 1 << 20})
	durable := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { durable <- err })
	var model []visited
	now := int64(1_000_000)
	check := func() {
		t.Helper()
		for range 5 {
			first, last := model[random.IntN(len(model))].time, model[random.IntN(len(model))].time
			since, until := min(first, last), max(first, last)
			topics := []string{fmt.Sprintf("readings/%d", random.IntN(30)), "rare", "never"}[:1+random.IntN(3)]
			from := message.Position(random.IntN(len(model)) + 1)
			var want []visited
			for _, v := range model {
				if v.at >= from && v.time >= since && v.time <= until && slices.Contains(topics, v.topic) {
					want = append(want, v)
				}
			}
			if got := visitAll(t, s, from, since, until, topics...); !slices.Equal(got, want) {
				t.Fatalf("%q from %d, %d to %d: %d records, want %d", topics, from, since, until, len(got), len(want))
			}
		}
	}
	for i := range 6000 {
		now += random.Int64N(3000)
		topic := fmt.Sprintf("readings/%d", random.IntN(30))
		if random.IntN(500) == 0 {
			topic = "rare"
		}
		stamped := now - random.Int64N(500) // not quite in order
		m := message.Message{Topic: topic, Time: stamped, Payload: fmt.Appendf(nil, "%d %0*d", i, 200+random.IntN(600), i)}
		if err := s.Append(t.Context(), &m, ack, 0); err != nil {
			t.Fatal(err)
		}
		if err := <-durable; err != nil {
			t.Fatal(err)
		}
		model = append(model, visited{message.Position(i + 1), stamped, topic, string(m.Payload)})
		if i%500 == 499 {
			check()
		}
	}
	if s.index.storedEnd() == 0 {
		t.Error("there was no checkpoint: the test proves less than it should")
	}
	stop()
	s, stop = running(t, Options{Dir: dir, FileSize: 1 << 20})
	defer stop()
	for range 20 {
		check()
	}
}

// TestVisitReadsOnlyTheBlocksOfTheTime counts blocks instead of trusting a clock.
func TestVisitReadsOnlyTheBlocksOfTheTime(t *testing.T) {
	s := openIndexed(t, t.TempDir())
	defer closed(t, s)
	for i := range 200 {
		put(t, s, 1, message.Message{Topic: "a", Time: int64(i) * 600_000, Payload: []byte("x")})
	}
	v := visiting{store: s, since: 100 * 600_000, until: 102 * 600_000, topics: []string{"a"}}
	if _, err := v.choose(1); err != nil {
		t.Fatal(err)
	}
	if len(v.chosen) > 6 {
		t.Errorf("%d blocks are read for 3 messages", len(v.chosen))
	}
	if got := visitAll(t, s, 1, v.since, v.until, "a"); len(got) != 3 {
		t.Errorf("%d messages, want 3", len(got))
	}
}

// TestVisitOutlivesAClockThatJumps: a gateway that woke up in 2038, and later knew better, still shows what
// was stored before and after.
func TestVisitOutlivesAClockThatJumps(t *testing.T) {
	s := openIndexed(t, t.TempDir())
	defer closed(t, s)
	var times []int64
	for i := range 30 {
		times = append(times, 1_000_000+int64(i)*120_000)
	}
	for i := 10; i < 20; i++ {
		times[i] += 1 << 40
	}
	for i, at := range times {
		put(t, s, 3, message.Message{Topic: "a", Time: at, Payload: fmt.Append(nil, i)})
	}
	for i, at := range times {
		if got := visitAll(t, s, 1, at, at, "a"); len(got) != 1 || got[0].payload != fmt.Sprint(i) {
			t.Errorf("message %d of %d is found as %v", i, at, got)
		}
	}
}

// TestVisitEndsAtTheEndsOfTime takes any bounds that there are.
func TestVisitEndsAtTheEndsOfTime(t *testing.T) {
	s := openIndexed(t, t.TempDir())
	defer closed(t, s)
	put(t, s, 1, message.Message{Topic: "a", Time: 5, Payload: []byte("x")}, message.Message{Topic: "b", Time: 6})
	if got := visitAll(t, s, 0, -1<<63, 1<<63-1, "a", "b"); len(got) != 2 {
		t.Errorf("all of time has %d messages, want 2", len(got))
	}
	if got := visitAll(t, s, 0, 6, 5, "a"); len(got) != 0 {
		t.Errorf("an empty time has %d messages", len(got))
	}
	if got := visitAll(t, s, 0, 0, 10); len(got) != 0 {
		t.Errorf("no topics match %d messages", len(got))
	}
}

func BenchmarkVisit(b *testing.B) {
	s, err := Open(Options{Dir: filepath.Join(b.TempDir(), "log")})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const devices, rounds = 100, 2000
	payload := make([]byte, 0, 256)
	for i := range rounds {
		for d := range devices {
			payload = fmt.Appendf(payload[:0], `{"gateway":"g","device":"d%d","epoch":1,"seq":%d,"ts":%d,"values":{"a":%d.5,"b":%d,"c":%d,"d":21.25}}`, d, i, i*1000, i%77, i, i*d)
			m := message.Message{Topic: fmt.Sprintf("readings/g/d%d", d), Time: int64(i) * 1000, Payload: payload}
			if err := s.Append(b.Context(), &m, nil, 0); err != nil {
				b.Fatal(err)
			}
		}
		if i%20 == 19 || i == rounds-1 {
			for s.commitNext() {
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for from := message.Position(1); from != 0; {
			from, err = s.Visit(from, 0, 1<<50, []string{"readings/g/d7"}, func(Stored) { n++ })
			if err != nil {
				b.Fatal(err)
			}
		}
		if n != rounds {
			b.Fatalf("%d records, want %d", n, rounds)
		}
	}
}
