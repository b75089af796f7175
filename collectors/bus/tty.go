package bus

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tarm/serial"
	"golang.org/x/sys/unix"
)

// line is an open way to devices. Who has the turn owns it.
type line interface {
	// read waits for bytes until that moment, which may have passed: then it takes what is there.
	// Without an error 0 means that nothing came.
	read(b []byte, until time.Time) (int, error)
	// write sends b and returns before it has all left.
	write(b []byte) error
	close() error
}

// tty is one open serial port: tarm/serial for settings and data, and beside it a second descriptor
// of the same terminal. tarm alone cannot wait less than 100 ms, tell a hang-up from silence, check
// parity, change the rate of an open port, wait until all is sent, or keep others out of the port; the
// companion can.
type tty struct {
	data      *serial.Port
	companion int
	path      string
	now       Character

	flawed    uint32 // what flaws counted up to
	uncounted bool   // the driver does not count them

	poll    [1]unix.PollFd // of wait
	timeout unix.Timespec
}

// A thread that waits for a moment wakes up late: 56 µs in the median where the kernel has been told not
// to round, which is a hundredth of a short exchange at 115200 bit/s. So the end of a short wait is spent
// looking again and again, which costs a sixteenth of the wait at most.
const (
	shortWait  = 5 * time.Millisecond // longer than the silences of lines that are quick enough to care
	watchShare = 16
	maxWatch   = 100 * time.Microsecond
)

// pulled is what a hang-up of a serial port means.
const pulled = "the adapter was pulled out, or its driver ended"

func openTTY(s *Settings) (*tty, error) {
	// The companion and its lock come first: tarm's open already changes the baud rate, under the
	// hands of who has the port.
	companion, err := unix.Open(s.Serial, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, openError(s.Serial, err)
	}
	t := &tty{companion: companion, path: s.Serial}
	if err := t.open(s); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *tty) open(s *Settings) error {
	// TIOCEXCL alone would not do: root ignores it.
	if err := unix.Flock(t.companion, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return openError(s.Serial, err)
	}
	parity := map[string]serial.Parity{"none": serial.ParityNone, "even": serial.ParityEven, "odd": serial.ParityOdd}
	var err error
	t.data, err = serial.OpenPort(&serial.Config{
		Name: s.Serial, Baud: s.Baud, Size: byte(s.DataBits), Parity: parity[s.Parity], StopBits: serial.StopBits(s.StopBits),
		// Without a timeout a read that was promised data and finds none never returns, and
		// neither does Close. 100 ms is the shortest that tarm can do.
		ReadTimeout: 100 * time.Millisecond,
	})
	if err != nil {
		return openError(s.Serial, err)
	}
	if err := t.exclude(); err != nil {
		return fmt.Errorf("claim %s: %w", s.Serial, err)
	}
	// tarm has set all but the checking of parity.
	if err := t.become(s.Character); err != nil {
		return fmt.Errorf("set %s: %w", s.Serial, err)
	}
	if s.RS485 != nil {
		if err := t.transceive(s.RS485); err != nil {
			return fmt.Errorf("open %s: %w", s.Serial, err)
		}
	}
	t.flaws() // those from before are not ours
	return nil
}

// openError drops the path that os puts in front, since the caller's sentence names the port.
func openError(port string, err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		err = p.Err
	}
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("open %s: the port is in use by another program", port)
	}
	return fmt.Errorf("open %s: %w", port, err)
}

// exclude refuses later opens by programs that know nothing of the lock.
func (t *tty) exclude() error {
	if t.isPseudo() {
		// A pseudo-terminal keeps the mark for as long as its other side lives, so after a
		// kill -9 nobody could open it again.
		return nil
	}
	err := unix.IoctlSetInt(t.companion, unix.TIOCEXCL, 0)
	if errors.Is(err, unix.ENOTTY) {
		return nil
	}
	return err
}

func (t *tty) isPseudo() bool {
	var info unix.Stat_t
	if err := unix.Fstat(t.companion, &info); err != nil {
		return false
	}
	major := unix.Major(uint64(info.Rdev))
	return major >= 136 && major <= 143 // Linux: Unix98 pseudo-terminal slaves
}

// read polls first, since only the companion tells a hang-up from silence.
func (t *tty) read(b []byte, until time.Time) (int, error) {
	readable, err := t.wait(until)
	if err != nil || !readable {
		return 0, err
	}
	n, err := t.data.Read(b)
	if n > 0 {
		return n, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return 0, nil // announced and then gone, or the end: the next wait tells
}

// wait waits for something to read until that moment.
func (t *tty) wait(until time.Time) (readable bool, err error) {
	rest, watch := time.Until(until), time.Duration(0)
	if 0 < rest && rest < shortWait {
		// The kernel rounds a thread's waits up by 50 µs to save wake-ups. Where the thread changes
		// in between, the wait is as it was.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		watch = min(maxWatch, rest/watchShare)
	}
	for ; ; rest = time.Until(until) {
		readable, err = t.look(rest - watch)
		if readable || err != nil || watch == 0 || !time.Now().Before(until) {
			return readable, err
		}
	}
}

// look is one poll. The kernel's clock for it has nanoseconds; poll's milliseconds would add half of one to
// every silence of 1.75 ms.
func (t *tty) look(d time.Duration) (readable bool, err error) {
	t.poll[0] = unix.PollFd{Fd: int32(t.companion), Events: unix.POLLIN}
	t.timeout = unix.NsecToTimespec(int64(max(0, d)))
	n, err := unix.Ppoll(t.poll[:], &t.timeout, nil)
	switch {
	case errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("poll: %w", err)
	case n == 0:
		return false, nil
	case t.poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
		return false, fmt.Errorf("%w: %s", ErrHungUp, pulled)
	}
	return true, nil
}

// write sends b, which must be small: an empty output queue takes it without blocking.
func (t *tty) write(b []byte) error {
	// What an earlier exchange left unsent would only be answered in the wrong turn, and could
	// block this one.
	if err := unix.IoctlSetInt(t.companion, unix.TCFLSH, unix.TCOFLUSH); err != nil {
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	if _, err := t.data.Write(b); err != nil {
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return nil
}

func (t *tty) close() error {
	// The kernel holds a close back for up to 30 s while output waits to be sent. Both calls fail
	// on a port that has gone, which is no news here.
	_ = unix.IoctlSetInt(t.companion, unix.TCFLSH, unix.TCIOFLUSH)
	_ = unix.IoctlSetInt(t.companion, unix.TIOCNXCL, 0)
	if t.data == nil {
		return unix.Close(t.companion)
	}
	return errors.Join(t.data.Close(), unix.Close(t.companion))
}
