package dlt645sim

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pty is a pseudo-terminal of our own: the simulator speaks on the master, the gateway opens the
// slave like any serial port.
type pty struct {
	master *os.File
	slave  *os.File // held open, else the master reads errors whenever the gateway is away
	path   string   // of the slave
	link   string   // a name that stays the same, or empty
}

func openPTY(link string) (_ *pty, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	p := &pty{master: os.NewFile(uintptr(fd), "/dev/ptmx")}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock the pseudo-terminal: %w", err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("ask for the pseudo-terminal's number: %w", err)
	}
	p.path = "/dev/pts/" + strconv.FormatUint(uint64(n), 10)
	if err := p.makeRaw(fd); err != nil {
		return nil, fmt.Errorf("make %s raw: %w", p.path, err)
	}
	p.slave, err = os.OpenFile(p.path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return p, p.makeLink(link)
}

// makeRaw keeps the terminal from echoing, from translating line ends and from taking bytes for
// control characters.
func (p *pty) makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// makeLink puts link in place of an older link, but of nothing else.
func (p *pty) makeLink(link string) error {
	if link == "" {
		return nil
	}
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("%s exists and is not a symbolic link", link)
	}
	// By way of a second name, so that there is no moment without the link.
	next := link + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(p.path, next); err != nil {
		return err
	}
	if err := os.Rename(next, link); err != nil {
		return err
	}
	p.link = link
	return nil
}

// close hangs up, as a pulled adapter would, and removes the link if it is still ours.
func (p *pty) close() error {
	var errs []error
	if target, err := os.Readlink(p.link); err == nil && target == p.path {
		errs = append(errs, os.Remove(p.link))
	}
	errs = append(errs, p.master.Close())
	if p.slave != nil {
		errs = append(errs, p.slave.Close())
	}
	return errors.Join(errs...)
}
