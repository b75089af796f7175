package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/queue"
)

// popModel is what a test knows of its messages, which say themselves where they were first.
type popModel struct {
	*popBench
	rand  *rand.Rand
	sent  [4]int // by queue
	given [4]int // messages of a queue that were handed out at least once: the first so many
	acked map[string]bool
	held  []heldMessage
	again int // times that a message was handed out that had been before
}

type heldMessage struct {
	body, topic string
	queue       int
	offset      uint64
	popTime     int64
}

func (m *popModel) send() {
	number := m.rand.IntN(4)
	send(m.t, m.Queues, queue.Message{Topic: "orders", Queue: number, Body: fmt.Appendf(nil, "%d/%d", number, m.sent[number])})
	m.sent[number]++
}

func (m *popModel) popSome() {
	r := queue.PopRequest{Topic: "orders", Queue: m.rand.IntN(5) - 1, Most: 1 + m.rand.IntN(8), Invisible: time.Duration(1+m.rand.IntN(20)) * time.Second}
	popped := m.pop(r)
	for _, batch := range popped.Batches {
		for _, record := range batch.Records {
			body := string(record.Payload)
			var number, at int
			if _, err := fmt.Sscanf(body, "%d/%d", &number, &at); err != nil {
				m.t.Fatal(err)
			}
			switch {
			case at == m.given[number]:
				m.given[number]++
			case at > m.given[number]:
				m.t.Errorf("%s was handed out before %d/%d", body, number, m.given[number])
			default:
				m.again++
			}
			m.held = append(m.held, heldMessage{body, batch.Topic, batch.Queue, record.QueueOffset, popped.Time})
		}
	}
}

// take takes one of the messages that were handed out, perhaps long ago.
func (m *popModel) take() (heldMessage, bool) {
	if len(m.held) == 0 {
		return heldMessage{}, false
	}
	i := m.rand.IntN(len(m.held))
	one := m.held[i]
	m.held[i] = m.held[len(m.held)-1]
	m.held = m.held[:len(m.held)-1]
	return one, true
}

func (m *popModel) ack() {
	if h, ok := m.take(); ok && m.AckPopped("g", h.topic, h.queue, h.offset, h.popTime) == nil {
		m.acked[h.body] = true
	}
}

func (m *popModel) change() {
	h, ok := m.take()
	if !ok {
		return
	}
	popTime, err := m.ChangeInvisible("g", h.topic, h.queue, h.offset, h.popTime, time.Duration(m.rand.IntN(30))*time.Second)
	if err == nil {
		h.popTime = popTime
		m.held = append(m.held, h)
	}
}

// checkNothingIsLost finds every message that is not acknowledged at or above the group's offset.
func (m *popModel) checkNothingIsLost() {
	m.t.Helper()
	there := make(map[string]bool)
	look := func(topic string, number int) {
		from, _ := m.Offset("g", topic, number)
		for next := uint64(from); ; {
			pulled, err := m.Pull(topic, number, next, 256, 1<<20, nil)
			if err != nil || pulled.Next == next {
				return
			}
			next = pulled.Next
			for _, r := range pulled.Records {
				there[string(r.Payload)] = true
			}
		}
	}
	for number := range 4 {
		look("orders", number)
	}
	look("%RETRY%g_orders", 0)
	for number := range 4 {
		for at := range m.sent[number] {
			if body := fmt.Sprintf("%d/%d", number, at); !m.acked[body] && !there[body] {
				m.t.Errorf("%s is not acknowledged, but the group is past it", body)
			}
		}
	}
}

func TestPopKeepsItsModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *popBench) {
				if err := b.PutGroup(t.Context(), "g", queue.GroupSettings{MaxRetries: 1 << 20}); err != nil {
					t.Fatal(err)
				}
				m := &popModel{popBench: b, rand: rand.New(rand.NewPCG(seed, 5)), acked: make(map[string]bool)}
				m.send()
				for step := range 600 {
					switch n := m.rand.IntN(100); {
					case n < 25:
						m.send()
					case n < 50:
						m.popSome()
					case n < 85:
						m.ack()
					case n < 92:
						m.change()
					case n < 98:
						time.Sleep(time.Duration(m.rand.IntN(8000)) * time.Millisecond)
					case n == 98:
						m.reopen()
					default:
						synctest.Wait()
						m.checkNothingIsLost()
					}
					if t.Failed() {
						t.Fatalf("at step %d", step)
					}
				}
				m.checkNothingIsLost()
				all := m.sent[0] + m.sent[1] + m.sent[2] + m.sent[3]
				for deadline := time.Now().Add(time.Hour); len(m.acked) < all; {
					m.popSome()
					for len(m.held) > 0 {
						m.ack()
					}
					time.Sleep(200 * time.Millisecond)
					if time.Now().After(deadline) {
						t.Fatalf("%d of %d messages were acknowledged", len(m.acked), all)
					}
				}
				m.checkNothingIsLost()
				if m.again == 0 {
					t.Error("nothing was handed out again: the test tests nothing")
				}
			})
		})
	}
}

func TestConsumersAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		const all = 2000
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var mu sync.Mutex // guards acked
		acked := make(map[string]bool)
		b.fill("orders", 0, 0, 1)
		var work sync.WaitGroup
		for c := range 4 {
			random := rand.New(rand.NewPCG(uint64(c), 9))
			r := queue.PopRequest{Group: "g", Topic: "orders", Queue: -1, Most: 16, Invisible: 3 * time.Second}
			work.Go(func() {
				for ctx.Err() == nil {
					p, err := b.Pop(r)
					if err != nil {
						t.Error(err)
						return
					}
					if len(p.Batches) == 0 {
						woken := make(chan struct{})
						w, err := b.WaitPop(r, func() { close(woken) })
						if err != nil {
							t.Error(err)
							return
						}
						select {
						case <-woken:
						case <-ctx.Done():
							w.Stop()
						}
					}
					for _, batch := range p.Batches {
						for _, record := range batch.Records {
							if random.IntN(20) == 0 || b.AckPopped("g", batch.Topic, batch.Queue, record.QueueOffset, p.Time) != nil {
								continue
							}
							mu.Lock()
							acked[string(record.Payload)] = true
							if len(acked) == all {
								cancel()
							}
							mu.Unlock()
						}
					}
				}
			})
		}
		work.Go(func() {
			for i := 1; i < all; i++ {
				if err := b.Send(context.Background(), &queue.Message{Topic: "orders", Queue: -1, Body: fmt.Append(nil, i)}, 0, func(queue.Sent, error) {}); err != nil {
					t.Error(err)
				}
			}
		})
		work.Wait()
		if len(acked) != all {
			t.Errorf("%d of %d messages were acknowledged", len(acked), all)
		}
	})
}
