package queue_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
)

// reading publishes what a device gave up.
func (p *plant) reading(gateway, device string, n int) {
	p.t.Helper()
	topic := "readings/" + gateway + "/" + device
	m := &message.Message{Topic: topic, Device: device, Seq: uint64(n), QoS: 1, Time: time.Now().UnixMilli(), Payload: fmt.Append(nil, device, " ", n),
		Queue: message.QueueOf(topic, message.DefaultQueues)}
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) {
		if err != nil {
			p.t.Error(err)
		}
	})
	if _, err := p.tap.Publish(p.t.Context(), m, ack, 0); err != nil {
		p.t.Fatal(err)
	}
}

func TestReadingsAreFoundByTheirDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		start := time.Now()
		for i := range 600 {
			p.reading("line", fmt.Sprintf("meter-%d", i%7), i)
			p.reading("line", "press 1", i)
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		at := func(i int) time.Time { return start.Add(time.Duration(i) * 10 * time.Millisecond) }
		find := func(topic, key string, from, to time.Time, most int) (bodies []string) {
			t.Helper()
			found, err := p.Find(t.Context(), topic, key, from, to, most)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range found {
				bodies = append(bodies, string(m.Body))
			}
			return bodies
		}
		far := time.UnixMilli(1<<63 - 1)
		same(t, "the last", find("readings", "press_1", time.UnixMilli(0), far, 2), []string{"press 1 598", "press 1 599"})
		same(t, "of a time", find("readings", "press_1", at(10), at(12), 64), []string{"press 1 10", "press 1 11", "press 1 12"})
		same(t, "without a time", find("readings", "meter-3", time.Time{}, time.Time{}, 1), []string{"meter-3 598"})
		same(t, "all of a device", len(find("readings", "meter-0", time.Time{}, time.Time{}, 1000)), 86)
		same(t, "of another topic", find("orders", "press_1", time.Time{}, time.Time{}, 2), []string(nil))
		same(t, "of nobody", find("readings", "oven", time.Time{}, time.Time{}, 2), []string(nil))
		same(t, "not yet", find("readings", "press_1", at(700), at(800), 2), []string(nil))
		found, err := p.Find(t.Context(), "readings", "press_1", at(10), at(10), 1)
		if err != nil || len(found) != 1 || found[0].Property(queue.Keys) != "press_1" {
			t.Errorf("the key of what is found: %+v, %v", found, err)
		}
	})
}
