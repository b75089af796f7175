package crashtest

import (
	"context"
	"fmt"
	"sync"

	"sluice/gateway/message"
	"sluice/store"
)

// Work is the process that is killed: it appends, consumes, trims and collects in dir as fast as it
// may, and tells on standard output what it was promised. It does not return but on a mistake.
func Work(dir string, seed uint64) error {
	s, err := store.Open(options(dir))
	if err != nil {
		return err
	}
	go s.Run(context.Background())
	var say sync.Mutex
	tell := func(format string, args ...any) {
		say.Lock()
		defer say.Unlock()
		fmt.Printf(format, args...) // unbuffered: said is said
	}
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
	tell("e 0 %d\n", s.Stats().Epoch)
	for c, cursor := range cursors {
		go func() { fail(consume(s, cursor, c, seed, tell)) }()
	}
	for p, window := range windows {
		go func() { fail(produce(s, p, window, seed, tell)) }()
	}
	return <-failed
}

func produce(s *store.Store, p, window int, seed uint64, tell func(string, ...any)) error {
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
func consume(s *store.Store, cursor *store.Cursor, c int, seed uint64, tell func(string, ...any)) error {
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
			r := &records[i]
			var p int
			fmt.Sscanf(r.Device, "producer-%d", &p)
			if r.Position != next || string(r.Payload) != string(payload(p, r.Seq, seed)) {
				return fmt.Errorf("read %d at %d", r.Position, next)
			}
			next++
		}
		tell("r %d %d\n", c, next-1)
		cursor.Move(next - 1)
		if c == 0 && batches%3 == 0 || next-cursor.Durable() > unsaved-batch {
			if err := cursor.Sync(context.Background()); err != nil {
				return err
			}
			tell("c %d %d\n", c, cursor.Durable())
		}
	}
}
