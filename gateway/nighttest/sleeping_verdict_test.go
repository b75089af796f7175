//go:build linux

package nighttest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// author is one who published numbered messages.
type author struct {
	topicOf func(n int) string
	payload func(n int) string
	qos     byte
	acked   int // messages 1 to acked were acknowledged
}

func (b *bedroom) authors() map[string]author {
	all := map[string]author{b.exact.label: {func(int) string { return b.exact.topic }, b.exact.payload, 2, b.exact.done()}}
	for _, p := range b.plain {
		all[p.label] = author{p.topicOf, p.payload, 1, p.acked}
	}
	return all
}

// wanted counts what was acknowledged and matches a session's filter.
func (b *bedroom) wanted(s *sleeper) (n int) {
	for _, a := range b.authors() {
		for i := 1; i <= a.acked; i++ {
			if s.matches(a.topicOf(i)) {
				n++
			}
		}
	}
	return n
}

// missing are the payloads that were acknowledged and did not come.
func (b *bedroom) missing(s *sleeper) (payloads []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range b.authors() {
		for i := 1; i <= a.acked; i++ {
			if !s.matches(a.topicOf(i)) {
				continue
			}
			if _, came := s.first[a.payload(i)]; !came {
				payloads = append(payloads, a.payload(i))
			}
		}
	}
	return payloads
}

// came counts everything that was given to anybody, repeats too.
func (b *bedroom) came() (n int) {
	for _, s := range b.sleepers {
		n += len(s.took)
	}
	return n
}

// Repeats after a break are at most the window and what was acknowledged since the session's place last
// became durable.
const sleeperRepeats = 100 + cursorAcks

// judge names, for every session, what breaks the delivery contract.
func (b *bedroom) judge(t *testing.T) {
	t.Helper()
	for _, problem := range b.problems() {
		t.Error(problem)
	}
}

func (b *bedroom) problems() (list []string) {
	problem := func(format string, args ...any) {
		if len(list) < mostProblems {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	for _, p := range b.plain {
		if p.err != nil {
			problem("%s: %v", p.label, p.err)
		}
	}
	if b.exact.err != nil {
		problem("%s: %v", b.exact.label, b.exact.err)
	}
	authors := b.authors()
	all := b.sleepers[0] // its filter is #: the log as it is
	for _, s := range b.sleepers {
		if s.err != nil {
			problem("%v", s.err)
		}
		if missing := b.missing(s); len(missing) > 0 {
			problem("%s: %d acknowledged messages never came, first %q", s.name, len(missing), missing[0])
		}
		last := make(map[string]int) // by author
		logged, repeats := -1, 0
		for i, m := range s.took {
			label, number, _ := strings.Cut(m.payload, " message ")
			a, known := authors[label]
			n, err := strconv.Atoi(number)
			if !known || err != nil || n < 1 || a.payload(n) != m.payload {
				problem("%s: delivery %d is nobody's: %+v", s.name, i, m)
				continue
			}
			if m.topic != a.topicOf(n) || !s.matches(m.topic) || m.qos != min(a.qos, s.qos) {
				problem("%s: delivery %d came on the wrong topic or with the wrong QoS: %+v", s.name, i, m)
			}
			if s.first[m.payload] != i {
				if repeats++; m.qos == 2 {
					problem("%s: delivery %d was delivered before: %+v", s.name, i, m)
				}
				continue
			}
			if n < last[label] {
				problem("%s: delivery %d came behind number %d: %+v", s.name, i, last[label], m)
			}
			last[label] = n
			place, there := all.first[m.payload]
			if !there || place < logged {
				problem("%s: delivery %d is in another order than in the log: %+v", s.name, i, m)
				continue
			}
			logged = place
		}
		if repeats > s.visits*sleeperRepeats {
			problem("%s: %d repeats in %d visits", s.name, repeats, s.visits)
		}
	}
	return list
}

func (b *bedroom) summary() string {
	text := fmt.Sprintf("%d of QoS 2 published", b.exact.done())
	acked := 0
	for _, p := range b.plain {
		acked += p.acked
	}
	text += fmt.Sprintf(", %d of QoS 1", acked)
	for _, s := range b.sleepers {
		text += fmt.Sprintf("; %s took %d and %d repeats in %d visits", s.name, len(s.first), len(s.took)-len(s.first), s.visits)
	}
	return text
}

func TestSleepingVerdict(t *testing.T) {
	count := func(n int) taken { return taken{"plant/press/count", fmt.Sprintf("exact message %d", n), 2} }
	load := func(n int) taken { return taken{"plant/oven/log", fmt.Sprintf("load message %d", n), 1} }
	seen := func(m taken) taken { m.qos = 1; return m } // as # with QoS 1 has it
	whole := []taken{seen(count(1)), load(1), seen(count(2)), load(2)}
	for _, c := range []struct {
		what       string
		all, exact []taken
		want       string
	}{
		{"as it should be", whole, []taken{count(1), count(2)}, ""},
		{"a repeat of QoS 1", append(whole[:4:4], load(2)), []taken{count(1), count(2)}, ""},
		{"a repeat of QoS 2", whole, []taken{count(1), count(2), count(2)}, "delivered before"},
		{"one is missing", whole[:3], []taken{count(1), count(2)}, "never came"},
		{"one of QoS 2 is missing", whole, []taken{count(2)}, "never came"},
		{"two are swapped", whole, []taken{count(2), count(1)}, "came behind"},
		{"another order than in the log", []taken{whole[0], whole[2], whole[1], whole[3], load(3)}, []taken{count(1), count(2)}, ""},
		{"what # has not", whole, []taken{count(1), count(2), count(3)}, "another order"},
		{"nobody's", append(whole[:4:4], taken{"plant/oven/log", "else", 1}), []taken{count(1), count(2)}, "nobody's"},
		{"wrong topic", append(whole[:4:4], taken{"plant/oven", "load message 3", 1}), []taken{count(1), count(2)}, "wrong topic"},
		{"wrong QoS", whole, []taken{count(1), seen(count(2))}, "wrong QoS"},
	} {
		b := newBedroom(t, "")
		b.exact.next = 3
		b.plain = []*publisher{{topic: "plant/oven/log", label: "load", acked: 2}}
		b.sleepers = b.sleepers[:2]
		for i, took := range [][]taken{c.all, c.exact} {
			b.sleepers[i].visits = 1
			for _, m := range took {
				b.sleepers[i].record(m)
			}
		}
		got := strings.Join(b.problems(), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", c.what, got, c.want)
		}
	}
}
