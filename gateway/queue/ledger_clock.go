package queue

import "time"

// clock is the clock of a ledger: the milliseconds for which it has been at work, summed over all runs, and
// the time between two runs where the wall clock can tell it. It comes from the monotonic clock, so a wall
// clock that jumps from 1970 to today makes nothing due, and one that jumps back holds nothing up.
//
// Everything that the ledger writes has the clock's value and the wall clock's. If the wall clock is not
// known when the gateway starts, as without a battery, the time between the runs is added when it is: the
// entries are as old as that.
type clock struct {
	base  int64     // what it was
	start time.Time // at this moment
	shift int64     // what a wall clock's milliseconds have more than its own

	saved, savedWall int64 // of the last run; savedWall 0: the wall clock was not known, or it was made use of
}

// knownWall is a time at which no gateway can have been at work: a wall clock that says less was never set.
const knownWall = 1704067200000 // 2024-01-01

// resume lets the clock go on behind what the log says of the last run.
func (c *clock) resume(saved, savedWall int64, now time.Time) {
	*c = clock{base: saved, start: now, saved: saved, savedWall: savedWall}
	if savedWall < knownWall {
		c.savedWall = 0
	}
	c.set(now)
	c.shift = now.UnixMilli() - c.at(now)
}

// set adds the time between two runs as soon as the wall clock can tell it, less what rounding may have added:
// however often it is started, the clock does not run ahead.
func (c *clock) set(now time.Time) {
	if c.savedWall == 0 || now.UnixMilli() < knownWall {
		return
	}
	is := c.saved + max(0, now.UnixMilli()-c.savedWall-1)
	c.savedWall = 0
	if was := c.at(now); is > was {
		c.base += is - was
	}
}

func (c *clock) at(now time.Time) int64 { return c.base + now.Sub(c.start).Milliseconds() }
func (c *clock) now() int64             { return c.at(time.Now()) }

// of gives what the clock will be when the wall clock says wall. Two calls for the same wall time give the
// same, unless the wall clock was set meanwhile.
func (c *clock) of(wall int64, now time.Time) int64 {
	if shift := now.UnixMilli() - c.at(now); shift > c.shift+wallSlack || shift < c.shift-wallSlack {
		c.shift = shift
	}
	return wall - c.shift
}

// wallSlack is by how much two clocks may differ before one of them counts as set.
const wallSlack = 20
