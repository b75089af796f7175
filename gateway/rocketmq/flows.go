package rocketmq

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// maxFlows bounds how many topics and groups are counted apart; what is beyond is counted with all.
const maxFlows = 10_000

// flows count what goes in by topic and out by topic and group.
type flows struct {
	in, out flow // of all topics, to all groups
	missed  flow // pulls that found nothing
	back    flow // what groups gave back

	mu  sync.RWMutex // guards all
	all map[string]*flow
}

// flow is one of them, with its recent past for rates.
type flow struct {
	messages, bytes, times atomic.Uint64
	total                  *flow // counts the same, with all others; nil: nobody

	mu                sync.Mutex // guards what follows
	minute, hour, day past
	recent            past // ten minutes in small steps, only of those flows that are all together
}

// sample is where the counters of a flow stood.
type sample struct {
	at                     time.Time
	messages, bytes, times uint64
}

// past are the last samples of a flow, the oldest first, and none twice in every.
type past struct {
	every   time.Duration
	most    int
	samples []sample
}

// put counts messages that came or went together.
func (f *flow) put(messages, bytes int) {
	f.messages.Add(uint64(messages))
	f.bytes.Add(uint64(bytes))
	f.times.Add(1)
	if f.total != nil {
		f.total.put(messages, bytes)
	}
}

// begin gives the flow its beginning: everything it counts comes later.
func (f *flow) begin(now time.Time, total *flow) {
	first := []sample{{at: now}}
	f.total = total
	f.minute = past{every: 10 * time.Second, most: 7, samples: first[:1:1]}
	f.hour = past{every: 10 * time.Minute, most: 7, samples: first[:1:1]}
	f.day = past{every: time.Hour, most: 25, samples: first[:1:1]}
	if total == nil {
		f.recent = past{every: 10 * time.Second, most: 61, samples: first[:1:1]}
	}
}

// now is where the counters stand.
func (f *flow) now(at time.Time) sample {
	return sample{at, f.messages.Load(), f.bytes.Load(), f.times.Load()}
}

// sample remembers where the counters stand.
func (f *flow) sample(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.now(now)
	f.minute.add(next)
	f.hour.add(next)
	f.day.add(next)
	if f.recent.most > 0 {
		f.recent.add(next)
	}
}

// early is how much sooner than every a sample may come: tickers are not exact.
const early = time.Second

func (p *past) add(next sample) {
	if next.at.Sub(p.samples[len(p.samples)-1].at) < p.every-early {
		return
	}
	p.samples = append(p.samples, next)
	if len(p.samples) > p.most {
		p.samples = append(p.samples[:0], p.samples[1:]...)
	}
}

// span gives the oldest and the newest sample.
func (p *past) span() (first, last sample) { return p.samples[0], p.samples[len(p.samples)-1] }

// spans gives what the flow was in the last minute, hour and day.
func (f *flow) spans() (spans [3][2]sample) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range []*past{&f.minute, &f.hour, &f.day} {
		spans[i][0], spans[i][1] = p.span()
	}
	return spans
}

func (s *stats) init(now time.Time) {
	s.flows.all = make(map[string]*flow)
	s.flows.in.begin(now, nil)
	s.flows.out.begin(now, nil)
	s.flows.missed.begin(now, nil)
	s.flows.back.begin(now, nil)
}

// sample remembers where all counters stand.
func (s *stats) sample(now time.Time) {
	s.flows.mu.RLock()
	defer s.flows.mu.RUnlock()
	for _, f := range s.flows.all {
		f.sample(now)
	}
	s.flows.in.sample(now)
	s.flows.out.sample(now)
	s.flows.missed.sample(now)
	s.morning(now)
}

// topic gives the flow into a topic.
func (f *flows) topic(topic string) *flow { return f.named(topic, &f.in) }

// group gives the flow from a topic to a group, under the name that statistics are asked for by.
func (f *flows) group(topic, group string) *flow { return f.named(topic+"@"+group, &f.out) }

// backPrefix is what the names of flows back from a group begin with.
const backPrefix = "back:"

// sentBack gives the flow of what a group gave back of a topic.
func (f *flows) sentBack(topic, group string) *flow {
	return f.named(backPrefix+topic+"@"+group, &f.back)
}

func (f *flows) named(name string, total *flow) *flow {
	if known := f.find(name); known != nil {
		return known
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.all[name]
	if known == nil {
		if len(f.all) >= maxFlows {
			return total
		}
		known = new(flow)
		known.begin(time.Now(), total)
		f.all[name] = known
	}
	return known
}

// find gives a flow that there has been.
func (f *flows) find(name string) *flow {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.all[name]
}

// rate is how many messages of a flow there were a second, in about the last minute.
func (f *flows) rate(name string) float64 {
	known := f.find(name)
	if known == nil {
		return 0
	}
	spans := known.spans()
	return perSecond(spans[0][0], spans[0][1])
}

func perSecond(first, last sample) float64 {
	if took := last.at.Sub(first.at).Seconds(); took > 0 {
		return float64(last.messages-first.messages) / took
	}
	return 0
}

func (s sample) calls() uint64 { return s.times }

// recentRates is how much there was a second in the last 10, 60 and 600 seconds.
func (f *flow) recentRates(counted func(sample) uint64) (rates [3]float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	samples := f.recent.samples
	last := samples[len(samples)-1]
	for i, steps := range []int{1, 6, 60} {
		first := samples[max(len(samples)-1-steps, 0)]
		if took := last.at.Sub(first.at).Seconds(); took > 0 {
			rates[i] = float64(counted(last)-counted(first)) / took
		}
	}
	return rates
}

// rates writes recentRates as Java brokers do.
func (f *flow) rates(counted func(sample) uint64) string {
	rates := f.recentRates(counted)
	return fmt.Sprintf("%.2f %.2f %.2f", rates[0], rates[1], rates[2])
}

// mornings are where the counters stood when yesterday and today began.
type mornings struct {
	yesterday, today struct{ in, out uint64 }
	day              int // of the year, of today
}

// morning notes that another day has begun.
func (s *stats) morning(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counted.day == now.YearDay() {
		return
	}
	if s.counted.day != 0 {
		s.counted.yesterday = s.counted.today
		s.counted.today.in, s.counted.today.out = s.flows.in.messages.Load(), s.flows.out.messages.Load()
	}
	s.counted.day = now.YearDay()
}

func (s *stats) days() mornings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counted
}
