package rocketmq

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
	"sluice/gateway/remoting"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// source is a cursor over readings of several devices, in memory.
type source struct {
	devices, last int
	kill          chan struct{} // closed when acked passes killAt
	killAt        int
	done          chan struct{} // closed when everything is acknowledged

	mu          sync.Mutex // guards what follows
	next, acked int
}

func (s *source) Next(ctx context.Context, dst []message.Record, most int) ([]message.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next > s.last {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return dst, ctx.Err()
	}
	for range most {
		if s.next > s.last {
			break
		}
		device := fmt.Sprintf("device-%d", s.next%s.devices)
		dst = append(dst, message.Record{Position: message.Position(s.next), Message: message.Message{
			Topic: "readings/line-3/" + device, Device: device, Time: 1795345665221, QoS: 1,
			Payload: fmt.Appendf(nil, `{"device":%q,"seq":%d,"fill":%q}`, device, s.next, strings.Repeat("x", 180))}})
		s.next++
	}
	return dst, nil
}

func (s *source) Ack(upTo message.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.acked
	s.acked = int(upTo)
	if before < s.killAt && s.acked >= s.killAt {
		close(s.kill)
	}
	if before < s.last && s.acked == s.last {
		close(s.done)
	}
}

func (s *source) Rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = s.acked + 1
}

func (s *source) SetAside(_ context.Context, at message.Position, m *message.Message) error {
	reason := ""
	for _, p := range m.Properties {
		if p.Name == bridge.AsideReason {
			reason = p.Value
		}
	}
	return fmt.Errorf("message %d would be set aside: %s", at, reason)
}

// A real broker that syncs before it answers is killed in the middle: everything arrives, in order, and
// what comes twice has the same UNIQ_KEY.
func TestARealBrokerIsKilledInTheMiddle(t *testing.T) {
	if os.Getenv("SLUICE_LONG") != "1" {
		t.Skip("takes a minute: in the long form, SLUICE_LONG=1")
	}
	real := rocketmqtest.Start(t, rocketmqtest.Options{Broker: map[string]string{"flushDiskType": "SYNC_FLUSH"}})
	u := newUplink(t, real.NameServer)
	u.options.SendTimeout = 10 * time.Second
	const total, window = 20_000, 1000
	s := &source{devices: 20, last: total, killAt: total / 3, next: 1, kill: make(chan struct{}), done: make(chan struct{})}
	f := &bridge.Forwarder{Name: "cloud", Gateway: "line-3", Origin: "line-3-1", Uplink: u, Window: window, Retry: time.Second,
		Log: slog.New(slog.DiscardHandler), Routes: []bridge.Route{{From: "readings/#", To: "{topic}", Source: s}}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	began := time.Now()
	wait := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(3 * time.Minute):
			t.Fatalf("no %s within 3m: %+v", what, f.State())
		}
	}
	wait("first third", s.kill)
	t.Logf("the first third took %v", time.Since(began))
	real.KillBroker()
	real.RestartBroker(t)
	wait("end", s.done)
	checkReadings(t, u, total, window)
}

func checkReadings(t *testing.T, u *Uplink, total, window int) {
	t.Helper()
	seen, last, payloads, repeated := map[string]string{}, map[string]int{}, map[string]bool{}, 0
	for _, m := range pullAll(t, u, "readings") {
		properties := map[string]string{}
		list, err := remoting.ParseProperties(m.Properties)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			properties[p.Name] = p.Value
		}
		key, device := properties["UNIQ_KEY"], properties["KEYS"]
		if before, ok := seen[key]; ok {
			repeated++
			if before != string(m.Body) {
				t.Errorf("%s is the key of %.60s and of %.60s", key, before, m.Body)
			}
			continue
		}
		seen[key] = string(m.Body)
		if payloads[string(m.Body)] {
			t.Errorf("%.60s has two keys", m.Body)
		}
		payloads[string(m.Body)] = true
		_, text, _ := strings.Cut(string(m.Body), `"seq":`)
		text, _, _ = strings.Cut(text, ",")
		seq, err := strconv.Atoi(text)
		if err != nil || seq <= last[device] {
			t.Errorf("%s: %d comes after %d (%v)", device, seq, last[device], err)
		}
		last[device] = seq
		if properties["originMqttTopic"] != "readings/line-3/"+device || properties["TAGS"] != device {
			t.Errorf("%.60s has %v", m.Body, properties)
		}
	}
	if len(seen) != total || len(last) != 20 {
		t.Errorf("%d messages of %d devices arrived, want %d of 20", len(seen), len(last), total)
	}
	if repeated > window {
		t.Errorf("%d messages came twice, want %d at most", repeated, window)
	}
	t.Logf("%d arrived, %d of them twice", len(seen), repeated)
}

// pullAll reads the queues of a topic to their ends.
func pullAll(t *testing.T, u *Uplink, topic string) (all []remoting.Stored) {
	t.Helper()
	l := connect(t, u).(*link)
	route, err := l.lookUp(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range route.queues {
		for offset := int64(0); ; {
			answer, err := l.brokers[q.broker].call(t.Context(), &remoting.Command{Code: remoting.PullMessage, Ext: remoting.Fields{
				{Name: "consumerGroup", Value: "check"}, {Name: "topic", Value: topic}, {Name: "queueId", Value: strconv.Itoa(q.id)},
				{Name: "queueOffset", Value: strconv.FormatInt(offset, 10)}, {Name: "maxMsgNums", Value: "32"}, {Name: "sysFlag", Value: "4"},
				{Name: "commitOffset", Value: "0"}, {Name: "suspendTimeoutMillis", Value: "0"}, {Name: "subscription", Value: "*"},
				{Name: "subVersion", Value: "0"}, {Name: "expressionType", Value: "TAG"}}}, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Code != remoting.Success {
				if answer.Code != remoting.PullNotFound {
					t.Fatalf("pull: %s", describe(&answer))
				}
				break
			}
			for rest := answer.Body; len(rest) > 0; {
				var m remoting.Stored
				if m, rest, err = remoting.ParseStored(rest); err != nil {
					t.Fatal(err)
				}
				all = append(all, m)
			}
			if offset, err = strconv.ParseInt(answer.Ext.Get("nextBeginOffset"), 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}
