package queue_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
)

// half sends a half message and gives its name.
func (p *plant) half(body string, more ...string) queue.Half {
	p.t.Helper()
	sent := send(p.t, p.Queues, queue.Message{Topic: "orders", Queue: 1, SysFlag: 4, Body: []byte(body),
		Properties: with(append([]string{queue.Transaction, "true", queue.ProducerGroup, "shop"}, more...)...)})
	if sent.Queue != 1 {
		p.t.Errorf("the half message is for queue %d, want 1", sent.Queue)
	}
	return queue.Half{Group: "shop", Position: sent.Position, Offset: sent.Offset}
}

func (p *plant) end(half queue.Half, decision queue.Decision) error {
	p.t.Helper()
	_, err := waited(p.t, func(done func(int, error)) error {
		return p.End(p.t.Context(), half, decision, func(err error) { done(0, err) })
	})
	return err
}

// asked is a checker that writes down what it is asked.
type asked struct {
	mu      sync.Mutex
	list    []string
	half    queue.Half
	offline bool
}

func (a *asked) ask(group string, m *queue.Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, fmt.Sprintf("%s: %s for %s/%d, %s", group, m.Body, m.Topic, m.Queue, m.Property(queue.CheckTimes)))
	a.half = queue.Half{Group: group, Position: m.Position, Offset: m.Offset}
	return !a.offline
}

// heard gives what was asked so far.
func (a *asked) heard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

// connect forgets what was asked while nobody was there.
func (a *asked) connect() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list, a.offline = nil, false
}

func TestAHalfMessageComesWhenItIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		yes, no, open := p.half("yes", queue.Delay, "5"), p.half("no"), p.half("open")
		same(t, "before", p.bodies("orders", 1), []string(nil))
		for _, wrong := range []queue.Half{{"other", yes.Position, yes.Offset}, {"shop", yes.Position + 1, yes.Offset}, {"shop", yes.Position, 77}, {"shop", 99, 99}} {
			if err := p.end(wrong, queue.Commit); !errors.Is(err, queue.ErrIllegal) && !errors.Is(err, queue.ErrNoMessage) {
				t.Errorf("end of %+v: %v", wrong, err)
			}
		}
		for half, decision := range map[queue.Half]queue.Decision{yes: queue.Commit, no: queue.Rollback, open: queue.Undecided} {
			if err := p.end(half, decision); err != nil {
				t.Error(err)
			}
		}
		for _, half := range []queue.Half{yes, no} {
			if err := p.end(half, queue.Commit); err != nil { // once more
				t.Error(err)
			}
		}
		same(t, "after", p.bodies("orders", 1), []string{"yes"})
		m := p.messages("orders", 1)[0]
		same(t, "flags", []any{m.SysFlag, m.Prepared, m.Property(queue.Transaction), m.Property(queue.RealTopic), m.Property(queue.Delay)}, []any{8, yes.Position, "true", "", ""})
		same(t, "waiting", p.Pending(), queue.Pending{Half: 1})
		p.restart()
		if err := p.end(open, queue.Commit); err != nil {
			t.Error(err)
		}
		same(t, "in the end", p.bodies("orders", 1), []string{"yes", "open"})
	})
}

func TestAProducerIsAskedUntilItDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{Checks: 3})
		shop := &asked{offline: true}
		p.SetChecker("test", shop.ask)
		half := p.half("late", queue.CheckImmunity, "10")
		p.half("never")
		time.Sleep(9 * time.Second)
		same(t, "asked", shop.heard(), []string{"shop: never for orders/1, 1"})
		time.Sleep(2 * time.Second)
		same(t, "asked", shop.heard(), []string{"shop: never for orders/1, 1", "shop: late for orders/1, 1"})
		if shop.half != half {
			t.Errorf("asked about %+v, want %+v", shop.half, half)
		}
		shop.connect() // that did not count: nobody was there
		time.Sleep(30 * time.Second)
		p.restart() // what was asked is remembered
		p.SetChecker("test", shop.ask)
		time.Sleep(31 * time.Second)
		same(t, "asked", len(shop.heard()), 4)
		if err := p.end(half, queue.Commit); err != nil {
			t.Error(err)
		}
		time.Sleep(70 * time.Second)
		same(t, "asked", shop.heard()[4:], []string{"shop: never for orders/1, 3"})
		same(t, "delivered", p.bodies("orders", 1), []string{"late"})
		same(t, "given up", p.bodies("TRANS_CHECK_MAX_TIME_TOPIC", 0), []string{"never"})
		same(t, "check times of what was asked about", p.messages("orders", 1)[0].Property(queue.CheckTimes), "2")
		same(t, "waiting", p.Pending(), queue.Pending{})
	})
}

func TestAProducerIsAskedAtOnceWhenItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		shop := &asked{offline: true}
		p.SetChecker("test", shop.ask)
		p.half("first")
		p.half("second")
		time.Sleep(7 * time.Second)
		p.half("young")
		synctest.Wait()
		same(t, "asked in vain", len(shop.heard()), 2)
		shop.connect()
		p.ProducerCame("other")
		time.Sleep(time.Second)
		same(t, "asked when another group comes", shop.heard(), []string(nil))
		p.ProducerCame("shop")
		synctest.Wait()
		same(t, "asked", shop.heard(), []string{"shop: first for orders/1, 1", "shop: second for orders/1, 1"})
		p.ProducerCame("shop") // one more of the group: it was asked already
		time.Sleep(4 * time.Second)
		same(t, "asked", len(shop.heard()), 2)
		time.Sleep(2 * time.Second)
		same(t, "asked", shop.heard()[2:], []string{"shop: young for orders/1, 1"})
		time.Sleep(25 * time.Second)
		same(t, "asked again in turn", shop.heard()[3:], []string{"shop: first for orders/1, 2", "shop: second for orders/1, 2"})
	})
}

func TestOfTwoDecisionsTheFirstCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		var all sync.WaitGroup
		for i := range 50 {
			half := p.half(fmt.Sprint(i))
			for range 3 {
				all.Go(func() {
					if err := p.end(half, queue.Commit); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		time.Sleep(time.Second) // who came second was not told before
		same(t, "delivered", len(p.bodies("orders", 1)), 50)
	})
}

func TestAHalfMessageNeedsItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		err := p.Send(t.Context(), &queue.Message{Topic: "orders", Properties: []message.Property{{Name: queue.Transaction, Value: "true"}}}, 0, nil)
		if !errors.Is(err, queue.ErrIllegal) {
			t.Errorf("without a group: %v", err)
		}
	})
}
