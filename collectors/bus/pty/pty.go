// Package pty is the far end of a serial line: a pseudo-terminal whose near end the gateway opens like
// any serial port, with the wire in between. The wire takes its time for every character, damages
// some, echoes, and is pulled out and put back, as simulators and tests want it.
package pty

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// glance bounds how long a Read or Write holds the descriptors, and so how long a Pull waits.
const glance = 20 * time.Millisecond

// ErrPulled is what Pull says of a line that is out, and Replug's opposite is ErrPlugged.
var (
	ErrPulled  = errors.New("the line is pulled out already")
	ErrPlugged = errors.New("the line is plugged in already")
)

// Line is the far end. One goroutine may read while another writes; the rest may be called at any
// time. While the line is pulled out, Read waits and Write's bytes are lost: the devices on it do not
// notice.
type Line struct {
	path   string
	folder string // to remove with the line; empty: the path is the caller's

	reading sync.Mutex // one reader at a time; guards heard
	heard   wire
	saying  sync.Mutex // one writer at a time; guards said
	said    wire

	mu       sync.Mutex // guards what follows
	perChar  time.Duration
	echo     bool
	noise    Noise
	noiseGen int       // grows with every Noise
	quiet    time.Time // when the last character that was read arrived

	// attached is held for reading while the descriptors are in use, and for writing while they change.
	attached sync.RWMutex
	master   int // -1: pulled out
	hold     int // the near end held open, else the far end hears errors while no gateway has it open
	closed   bool
}

// Open makes a line under a path of its own.
func Open() (*Line, error) {
	folder, err := os.MkdirTemp("", "line-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the line: %w", err)
	}
	l, err := OpenAt(filepath.Join(folder, "port"))
	if err != nil {
		return nil, errors.Join(err, os.Remove(folder))
	}
	l.folder = folder
	return l, nil
}

// OpenAt makes a line under path, which becomes a symbolic link in place of an older one.
func OpenAt(path string) (*Line, error) {
	l := &Line{path: path, master: -1, hold: -1}
	if err := l.plug(); err != nil {
		return nil, err
	}
	return l, nil
}

// Path is what the gateway opens. It stays the same when the line is pulled out and put back.
func (l *Line) Path() string { return l.path }

// Pace lets every character take its real time, in both directions; a baud of 0 ends that. A character
// of 8 data bits, parity and one stop bit has 11 bits on the wire, without parity 10.
func (l *Line) Pace(baud, bitsPerChar int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.perChar = 0
	if baud > 0 {
		l.perChar = time.Duration(bitsPerChar) * time.Second / time.Duration(baud)
	}
}

// Echo lets the gateway hear what it sends, as many adapters do. It is heard as the far end reads it.
func (l *Line) Echo(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.echo = on
}

// Pull takes the adapter out: the gateway's port hangs up, and its path is gone.
func (l *Line) Pull() error {
	l.attached.Lock()
	defer l.attached.Unlock()
	if l.master < 0 {
		return ErrPulled
	}
	return l.unplug()
}

// Replug puts the adapter back under the same path. What was on the wire is lost.
func (l *Line) Replug() error {
	l.attached.Lock()
	defer l.attached.Unlock()
	switch {
	case l.closed:
		return os.ErrClosed
	case l.master >= 0:
		return ErrPlugged
	}
	return l.plug()
}

// Close takes the line away for good. Read then gives io.EOF.
func (l *Line) Close() error {
	l.attached.Lock()
	defer l.attached.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	if l.master >= 0 {
		errs = append(errs, l.unplug())
	}
	if l.folder != "" {
		errs = append(errs, os.Remove(l.folder))
	}
	return errors.Join(errs...)
}

func (l *Line) unplug() error {
	errs := []error{unix.Close(l.master), unix.Close(l.hold)}
	l.master, l.hold = -1, -1
	return errors.Join(append(errs, os.Remove(l.path))...)
}

func (l *Line) plug() error {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/ptmx: %w", err)
	}
	hold, err := l.nearEnd(master)
	if err != nil {
		return errors.Join(err, unix.Close(master))
	}
	l.master, l.hold = master, hold
	return nil
}

// nearEnd opens the other side of master and puts the link there.
func (l *Line) nearEnd(master int) (int, error) {
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return -1, fmt.Errorf("unlock the pseudo-terminal: %w", err)
	}
	number, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	if err != nil {
		return -1, fmt.Errorf("ask for the pseudo-terminal's number: %w", err)
	}
	name := "/dev/pts/" + strconv.FormatUint(uint64(number), 10)
	hold, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", name, err)
	}
	if err := errors.Join(makeRaw(hold), link(name, l.path)); err != nil {
		return -1, errors.Join(err, unix.Close(hold))
	}
	return hold, nil
}

// makeRaw keeps the terminal from echoing, from translating line ends and from taking bytes for
// control characters, until the gateway has set it as it wants.
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("ask for the terminal's settings: %w", err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return fmt.Errorf("make the terminal raw: %w", err)
	}
	return nil
}

// link makes path a name of target, in place of an older link but of nothing else.
func link(target, path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("%s exists and is not a symbolic link", path)
	}
	// By way of a second name, so that there is no moment without the link.
	next := path + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, next); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// use calls f with the far end's descriptor, which stays valid for the call.
func (l *Line) use(f func(master int) error) error {
	l.attached.RLock()
	defer l.attached.RUnlock()
	switch {
	case l.closed:
		return io.EOF
	case l.master < 0:
		return ErrPulled
	}
	return f(l.master)
}
