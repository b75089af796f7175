package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"sluice/gateway/message"
)

// Subscription is one filter of a session.
type Subscription struct {
	Filter     string
	Options    byte             // as the client gave them; the log does not look at them
	Identifier uint32           // likewise
	From       message.Position // only what is at or behind it was subscribed to
}

// maxFilter bounds a filter: it is one small value.
const maxFilter = 3500

// Subscription values of a session lie in slots of their own, so that a filter is added or removed
// without writing the others.
type subscription struct {
	slotted
	subscriptionValue
	of *Session
}

type subscriptionValue struct {
	number uint64 // the session's
	Subscription
}

// Subscribe adds a filter or replaces the one that is the same; it becomes durable like a move, or at
// once when wanted by Sync. The first one makes the session's cursor, which stands before From, in the
// same transaction. ErrTooMany says that there is no room, ErrTooLarge that the filter is too long.
func (x *Session) Subscribe(subscribed Subscription) error {
	m := x.set.small
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := x.subscribeLocked(subscribed); err != nil {
		return fmt.Errorf("subscribe session %q: %w", x.id, err)
	}
	return nil
}

func (x *Session) subscribeLocked(subscribed Subscription) error {
	m := x.set.small
	if x.gone {
		return ErrNoSession
	}
	if err := message.CheckFilter(subscribed.Filter); err != nil {
		return err
	}
	if len(subscribed.Filter) > maxFilter {
		return fmt.Errorf("%w: a filter of %d bytes, at most %d fit", message.ErrTooLarge, len(subscribed.Filter), maxFilter)
	}
	size := len(subscribed.Filter) + 32
	known, ok := x.filters[subscribed.Filter]
	if !ok {
		if err := m.roomLocked(size); err != nil {
			return err
		}
		slot, err := x.set.filters.takeLocked()
		if err != nil {
			return err
		}
		subscribed.Filter = strings.Clone(subscribed.Filter)
		known = x.subscriptionLocked(slot, subscriptionValue{number: x.number, Subscription: subscribed})
		m.sizeLocked(&known.slotted, size)
	}
	known.Subscription = subscribed
	m.soilLocked(&known.tracked)
	if x.cursor == nil {
		m.soilLocked(&x.tracked) // before its cursor, so that they go together
		x.attachLocked(m.store.cursors.openLocked(x.cursorName(), subscribed.From, 0))
	}
	return nil
}

func (x *Session) subscriptionLocked(slot uint32, value subscriptionValue) *subscription {
	sub := &subscription{slotted: slotted{slot: slot}, subscriptionValue: value, of: x}
	sub.item, sub.with = sub, &x.tracked
	if x.filters == nil {
		x.filters = make(map[string]*subscription)
	}
	x.filters[value.Filter] = sub
	x.set.subscribed++
	return sub
}

// Unsubscribe removes a filter; known is false when the session has none like it. Without any, and
// with nothing under way, the session has no cursor any more and pins nothing.
func (x *Session) Unsubscribe(filter string) (known bool) {
	m := x.set.small
	m.mu.Lock()
	defer m.mu.Unlock()
	sub, known := x.filters[filter]
	if !known || m.final != nil {
		return known
	}
	delete(x.filters, filter)
	x.set.subscribed--
	m.dropLocked(&sub.slotted)
	x.forgetLeftLocked()
	x.left = append(x.left, &sub.tracked)
	x.unpinLocked()
	return true
}

func (x *Session) forgetLeftLocked() {
	x.left = slices.DeleteFunc(x.left, func(t *tracked) bool { return t.durable >= t.version })
}

// unpinLocked drops the cursor of a session that wants nothing from the log any more.
func (x *Session) unpinLocked() {
	if len(x.filters) == 0 && len(x.flights.runs) == 0 && x.cursor != nil {
		x.set.small.soilNowLocked(&x.tracked) // before its cursor: they go together
		x.set.small.store.cursors.dropLocked(x.cursor)
		x.cursor = nil
	}
}

// Subscriptions lists the filters of the session, sorted.
func (x *Session) Subscriptions() []Subscription {
	x.set.small.mu.Lock()
	list := make([]Subscription, 0, len(x.filters))
	for _, sub := range x.filters {
		list = append(list, sub.Subscription)
	}
	x.set.small.mu.Unlock()
	slices.SortFunc(list, func(a, b Subscription) int { return strings.Compare(a.Filter, b.Filter) })
	return list
}

func (sub *subscription) entriesLocked() ([]entry, func()) {
	slots := &sub.of.set.filters
	if sub.gone {
		return slots.goneLocked(&sub.slotted)
	}
	return []entry{slots.entry(sub.slot, sub.append(nil))}, nil
}

func (v subscriptionValue) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, v.number)
	b = appendText(b, v.Filter)
	b = append(b, v.Options)
	b = binary.AppendUvarint(b, uint64(v.Identifier))
	return appendPosition(b, v.From)
}

func decodeSubscription(body []byte) (v subscriptionValue, err error) {
	in := input{rest: body}
	v.number, v.Filter, v.Options = in.number(), string(in.bytes()), in.byte()
	identifier := in.uvarint()
	v.Identifier = uint32(identifier)
	v.From = position(&in)
	if v.Filter == "" || len(v.Filter) > maxFilter || identifier > 1<<32-1 {
		in.short = true
	}
	return v, in.end("a subscription")
}
