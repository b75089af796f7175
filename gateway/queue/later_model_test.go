package queue_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/store"
)

var modelSeed = flag.Uint64("later.seed", 0, "seed of the random test of what comes later; 0: any")

// promise is what the model knows of a message.
type promise struct {
	body    string
	level   int // of its delay; 0: none
	notYet  int64
	half    queue.Half
	sent    queue.Sent
	isHalf  bool
	certain bool // it must come
	never   bool // it must not come
	seen    int
	at      message.Position // where it was seen first
}

// model does random things to a plant and knows what must come of them.
type model struct {
	*plant
	t      *testing.T
	random *rand.Rand
	all    map[string]*promise
	open   []*promise         // half messages that nobody has decided
	timed  []*promise         // that may be recalled
	kills  []message.Position // the last in the log at each
	read   uint64
	order  map[int]int // of each level, which came last
	n      int
}

func TestWhatIsToComeLaterSurvivesKills(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-later.seed=%d", seed)
	for _, rollBytes := range []int64{0, 1 << 10} {
		synctest.Test(t, func(t *testing.T) {
			m := &model{
				t: t, random: rand.New(rand.NewPCG(seed, 0)), all: make(map[string]*promise), order: make(map[int]int),
				plant: plantOf(t, queue.Options{RollBytes: rollBytes, CheckAfter: time.Hour}, func(o *store.Options) { o.RetentionSize = 1 }),
			}
			steps := 40
			if testing.Short() {
				steps = 20
			}
			for range steps {
				m.step()
			}
			for range len(m.kills) + 3 { // a kill may take a minute from the clock, as long as that of the wall is not set
				time.Sleep(time.Minute)
				m.deliver()
			}
			m.settled()
		})
	}
}

func (m *model) step() {
	switch m.random.IntN(8) {
	default:
		for range m.random.IntN(20) {
			m.send()
		}
	case 0:
		time.Sleep(time.Duration(m.random.IntN(12000)) * time.Millisecond)
	case 1:
		for range m.random.IntN(4) {
			m.decide()
			m.recall()
		}
	case 2:
		m.restart()
	case 3:
		m.kill(int64(m.random.IntN(30)), func() {
			for range m.random.IntN(3) {
				m.send()
				m.decide()
				m.recall()
				time.Sleep(time.Duration(m.random.IntN(3000)) * time.Millisecond)
			}
		})
		m.kills = append(m.kills, m.ended)
	}
	m.deliver()
}

func (m *model) send() {
	m.n++
	p := &promise{body: fmt.Sprintf("%06d", m.n)}
	properties := with(queue.UniqueKey, p.body)
	now := time.Now().UnixMilli()
	switch m.random.IntN(4) {
	case 0:
		p.isHalf = true
		properties = append(properties, with(queue.Transaction, "true", queue.ProducerGroup, "g")...)
	case 1:
		wait := int64(m.random.IntN(40000))
		p.notYet = now + wait
		properties = append(properties, with(queue.TimerDelayMs, fmt.Sprint(wait))...)
	default:
		p.level = 1 + m.random.IntN(4)
		p.notYet = now + []int64{0, 1, 5, 10, 30}[p.level]*1000
		properties = append(properties, with(queue.Delay, fmt.Sprint(p.level))...)
	}
	body := append([]byte(p.body), make([]byte, m.random.IntN(300))...)
	sent, err := waited(m.t, func(done func(queue.Sent, error)) error {
		return m.Send(m.t.Context(), &queue.Message{Topic: "t", Queue: 0, Body: body, Properties: properties}, 0, done)
	})
	m.all[p.body] = p
	p.sent, p.half = sent, queue.Half{Group: "g", Position: sent.Position, Offset: sent.Offset}
	switch {
	case err != nil:
		p.never = !errors.Is(err, message.ErrClosed)
	case p.isHalf:
		m.open = append(m.open, p)
	default:
		p.certain = true
		if sent.Recallable {
			m.timed = append(m.timed, p)
		}
	}
}

// pick takes one out of a list.
func (m *model) pick(from *[]*promise) *promise {
	if len(*from) == 0 {
		return nil
	}
	i := m.random.IntN(len(*from))
	p := (*from)[i]
	*from = append((*from)[:i], (*from)[i+1:]...)
	return p
}

func (m *model) decide() {
	p := m.pick(&m.open)
	if p == nil {
		return
	}
	decision := queue.Decision(m.random.IntN(3))
	err := m.end(p.half, decision)
	switch {
	case err != nil && !errors.Is(err, message.ErrClosed):
		m.t.Errorf("end %s: %v", p.body, err)
	case err != nil || decision == queue.Undecided: // what became of it is not known, so it may be tried again
		m.open = append(m.open, p)
	case decision == queue.Commit:
		p.certain = true
	default:
		p.never = !p.certain && p.seen == 0
	}
}

func (m *model) recall() {
	p := m.pick(&m.timed)
	if p == nil {
		return
	}
	_, err := waited(m.t, func(done func(queue.Sent, error)) error {
		return m.Recall(m.t.Context(), "t", p.body, p.sent.DeliverAt, done)
	})
	switch {
	case err == nil:
		p.certain, p.never = false, p.seen == 0
	case errors.Is(err, message.ErrClosed):
		p.certain = false // who can tell?
	case errors.Is(err, queue.ErrNoMessage):
	default:
		m.t.Errorf("recall %s: %v", p.body, err)
	}
}

// deliver reads on in the queue.
func (m *model) deliver() {
	for {
		pulled, err := m.Pull("t", 0, m.read, 256, 1<<20, nil)
		if errors.Is(err, queue.ErrNoTopic) {
			return
		}
		if err != nil {
			m.t.Fatal(err)
		}
		for i := range pulled.Records {
			m.see(&pulled.Records[i])
		}
		if m.read = pulled.Next; pulled.Outcome != queue.Found {
			break
		}
	}
	// As a consumer would: what was read need not be kept.
	if err := m.Commit("consumers", "t", 0, int64(m.read)); err != nil && !errors.Is(err, message.ErrClosed) {
		m.t.Error(err)
	}
}

func (m *model) see(r *message.Record) {
	p := m.all[string(r.Payload[:6])]
	if p.seen++; p.seen == 1 {
		p.at = r.Position
		if p.level > 0 {
			n, _ := strconv.Atoi(p.body)
			if n < m.order[p.level] {
				m.t.Errorf("%s came behind %d of the same level", p.body, m.order[p.level])
			}
			m.order[p.level] = n
		}
	} else if !slices.ContainsFunc(m.kills, func(last message.Position) bool { return p.at <= last && last < r.Position }) {
		m.t.Errorf("%s came %d times without a kill in between", p.body, p.seen)
	}
	if r.Time < p.notYet {
		m.t.Errorf("%s came at %d, not before %d", p.body, r.Time, p.notYet)
	}
	if p.never {
		m.t.Errorf("%s came, which must not", p.body)
	}
}

// settled checks that nothing is missing.
func (m *model) settled() {
	m.t.Helper()
	halves := 0
	for _, p := range m.all {
		if p.certain && p.seen == 0 {
			m.t.Errorf("%s never came", p.body)
		}
		if p.isHalf && p.seen == 0 {
			halves++
		}
	}
	if pending := m.Pending(); pending.Delayed != 0 || pending.Lost != 0 || pending.Half > halves {
		m.t.Errorf("in the end %+v is pending", pending)
	}
	if m.n > 50 && len(m.order) == 0 {
		m.t.Error("no delay was tried")
	}
}
