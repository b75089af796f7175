package pty

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// wire is one direction: the characters that are on their way, each of which arrives when its last
// bit does. Moments are counted from the first character of a burst, so that late wake-ups do not add
// up.
type wire struct {
	pending  []byte
	due      time.Time // when the first of pending arrives; before that, when the wire was last busy
	damage   damage
	lastChar time.Duration
}

// put sends b off at now, behind what is on the wire already.
func (w *wire) put(b []byte, now time.Time, perChar time.Duration) {
	if len(b) == 0 {
		return
	}
	if len(w.pending) == 0 {
		if w.due.Before(now) {
			w.due = now
		}
		w.due = w.due.Add(perChar)
	}
	w.lastChar = perChar
	w.pending = append(w.pending, b...)
}

// take gives what has arrived by now.
func (w *wire) take(now time.Time) []byte {
	n := 0
	for n < len(w.pending) && !w.due.After(now) {
		n++
		if n < len(w.pending) {
			w.due = w.due.Add(w.lastChar) // else due stays: the moment at which the wire fell quiet
		}
	}
	arrived := w.pending[:n:n]
	w.pending = w.pending[n:]
	if len(w.pending) == 0 {
		w.pending = nil
	}
	return arrived
}

// fellQuiet is when the last character that take gave arrived.
func (w *wire) fellQuiet() time.Time {
	if len(w.pending) > 0 {
		return w.due.Add(-w.lastChar)
	}
	return w.due
}

// Read gives the characters that have arrived from the gateway, at least one, and waits for it.
// After Close it gives io.EOF.
func (l *Line) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	l.reading.Lock()
	defer l.reading.Unlock()
	for {
		n, err := l.hear(b)
		switch {
		case n > 0:
			return n, nil
		case errors.Is(err, ErrPulled):
			l.heard.pending = nil
			time.Sleep(glance)
		case err != nil:
			return 0, err
		}
	}
}

// hear waits a glance at most.
func (l *Line) hear(b []byte) (n int, err error) {
	perChar, echo, noise := l.settings()
	l.heard.damage.use(noise, 1)
	err = l.use(func(master int) error {
		if arrived := l.heard.take(time.Now()); len(arrived) > 0 {
			l.noteQuiet(l.heard.fellQuiet())
			n = copy(b, arrived)
			if n < len(arrived) { // the caller takes few at a time: the rest has arrived as well
				l.heard.pending = append(arrived[n:], l.heard.pending...)
				l.heard.due = time.Now()
			}
			if echo {
				_, err := unix.Write(master, b[:n])
				return lost(err)
			}
			return nil
		}
		wait := glance
		if len(l.heard.pending) > 0 {
			wait = min(wait, time.Until(l.heard.due))
		}
		if !readable(master, wait) {
			return nil
		}
		fresh := make([]byte, 4096)
		got, err := unix.Read(master, fresh)
		if err != nil {
			return lost(err)
		}
		l.heard.put(l.heard.damage.of(fresh[:got]), time.Now(), perChar)
		return nil
	})
	return n, err
}

// Write sends b to the gateway and returns when its last character has arrived there. What the
// gateway's port has no room for is lost, as on a real line.
func (l *Line) Write(b []byte) (int, error) { return l.WriteFrom(b, time.Now()) }

// WriteFrom is Write by a device that waits for that moment before it begins, such as the end of the silence
// behind Quiet. It is as exact as the wire, which the device's own sleep would not be.
func (l *Line) WriteFrom(b []byte, begin time.Time) (int, error) {
	l.saying.Lock()
	defer l.saying.Unlock()
	perChar, _, noise := l.settings()
	l.said.damage.use(noise, 2)
	if now := time.Now(); begin.Before(now) {
		begin = now
	}
	l.said.put(l.said.damage.of(b), begin, perChar)
	for len(l.said.pending) > 0 {
		arrived := l.said.take(time.Now())
		err := l.use(func(master int) error {
			if len(arrived) > 0 {
				_, err := unix.Write(master, arrived)
				return lost(err)
			}
			l.said.wait()
			return nil
		})
		if err != nil {
			l.said.pending = nil
			if errors.Is(err, ErrPulled) {
				return len(b), nil
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrClosedPipe
			}
			return 0, err
		}
	}
	return len(b), nil
}

// watch is how long before its time the last character of a burst is waited for awake.
const watch = 100 * time.Microsecond

// wait waits for the next of pending, a glance at most. A thread wakes up some 50 µs after its time, which
// does not add up within a burst. But behind the last character somebody counts a silence, so that one
// comes when it is due.
func (w *wire) wait() {
	rest := time.Until(w.due)
	if len(w.pending) > 1 || rest > glance {
		readable(-1, min(glance, rest))
		return
	}
	readable(-1, rest-watch)
	for time.Now().Before(w.due) {
	}
}

// lost makes nothing of errors that only mean that bytes have nowhere to go, or that there are none.
func lost(err error) error {
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.EIO) {
		return nil
	}
	return err
}

// readable waits for something to read on fd, or only waits when fd is -1. The runtime's own timers
// are too coarse here: characters take 87 µs at 115200 bit/s.
func readable(fd int, wait time.Duration) bool {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // else waits are rounded up by 50 µs
	timeout := unix.NsecToTimespec(int64(max(0, wait)))
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} // a negative Fd is passed over
	n, err := unix.Ppoll(poll, &timeout, nil)
	return err == nil && n > 0
}

// Quiet is when the last character that Read has given arrived, which is a little before Read gave it.
func (l *Line) Quiet() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.quiet
}

func (l *Line) noteQuiet(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quiet = at
}

func (l *Line) settings() (perChar time.Duration, echo bool, noise noiseSetting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.perChar, l.echo, noiseSetting{l.noise, l.noiseGen}
}
