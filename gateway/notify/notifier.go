// Package notify tells people of alarms, by mail or by a request to a web server. It hides how what could
// not be sent waits, what is summed up, and how often anybody is disturbed.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/gateway/rules"
)

// Options is what a notifier needs.
type Options struct {
	Gateway string
	Notify  config.Notify
	Alarms  []config.Alarm // of which those count that name it
	// Open opens the place in the log under filters; it is called by Run.
	Open func(filters []string) (rules.Source, error)
	Keep rules.Shelf
	// Active gives what is raised now, for reminders.
	Active func() []rules.Alarm
	Log    *slog.Logger
}

// Notifier is one way to tell people. Run is called once; the other methods may be called from any goroutine.
type Notifier struct {
	options Options
	alarms  map[string]bool
	way     sender
	source  rules.Source
	box     *outbox

	mu    sync.Mutex // guards what follows
	shown State
}

// sender tells somebody. An error says that they may not know.
type sender interface {
	send(ctx context.Context, l *Letter) error
}

// State is what a notifier shows of itself.
type State struct {
	Name      string
	Waiting   int       // events that nobody was told of yet
	Sent      uint64    // messages since the start
	LastSent  time.Time // zero: none
	LastError string    // of the last try; empty: it went well
	NextTry   time.Time // zero: it does not wait for one
}

const (
	gather   = time.Second // events that come together go together
	firstTry = 5 * time.Second
	lastTry  = 5 * time.Minute // waits between two tries grow up to it
	batch    = 256
)

// New makes a notifier that has told nobody anything yet.
func New(options Options) *Notifier {
	n := &Notifier{options: options, alarms: map[string]bool{}, shown: State{Name: options.Notify.Name}}
	for _, a := range options.Alarms {
		if slices.Contains(a.Notify, options.Notify.Name) {
			n.alarms[a.Name] = true
		}
	}
	switch c := options.Notify; {
	case c.Email != nil:
		n.way = mailer{*c.Email}
	case c.Webhook != nil:
		n.way = hook{*c.Webhook}
	}
	return n
}

// State may be called at any time.
func (n *Notifier) State() State {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.shown
}

// Test sends a message that says it is one. It neither counts nor waits for others.
func (n *Notifier) Test(ctx context.Context) error {
	now := time.Now().UnixMilli()
	l := testLetter(n.options.Gateway, n.options.Notify.Name, n.options.Notify.Language, now)
	l.ID = fmt.Sprintf("sluice-%s-test-%d", n.options.Gateway, now)
	return n.way.send(ctx, &l)
}

// Run follows the log and tells people until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	if n.options.Log == nil {
		n.options.Log = slog.New(slog.DiscardHandler)
	}
	source, err := n.options.Open([]string{"alarms/" + n.options.Gateway + "/+"})
	if err != nil {
		return err
	}
	defer source.Close()
	n.source = source
	if err := n.begin(); err != nil {
		return err
	}
	if err := n.follow(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (n *Notifier) begin() error {
	epoch, err := n.source.Epoch()
	if err != nil {
		return fmt.Errorf("read the epoch of the log: %w", err)
	}
	text, err := n.options.Keep.Get()
	if err != nil {
		return fmt.Errorf("read what was saved of the notification: %w", err)
	}
	if text != nil {
		if n.box, err = decodeOutbox(text); err != nil {
			n.options.Log.Error("what waited to be told is lost", "err", err)
		}
	}
	if n.box == nil {
		n.box = &outbox{Version: outboxVersion, Position: n.source.Tail()}
	}
	if n.box.Epoch != epoch {
		n.box.Epoch, n.box.Position = epoch, n.source.Tail()
	}
	n.save()
	return nil
}

// save writes down what is to be told, and only then lets the log go. Where that fails the log goes on keeping
// it.
func (n *Notifier) save() {
	n.show(func(s *State) { s.Waiting = len(n.box.Lines) + n.box.More })
	if err := n.options.Keep.Put(n.box.encode()); err != nil {
		n.options.Log.Error("what is to be told is not saved", "notify", n.options.Notify.Name, "err", err)
		return
	}
	n.source.Done(n.box.Position)
}

// turn is what one round of the loop waits for.
type turn struct {
	next  time.Time // the next try to send; zero: as soon as there is something
	tries int       // in a row that failed
}

// follow takes what happens into the outbox, and sends from there.
func (n *Notifier) follow(ctx context.Context) error {
	var records []message.Record
	var t turn
	for ctx.Err() == nil {
		waiting, stop := context.WithTimeout(ctx, n.nap(t))
		found, next, err := n.source.Next(waiting, n.box.Position+1, records[:0], batch)
		stop()
		records = found
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return fmt.Errorf("read the log for notifications: %w", err)
		}
		changed := n.take(records)
		clear(records)
		if next > n.box.Position+1 {
			n.box.Position = next - 1
			if !changed {
				n.source.Done(n.box.Position) // of nothing in there will anybody be told
			}
		}
		if changed {
			n.save()
			if t.next.IsZero() {
				t.next = time.Now().Add(gather)
			}
		}
		n.deliver(ctx, &t)
	}
	return nil
}

// nap is how long to wait for something to happen.
func (n *Notifier) nap(t turn) time.Duration {
	const most = 10 * time.Second
	nap := most
	if n.due() && !t.next.IsZero() {
		nap = min(nap, time.Until(t.next))
	}
	return max(nap, time.Millisecond)
}

func (n *Notifier) due() bool { return len(n.box.Lines) > 0 || n.box.More > 0 }

func (n *Notifier) take(records []message.Record) (changed bool) {
	for i := range records {
		e, err := rules.DecodeEvent(records[i].Payload)
		if err != nil || !rules.Own(&records[i]) && e.State != rules.Gap {
			continue
		}
		if e.State == rules.Gap && n.options.Notify.Gaps || n.alarms[e.Alarm] && e.State != rules.Gap {
			n.box.add(e)
			changed = true
		}
	}
	return changed
}

// deliver sends when it is time to and there is something.
func (n *Notifier) deliver(ctx context.Context, t *turn) {
	now := time.Now()
	if !n.due() {
		t.next, t.tries = time.Time{}, 0
		n.remind(ctx, now)
		return
	}
	if t.next.IsZero() {
		t.next = now // it waited before the start
	}
	if now.Before(t.next) {
		return
	}
	if wait := n.box.wait(now.UnixMilli(), n.options.Notify.PerHour); wait > 0 {
		t.next = now.Add(time.Duration(wait) * time.Millisecond)
		n.show(func(s *State) { s.NextTry = t.next })
		return
	}
	lines, more := len(n.box.Lines), n.box.More
	l := compose(n.options.Gateway, n.options.Notify.Language, slices.Clone(n.box.Lines), more, now.UnixMilli())
	if !n.send(ctx, &l, now, t) {
		return
	}
	n.box.sent(lines, more, now.UnixMilli())
	t.next, t.tries = time.Time{}, 0
	n.save()
}

// send tries to send; after a failure it says when to try again.
func (n *Notifier) send(ctx context.Context, l *Letter, now time.Time, t *turn) bool {
	l.ID = fmt.Sprintf("sluice-%s-%s-%d-%s", n.options.Gateway, n.options.Notify.Name, n.box.Epoch, strconv.FormatUint(n.box.Number, 10))
	err := n.way.send(ctx, l)
	if ctx.Err() != nil && err != nil {
		return false
	}
	if err == nil {
		n.options.Log.Info("people were told of alarms", "notify", n.options.Notify.Name, "events", len(l.Events)+l.More)
		n.show(func(s *State) { s.Sent, s.LastSent, s.LastError, s.NextTry = s.Sent+1, now, "", time.Time{} })
		return true
	}
	wait := min(firstTry<<min(t.tries, 10), lastTry)
	t.tries++
	t.next = now.Add(wait)
	if t.tries == 1 {
		n.options.Log.Warn("nobody was told of alarms; they wait", "notify", n.options.Notify.Name, "err", err)
	}
	n.show(func(s *State) { s.LastError, s.NextTry = err.Error(), t.next })
	return false
}

func (n *Notifier) show(change func(*State)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.shown)
}

// remind tells again of what nobody has acknowledged. A reminder that fails comes with the next period.
func (n *Notifier) remind(ctx context.Context, now time.Time) {
	every := time.Duration(n.options.Notify.Remind)
	if every == 0 || n.options.Active == nil {
		return
	}
	at := now.UnixMilli()
	var open []rules.Alarm
	oldest := at
	for _, a := range n.options.Active() {
		if n.alarms[a.Alarm] && a.Acked == nil {
			open = append(open, a)
			oldest = min(oldest, a.Since)
		}
	}
	from := max(oldest, n.box.Reminded)
	if len(n.box.Sent) > 0 {
		from = max(from, n.box.Sent[len(n.box.Sent)-1])
	}
	if len(open) == 0 || at-from < every.Milliseconds() || n.box.wait(at, n.options.Notify.PerHour) > 0 {
		return
	}
	l := remind(n.options.Gateway, n.options.Notify.Language, open, at)
	n.box.Reminded = at
	if n.send(ctx, &l, now, &turn{}) {
		n.box.sent(0, 0, at)
	}
	n.save()
}
