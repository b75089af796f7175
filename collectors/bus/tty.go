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

// tty is one open serial port: tarm/serial for settings and data, and beside it a second descriptor
// of the same terminal. tarm alone cannot wait less than 100 ms, tell a hang-up from silence, check
// parity, or keep others out of the port; the companion can.
type tty struct {
	data      *serial.Port
	companion int
}

// errSpurious means that the port was announced readable and then gave nothing.
var errSpurious = errors.New("nothing to read")

func openTTY(s Settings) (*tty, error) {
	// The companion and its lock come first: tarm's open already changes the baud rate, under the
	// hands of who has the port.
	companion, err := unix.Open(s.Serial, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, openError(s.Serial, err)
	}
	t := &tty{companion: companion}
	if err := t.open(s); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *tty) open(s Settings) error {
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
	if s.Parity == "none" {
		return nil
	}
	if err := t.checkParity(); err != nil {
		return fmt.Errorf("switch parity checking on for %s: %w", s.Serial, err)
	}
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

// checkParity makes the kernel drop characters with wrong parity: tarm sets IGNPAR without INPCK,
// which delivers them as good.
func (t *tty) checkParity() error {
	settings, err := unix.IoctlGetTermios(t.companion, unix.TCGETS)
	if err != nil {
		return err
	}
	settings.Iflag |= unix.INPCK
	return unix.IoctlSetTermios(t.companion, unix.TCSETS, settings)
}

func (t *tty) isPseudo() bool {
	var info unix.Stat_t
	if err := unix.Fstat(t.companion, &info); err != nil {
		return false
	}
	major := unix.Major(uint64(info.Rdev))
	return major >= 136 && major <= 143 // Linux: Unix98 pseudo-terminal slaves
}

// wait waits for something to read, at most for d, which is rounded up to milliseconds. It returns
// ErrHungUp when the other end is gone.
func (t *tty) wait(d time.Duration) (readable bool, err error) {
	poll := []unix.PollFd{{Fd: int32(t.companion), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, int((d+time.Millisecond-1)/time.Millisecond))
	switch {
	case errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("poll: %w", err)
	case n == 0:
		return false, nil
	case poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
		return false, ErrHungUp
	}
	return true, nil
}

// read takes what has arrived, after wait said that something has.
func (t *tty) read(b []byte) (int, error) {
	n, err := t.data.Read(b)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, io.EOF):
		return 0, errSpurious // or the end: the next wait tells
	case err == nil:
		return 0, errSpurious
	}
	return 0, fmt.Errorf("%w: %w", ErrHungUp, err)
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
