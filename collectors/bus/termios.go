package bus

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rates are the names that termios has for the rates of the table.
var rates = map[int]uint32{
	50: unix.B50, 75: unix.B75, 110: unix.B110, 134: unix.B134, 150: unix.B150, 200: unix.B200, 300: unix.B300, 600: unix.B600,
	1200: unix.B1200, 1800: unix.B1800, 2400: unix.B2400, 4800: unix.B4800, 9600: unix.B9600, 19200: unix.B19200,
	38400: unix.B38400, 57600: unix.B57600, 115200: unix.B115200, 230400: unix.B230400, 460800: unix.B460800,
	500000: unix.B500000, 576000: unix.B576000, 921600: unix.B921600, 1000000: unix.B1000000, 1152000: unix.B1152000,
	1500000: unix.B1500000, 2000000: unix.B2000000, 2500000: unix.B2500000, 3000000: unix.B3000000, 3500000: unix.B3500000,
	4000000: unix.B4000000,
}

var sizes = map[int]uint32{5: unix.CS5, 6: unix.CS6, 7: unix.CS7, 8: unix.CS8}

// become changes the settings of the open port once everything written has left it. tarm sets them
// only when it opens, and sets IGNPAR without INPCK, which delivers characters with wrong parity as
// good ones.
func (t *tty) become(c Character) error {
	s, err := unix.IoctlGetTermios(t.companion, unix.TCGETS)
	if err != nil {
		return err
	}
	rate := rates[c.Baud]
	s.Cflag &^= unix.CBAUD | unix.CSIZE | unix.PARENB | unix.PARODD | unix.CSTOPB
	s.Cflag |= rate | sizes[c.DataBits]
	s.Ispeed, s.Ospeed = rate, rate
	s.Iflag &^= unix.INPCK
	if c.Parity != "none" {
		s.Cflag |= unix.PARENB
		s.Iflag |= unix.INPCK
	}
	if c.Parity == "odd" {
		s.Cflag |= unix.PARODD
	}
	if c.StopBits == 2 {
		s.Cflag |= unix.CSTOPB
	}
	if err := unix.IoctlSetTermios(t.companion, unix.TCSETSW, s); err != nil {
		return err
	}
	t.now = c
	return nil
}

// change makes the port speak with c from now on; at is when the last character sent is on the wire.
func (t *tty) change(c Character, at time.Time) error {
	if t.now == c {
		return nil
	}
	// The kernel knows when its own buffer is empty. What the adapter still has, only the clock tells.
	if err := unix.IoctlSetInt(t.companion, unix.TCSBRK, 1); err != nil {
		return fmt.Errorf("%w: wait until all is sent: %w", ErrHungUp, err)
	}
	for rest := time.Until(at); rest > 0; rest = time.Until(at) {
		t.timeout = unix.NsecToTimespec(int64(rest))
		if _, err := unix.Ppoll(nil, &t.timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait until all is sent: %w", err)
		}
	}
	if err := t.become(c); err != nil {
		return fmt.Errorf("%w: change to %v: %w", ErrHungUp, c, err)
	}
	return nil
}

// String gives the usual short form: 9600 8N1.
func (c Character) String() string {
	parity := map[string]string{"none": "N", "even": "E", "odd": "O"}[c.Parity]
	return fmt.Sprintf("%d %d%s%d", c.Baud, c.DataBits, parity, c.StopBits)
}

// maxRTSDelay is what drivers take at most (serial_core.c RS485_MAX_RTS_DELAY).
const maxRTSDelay = 100 * time.Millisecond

// serialRS485 is struct serial_rs485 of linux/serial.h.
type serialRS485 struct {
	flags         uint32
	before, after uint32 // milliseconds
	_             [5]uint32
}

// The flags of struct serial_rs485.
const (
	rs485Enabled      = 1 << 0
	rs485RTSOnSend    = 1 << 1
	rs485RTSAfterSend = 1 << 2
	rs485RXDuringTX   = 1 << 4
	rs485Terminate    = 1 << 5
)

func (r *RS485) raw() serialRS485 {
	raw := serialRS485{flags: rs485Enabled, before: uint32(r.Before / time.Millisecond), after: uint32(r.After / time.Millisecond)}
	if r.RTSLow {
		raw.flags |= rs485RTSAfterSend
	} else {
		raw.flags |= rs485RTSOnSend
	}
	if r.HearItself {
		raw.flags |= rs485RXDuringTX
	}
	if r.Termination {
		raw.flags |= rs485Terminate
	}
	return raw
}

// transceive hands the direction of the transceiver to the kernel.
func (t *tty) transceive(r *RS485) error {
	raw := r.raw()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.companion), unix.TIOCSRS485, uintptr(unsafe.Pointer(&raw)))
	switch errno {
	case 0:
		return nil
	case unix.ENOTTY, unix.EOPNOTSUPP, unix.ENOSYS:
		return errors.New("its driver cannot switch an RS485 transceiver; leave rs485 out if the adapter does that by itself, as those on USB do")
	}
	return fmt.Errorf("switch RS485 on: %w", errno)
}

// counters is struct serial_icounter_struct of linux/serial.h.
type counters struct {
	_                   [6]int32 // of modem lines and of characters
	frame, overrun      int32
	parity, breaks, buf int32
	_                   [9]int32
}

// flaws gives how many characters have come with a parity or framing error since it was asked last. Not
// every driver counts them, and a pseudo-terminal has none.
func (t *tty) flaws() uint64 {
	if t.uncounted {
		return 0
	}
	var c counters
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.companion), unix.TIOCGICOUNT, uintptr(unsafe.Pointer(&c))); errno != 0 {
		t.uncounted = true
		return 0
	}
	total := uint32(c.frame) + uint32(c.parity) // #nosec G115 -- they go round, and so do the differences
	grown := total - t.flawed
	t.flawed = total
	return uint64(grown)
}
