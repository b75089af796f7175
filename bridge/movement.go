package bridge

import "time"

const (
	// looks is how often the line is looked at in the time after which it counts as stalled.
	looks = 4
	// leastMoved is how many bytes must arrive for a line to move: pings and heartbeats are fewer.
	leastMoved = 1 << 10
)

// movement is what is known of a line on which answers are waited for. A large message takes longer over a
// slow line than a cloud may take to answer, and sending it anew would take as long.
type movement struct {
	reached int64
	at      time.Time // when that last grew by leastMoved
	looks   []look
}

// look is how much had been written at a time.
type look struct {
	at      time.Time
	written int64
}

// slow says whether something that was written at least half of stall ago has still not arrived, although the
// line moves. What has arrived is the cloud's to answer.
func (m *movement) slow(on Link, stall time.Duration) bool {
	mover, ok := on.(Mover)
	if !ok {
		return false
	}
	now := time.Now()
	written, reached := mover.Moved()
	if reached >= m.reached+leastMoved {
		m.at = now
	}
	if m.at.Equal(now) || reached < m.reached { // fewer when one of several connections has ended
		m.reached = reached
	}
	m.looks = append(m.looks, look{now, written})
	for len(m.looks) > 1 && now.Sub(m.looks[1].at) >= stall/2 {
		m.looks = m.looks[1:]
	}
	return reached < m.looks[0].written && now.Sub(m.looks[0].at) >= stall/2 && now.Sub(m.at) < stall/looks
}
