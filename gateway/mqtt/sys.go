package mqtt

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"sluice/gateway/message"
)

// sysEvery is the time between two rounds of what is told below $SYS.
const sysEvery = 10 * time.Second

// sysTopics are what the server says of itself below $SYS, under the names that mosquitto gave them, for
// which people's dashboards look. They are never in the log: a new subscriber is given the last round, the
// others each round.
type sysTopics struct {
	told  time.Time // of the last round; keepHouse's own
	loads [3]load   // over 1, 5 and 15 minutes; keepHouse's own
	last  sysCounts

	mu   sync.Mutex // guards what follows
	list []message.Record
}

// sysCounts are counters of which a load is made.
type sysCounts struct{ received, sent, connections, bytesIn, bytesOut uint64 }

type load struct{ received, sent, connections, bytesIn, bytesOut float64 }

// each visits the topics under a filter.
func (t *sysTopics) each(filter string, visit func(*message.Record) error) error {
	t.mu.Lock()
	list := t.list
	t.mu.Unlock()
	for i := range list {
		if message.Match(filter, list[i].Topic) {
			if err := visit(&list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell makes a round.
func (s *Server) tell(now time.Time) {
	t := &s.sys
	stats, stored := s.Stats(), s.backend.Stored()
	was := t.told
	t.told = now
	counts := sysCounts{stats.Received, stats.Delivered, stats.Connected, s.bytesIn.Load(), s.bytesOut.Load()}
	values := map[string]string{
		"version":                   "sluice " + s.options.Version,
		"uptime":                    fmt.Sprintf("%d seconds", int64(now.Sub(s.started).Seconds())),
		"clients/connected":         strconv.Itoa(stats.Sessions),
		"clients/active":            strconv.Itoa(stats.Sessions),
		"clients/maximum":           strconv.Itoa(stats.MostSessions),
		"clients/total":             strconv.Itoa(stats.Sessions + stored.Sleeping),
		"clients/inactive":          strconv.Itoa(stored.Sleeping),
		"clients/disconnected":      strconv.Itoa(stored.Sleeping),
		"clients/expired":           strconv.FormatUint(stored.Expired, 10),
		"bytes/received":            strconv.FormatUint(counts.bytesIn, 10),
		"bytes/sent":                strconv.FormatUint(counts.bytesOut, 10),
		"messages/received":         strconv.FormatUint(stats.Received, 10),
		"messages/sent":             strconv.FormatUint(stats.Delivered, 10),
		"publish/messages/received": strconv.FormatUint(stats.Received, 10),
		"publish/messages/sent":     strconv.FormatUint(stats.Delivered, 10),
		"publish/messages/dropped":  strconv.FormatUint(stats.Dropped, 10),
		"messages/stored":           strconv.FormatUint(stored.Messages, 10),
		"store/messages/count":      strconv.FormatUint(stored.Messages, 10),
		"store/messages/bytes":      strconv.FormatInt(stored.Bytes, 10),
		"retained messages/count":   strconv.Itoa(stored.Retained),
		"subscriptions/count":       strconv.Itoa(stats.Subscriptions),
	}
	if !was.IsZero() {
		t.measure(counts, now.Sub(was))
		for i, span := range []string{"1min", "5min", "15min"} {
			l := t.loads[i]
			values["load/messages/received/"+span] = fmt.Sprintf("%.2f", l.received)
			values["load/publish/received/"+span] = fmt.Sprintf("%.2f", l.received)
			values["load/messages/sent/"+span] = fmt.Sprintf("%.2f", l.sent)
			values["load/publish/sent/"+span] = fmt.Sprintf("%.2f", l.sent)
			values["load/bytes/received/"+span] = fmt.Sprintf("%.2f", l.bytesIn)
			values["load/bytes/sent/"+span] = fmt.Sprintf("%.2f", l.bytesOut)
			values["load/connections/"+span] = fmt.Sprintf("%.2f", l.connections)
		}
	}
	t.last = counts
	list := make([]message.Record, 0, len(values))
	for name, value := range values {
		list = append(list, message.Record{Message: message.Message{Topic: "$SYS/broker/" + name, Payload: []byte(value), Time: now.UnixMilli()}})
	}
	if s.options.Tell != nil {
		s.options.Tell(func(topic string, payload []byte) {
			list = append(list, message.Record{Message: message.Message{Topic: topic, Payload: payload, Time: now.UnixMilli()}})
		})
	}
	slices.SortFunc(list, func(a, b message.Record) int { return cmp.Compare(a.Topic, b.Topic) })
	t.mu.Lock()
	t.list = list
	t.mu.Unlock()
	for i := range list {
		s.backend.Hand(&list[i].Message)
	}
}

// measure lets the loads follow what came a minute, each over its own time: exponentially, as load
// averages do.
func (t *sysTopics) measure(now sysCounts, passed time.Duration) {
	minutes := passed.Minutes()
	for i, span := range []float64{1, 5, 15} {
		keep := 1 / (1 + minutes/span)
		follow := func(old float64, was, is uint64) float64 { return old*keep + float64(is-was)/minutes*(1-keep) }
		l := &t.loads[i]
		l.received = follow(l.received, t.last.received, now.received)
		l.sent = follow(l.sent, t.last.sent, now.sent)
		l.bytesIn = follow(l.bytesIn, t.last.bytesIn, now.bytesIn)
		l.bytesOut = follow(l.bytesOut, t.last.bytesOut, now.bytesOut)
		l.connections = follow(l.connections, t.last.connections, now.connections)
	}
}
