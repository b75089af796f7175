package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"sluice/gateway/message"
	"sluice/store"
)

// Work is the process that is killed: it appends, consumes, trims and collects in dir as fast as it
// may, has clients with sessions, and tells on standard output what it was promised. resume is what
// Model.Resume gave. It does not return but on a mistake.
func Work(dir string, seed uint64, resume string) error {
	s, err := store.Open(options(dir))
	if err != nil {
		return err
	}
	var say sync.Mutex
	tell := func(format string, args ...any) {
		say.Lock()
		defer say.Unlock()
		fmt.Printf(format, args...) // unbuffered: said is said
	}
	tell("e 0 %d\n", s.Stats().Epoch)
	if err := tellFound(s, tell); err != nil {
		return err
	}
	go s.Run(context.Background())
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	cursors := make([]*store.Cursor, consumers)
	for c := range cursors {
		if cursors[c], err = s.OpenCursor(consumerName(c), 1); err != nil {
			return err
		}
		if err := cursors[c].Sync(context.Background()); err != nil {
			return err
		}
	}
	pace := newPace(s, cursors)
	for c, cursor := range cursors {
		go func() { fail(consume(s, cursor, c, seed, pace, tell)) }()
	}
	for p, window := range windows {
		go func() { fail(produce(s, p, window, seed, pace, tell)) }()
	}
	for c := range clients {
		sent, open, err := readResume(resume, c)
		if err != nil {
			return err
		}
		one := client{s: s, c: c, name: clientName(c), seed: seed, sent: sent, open: open, r: rand.New(rand.NewPCG(rand.Uint64(), 0)), tell: tell}
		go func() { fail(one.work()) }()
	}
	go func() { fail(bury(s, rand.New(rand.NewPCG(rand.Uint64(), 2)), tell)) }()
	go func() { fail(retain(s, rand.New(rand.NewPCG(rand.Uint64(), 1)), tell)) }()
	return <-failed
}

// tellFound says what the log had when it was opened.
func tellFound(s *store.Store, tell func(string, ...any)) error {
	state, err := found(s)
	if err != nil {
		return err
	}
	for key, value := range state {
		tell("f\t%s\t%s\n", key, value)
	}
	tell("F\n")
	for p := range windows {
		if _, n, err := s.Sequence(producerName(p)); err != nil {
			return err
		} else {
			tell("q %d %d\n", p, n)
		}
	}
	cursors := s.Cursors()
	for c := range consumers {
		at := message.Position(0)
		for _, cursor := range cursors {
			if cursor.Name == consumerName(c) {
				at = cursor.Durable
			}
		}
		tell("k %d %d\n", c, at)
	}
	return nil
}

// pace holds the producers back when the consumers cannot follow: so every life trims and collects, and
// the log stays as small as its retention says.
type pace struct {
	mu   sync.Mutex // guards what follows
	room *sync.Cond
	next message.Position // that the producers may use, about
	done [consumers]message.Position
}

// backlog is how many messages may wait for the slowest consumer.
const backlog = 30_000

func newPace(s *store.Store, cursors []*store.Cursor) *pace {
	p := &pace{}
	p.room = sync.NewCond(&p.mu)
	p.next, _ = s.Tail()
	for c, cursor := range cursors {
		p.done[c] = cursor.Position()
	}
	return p
}

// take waits until there is room for a message.
func (p *pace) take() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.next > slices.Min(p.done[:])+backlog {
		p.room.Wait()
	}
	p.next++
}

func (p *pace) worked(c int, upTo message.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[c] = upTo
	p.room.Broadcast()
}

func produce(s *store.Store, p, window int, seed uint64, pace *pace, tell func(string, ...any)) error {
	name := producerName(p)
	_, n, err := s.Sequence(name)
	if err != nil {
		return err
	}
	room := make(chan struct{}, window)
	refused := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(n uint64, at message.Position, err error) {
		if err != nil {
			select {
			case refused <- err:
			default:
			}
			return
		}
		if window < 100 || n%uint64(window/50) == 0 {
			tell("a %d %d %d\n", p, n, at)
		}
		<-room
	})
	for n++; ; n++ {
		pace.take()
		select {
		case room <- struct{}{}:
		case err := <-refused:
			return err
		}
		m := message.Message{Topic: "readings/gateway/" + name, Payload: payload(p, n, seed), Time: int64(n), QoS: 1, Device: name, Seq: n}
		if err := s.Append(context.Background(), &m, ack, n); err != nil {
			return err
		}
	}
}

// consume works through the log. The first consumer waits for its cursor after each batch now and
// then, the other leaves it to the clock until it has run ahead as far as it may.
func consume(s *store.Store, cursor *store.Cursor, c int, seed uint64, pace *pace, tell func(string, ...any)) error {
	next := cursor.Position() + 1
	for batches := 0; ; batches++ {
		tail, grown := s.Tail()
		if next > tail {
			<-grown
			continue
		}
		records, err := s.Read(nil, next, batch)
		if err != nil || len(records) == 0 {
			return fmt.Errorf("read %d records at %d: %v", len(records), next, err)
		}
		for i := range records {
			if _, err := recognise(&records[i], seed); err != nil || records[i].Position != next {
				return fmt.Errorf("read %d at %d: %v", records[i].Position, next, err)
			}
			next++
		}
		tell("r %d %d\n", c, next-1)
		pace.worked(c, next-1)
		cursor.Move(next - 1)
		if c == 0 && batches%3 == 0 || next-cursor.Durable() > unsaved-batch {
			if err := cursor.Sync(context.Background()); err != nil {
				return err
			}
			tell("c %d %d\n", c, cursor.Durable())
		}
	}
}
