package modbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// longestDebt is how long an answer that never came is reckoned with at least.
const longestDebt = 10 * time.Second

// debts are the answers that a unit still owes: to requests that got none in time. Frames of RTU
// and ASCII carry no id, so an answer that comes too late looks like that to a later request of the
// same function and length, and a device that is always late would shift every value by one. While
// an answer is owed, nothing is asked that it could be taken for. What ends that is an answer that
// cannot be the late one: a device answers in the order in which it is asked, so all before it has
// come, or never will.
//
// Who has the line's turn owns them; all links to one unit share them.
type debts struct{ owed []debt }

type debt struct {
	function    byte
	bytes       int // of the data that a right answer has
	first, last time.Time
}

func debtOf(o order, at time.Time) debt {
	d := debt{function: o.function, first: at, last: at}
	if o.reads() {
		d.bytes = 2 * o.count
		if o.area.bits() {
			d.bytes = (o.count + 7) / 8
		}
	}
	return d
}

// unanswered remembers one; several alike are one entry, so that the list has a bound.
func (d *debts) unanswered(o order, at time.Time) {
	if d == nil {
		return
	}
	added := debtOf(o, at)
	for i := range d.owed {
		if d.owed[i].function == added.function && d.owed[i].bytes == added.bytes {
			d.owed[i].last = at
			return
		}
	}
	d.owed = append(d.owed, added)
}

// answered forgets what the answer to o proves not to be on its way any more: everything, if it can
// only be that to o. It may also be to an earlier request like o; then what is older than that is
// settled, and o itself is owed now.
func (d *debts) answered(o order, refused bool, at time.Time) {
	if d == nil || len(d.owed) == 0 {
		return
	}
	oldest, mistakable := time.Time{}, false
	for _, one := range d.owed {
		if one.alike(debtOf(o, at), refused) && (!mistakable || one.first.Before(oldest)) {
			oldest, mistakable = one.first, true
		}
	}
	if !mistakable {
		d.owed = d.owed[:0]
		return
	}
	d.keep(func(one debt) bool { return !one.last.Before(oldest) })
	d.unanswered(o, at)
}

// alike says whether the answers to both look the same: an exception does not tell what was asked.
func (d debt) alike(other debt, refused bool) bool {
	return d.function == other.function && (refused || d.bytes == other.bytes)
}

// expire forgets what is so old that it will not come any more.
func (d *debts) expire(now time.Time, after time.Duration) {
	d.keep(func(one debt) bool { return now.Sub(one.last) < after })
}

func (d *debts) keep(keep func(debt) bool) {
	d.owed = slices.DeleteFunc(d.owed, func(one debt) bool { return !keep(one) })
}

// function says whether an answer to this function is owed, an exception being one to all lengths.
func (d *debts) function(function byte) bool {
	return slices.ContainsFunc(d.owed, func(one debt) bool { return one.function == function })
}

func (d *debts) exactly(o order) bool {
	wanted := debtOf(o, time.Time{})
	return slices.ContainsFunc(d.owed, func(one debt) bool { return one.alike(wanted, false) })
}

// since says whether answers to a function are owed that were all asked for after those to another.
func (d *debts) since(function, other byte) bool {
	for _, one := range d.owed {
		for _, before := range d.owed {
			if one.function == function && before.function == other && !before.last.Before(one.first) {
				return false
			}
		}
	}
	return true
}

const maxProbes = 4

// probes are harmless requests in the place of o whose answers settle what is owed to its function:
// first fewer of the same registers, which the device is likeliest to have, then another function.
func (d *debts) probes(o order) []order {
	var out []order
	if o.reads() {
		step := 1
		if o.area.bits() {
			step = 8 // fewer would not make the answer shorter
		}
		for n := o.count - step; n > 0 && len(out) < maxProbes; n -= step {
			shorter := readOrder(span{o.area, o.start, n})
			if !d.exactly(shorter) {
				out = append(out, shorter)
			}
		}
	}
	for _, area := range []Area{Holding, Input, Coil, Discrete} {
		other := readOrder(span{area, o.start, 1})
		if other.function != o.function && d.since(other.function, o.function) {
			out = append(out, other)
		}
	}
	return out
}

// settle makes sure that no late answer can be taken for that to o.
func (l *link) settle(ctx context.Context, o order) error {
	if l.owed == nil {
		return nil
	}
	l.owed.expire(time.Now(), max(10*l.timeout, longestDebt))
	if !l.owed.function(o.function) {
		return nil
	}
	for _, probe := range l.owed.probes(o) {
		_, err := l.ask(ctx, probe)
		_, refused := errors.AsType[exception](err)
		if err != nil && !refused {
			return err
		}
		if !l.owed.function(o.function) {
			return nil
		}
		// An exception, which may belong to an earlier request. It cost little time.
	}
	return fmt.Errorf("%s: %w", l.name, &silenceError{
		"an answer that is late may still be on its way and could not be told from the next; nothing is asked until it is too old"})
}
