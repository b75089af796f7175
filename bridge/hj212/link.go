package hj212

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/bridge/batch"
	"sluice/bridge/dial"
	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

const (
	// behind is how many messages may wait for the one that the server has not acknowledged yet, before
	// Send makes its caller wait.
	behind     = 256
	chunkBytes = 4096
)

// link is one connection. HJ 212 asks for one report after the other.
type link struct {
	*batch.Batcher
	uplink   *Uplink
	line     *dial.Patient
	conn     net.Conn
	password string

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	workers sync.WaitGroup

	writing sync.Mutex // held while packets go out

	mu       sync.Mutex // guards what follows
	waiting  string     // QN of the report that is under way
	answers  chan wire.Packet
	refused  map[string]bool // commands of the server that were told in the log
	question *question       // what the server wants to know of the past; nil: nothing
}

func newLink(u *Uplink, line *dial.Patient, conn net.Conn, password string) *link {
	l := &link{uplink: u, line: line, conn: conn, password: password, refused: make(map[string]bool)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.Batcher = batch.New(batch.Options{Count: 1, Behind: behind}, l.post)
	return l
}

func (l *link) start() {
	l.workers.Go(func() { _ = l.Run(l.ctx) }) // Err has the reason
	l.workers.Go(l.read)
}

// Send takes a reading; its turn comes when all before it are acknowledged.
func (l *link) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	if err := message.CheckTopic(o.Topic); err != nil {
		return &bridge.RefusedError{Reason: err.Error()}
	}
	return l.Batcher.Send(ctx, o, done)
}

// Moved tells a slow line from a dead one.
func (l *link) Moved() (written, reached int64) { return l.line.Written(), l.line.Reached() }

// Close ends the connection and waits for what the link started.
func (l *link) Close() error {
	l.cancel()
	l.conn.Close()
	l.workers.Wait()
	return nil
}

// post sends what one message becomes.
func (l *link) post(ctx context.Context, _ int, items []batch.Item) error {
	o := &items[0].Outgoing
	all, err := l.uplink.reports(o.Payload, o.Record)
	if err != nil {
		return &bridge.RefusedError{Reason: err.Error()}
	}
	for i := range all {
		id := o.ID() + " " + all[i].command
		if err := l.report(ctx, &all[i], id); err != nil {
			return err
		}
	}
	for i := range all {
		l.uplink.settled(o.ID() + " " + all[i].command)
	}
	return nil
}

// report sends one report until it is acknowledged.
func (l *link) report(ctx context.Context, r *report, id string) error {
	qn := l.uplink.number(id)
	packets, err := l.uplink.packets(r, qn, l.password)
	if err != nil {
		return &bridge.RefusedError{Reason: err.Error()}
	}
	answers := l.expect(qn, len(packets))
	defer l.expect("", 0)
	o := &l.uplink.options
	want := len(packets)
	if o.Ack == ackReport {
		want = 1
	}
	came := 0
	for range 1 + o.ReCount {
		if err := l.write(packets...); err != nil {
			return err
		}
		if o.Ack == ackNone {
			return nil
		}
		if came, err = l.await(ctx, answers, want); err != nil || came >= want {
			return err
		}
	}
	text := fmt.Sprintf("%s acknowledges nothing: a report was sent %d times, each time without an answer for %v", l.uplink.address, 1+o.ReCount, o.OverTime)
	if came > 0 {
		text = fmt.Sprintf("%s acknowledges %d of %d packets", l.uplink.address, came, want)
	}
	return &dial.Error{Text: text, Hint: "are mn and password right? Some servers acknowledge nothing, or a report of several packets once: see ack"}
}

// await waits for the acknowledgements of one sending.
func (l *link) await(ctx context.Context, answers <-chan wire.Packet, want int) (came int, err error) {
	patience := time.NewTimer(l.uplink.options.OverTime)
	defer patience.Stop()
	for came < want {
		select {
		case p := <-answers:
			done, again, err := judge(p)
			if err != nil {
				return came, err
			}
			if again {
				return 0, nil
			}
			if done {
				came++
			}
		case <-patience.C:
			return came, nil
		case <-l.Lost():
			return came, l.Err()
		case <-ctx.Done():
			return came, ctx.Err()
		}
	}
	return came, nil
}

// judge says what an answer means. A server has no code of its own for a report that it does not want;
// those that it has for requests are used.
func judge(p wire.Packet) (done, again bool, err error) {
	if p.CN == wire.DataAck || p.CN == wire.NoticeAck {
		return true, false, nil
	}
	pairs, err := wire.Pairs(p.Data)
	if err != nil {
		return false, false, nil // whatever it is, it is no acknowledgement
	}
	code, words := wire.Value(pairs, "QnRtn"), wire.RequestAnswer
	if p.CN == wire.Result {
		code, words = wire.Value(pairs, "ExeRtn"), wire.ExecutionResult
	}
	switch {
	case code == "1" || code == "":
		return false, false, nil // the acknowledgement itself comes behind
	case p.CN == wire.Accepted && code == "9":
		return false, true, nil // damaged on its way
	case p.CN == wire.Accepted && (code == "3" || code == "4" || code == "5"):
		return false, false, &dial.Error{Text: "the server refuses the report: " + words(code), Hint: "see password_file, mn and st"}
	}
	return false, false, &bridge.RefusedError{Reason: words(code), Retry: true}
}

// expect lets answers to a QN come; to none when it is empty. The channel takes what several sendings
// of so many packets may be answered with.
func (l *link) expect(qn string, packets int) <-chan wire.Packet {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting, l.answers = qn, nil
	if qn != "" {
		l.answers = make(chan wire.Packet, 4*packets)
	}
	return l.answers
}

func (l *link) write(packets ...wire.Packet) error {
	var b []byte
	for i := range packets {
		b = packets[i].Append(b)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	if _, err := l.conn.Write(b); err != nil {
		return fmt.Errorf("%s: %w", l.uplink.address, dial.Explain(err))
	}
	return nil
}

// read takes what the server says until the connection ends.
func (l *link) read() {
	var buffer []byte
	chunk := make([]byte, chunkBytes)
	for {
		n, err := l.conn.Read(chunk)
		buffer = l.digest(append(buffer, chunk[:n]...))
		if err != nil {
			if l.ctx.Err() != nil {
				err = errors.New("the link was closed")
			}
			l.Fail(fmt.Errorf("%s: %w", l.uplink.address, dial.Explain(err)))
			return
		}
	}
}

// digest handles every packet in b and gives what is left.
func (l *link) digest(b []byte) []byte {
	rest := b
	for {
		p, frame, used, err := wire.Next(rest)
		rest = rest[used:]
		switch {
		case err != nil:
			l.uplink.log.Debug("bytes from the server were dropped", "err", err)
		case frame == nil:
			return append(b[:0], rest...)
		default:
			l.hear(p)
		}
	}
}

// hear takes one packet of the server.
func (l *link) hear(p wire.Packet) {
	switch p.CN {
	case wire.DataAck, wire.NoticeAck, wire.Accepted, wire.Result:
		l.answered(p)
	default:
		l.requested(p)
	}
}

// answered hands an answer to the report that it is for. In the edition of 2005 its number stands in
// the data area.
func (l *link) answered(p wire.Packet) {
	qn := p.QN
	if pairs, err := wire.Pairs(p.Data); err == nil {
		if named := wire.Value(pairs, "QN"); named != "" {
			qn = named
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if qn == "" || qn != l.waiting {
		return // too late
	}
	select {
	case l.answers <- p:
	default: // more than was sent
	}
}
