package modbus

import (
	"context"
	"errors"
	"sync/atomic"
)

// unit is one Modbus unit: how it is reached and what was learned about it. The parts of a device
// share it.
type unit struct {
	*link
	style WriteStyle
	bits  BitStyle
	known *holes

	alive atomic.Bool // it answered in the last poll

	// Who has the turn owns what follows.
	lacks   map[byte]bool // functions that it refused as unknown to it
	refused bool          // the last answer was a refusal of addresses
}

// fetch reads, and reads twice what comes after a refusal: some devices that were asked for an address
// which they do not have answer the next request with what they had prepared for that one.
func (u *unit) fetch(ctx context.Context, s span) ([]byte, error) {
	data, err := u.read(ctx, s)
	if err == nil && u.refused {
		u.refused = false
		data, err = u.read(ctx, s)
	}
	if refusal, ok := errors.AsType[exception](err); ok && refusal.divisible() {
		u.refused = true
	}
	return data, err
}
