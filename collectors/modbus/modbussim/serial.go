package modbussim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"sluice/collectors/bus/pty"
)

// Serial is a line to speak RTU or ASCII on.
type Serial struct {
	// Path is a serial port, which is opened. Where there is none a pseudo-terminal is made, and Path
	// becomes a name of it; empty: it is made without one.
	Path   string
	Baud   int    // of a pseudo-terminal 0 means that characters take no time
	Parity string // none, even or odd
	Stop   int    // 1 or 2
}

// Open gives the line and what its other end is called: the port, or the pseudo-terminal that the
// gateway opens. What is written goes out behind the silence that RTU has between two frames.
func (s Serial) Open() (line io.ReadWriteCloser, path string, err error) {
	if s.Parity != "none" && s.Parity != "even" && s.Parity != "odd" {
		return nil, "", fmt.Errorf("parity %q is not none, even or odd", s.Parity)
	}
	if s.Stop != 1 && s.Stop != 2 {
		return nil, "", fmt.Errorf("%d stop bits are not 1 or 2", s.Stop)
	}
	if s.Baud < 0 {
		return nil, "", fmt.Errorf("%d is no baud rate", s.Baud)
	}
	if s.Path == "" {
		return s.paced(pty.Open())
	}
	info, err := os.Stat(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.paced(pty.OpenAt(s.Path))
	case err != nil:
		return nil, "", err
	case info.Mode()&os.ModeCharDevice == 0:
		return nil, "", fmt.Errorf("%s exists and is no serial port", s.Path)
	}
	port, err := s.port()
	if err != nil {
		return nil, "", err
	}
	return &answering{port, s.silence()}, s.Path, nil
}

func (s Serial) paced(line *pty.Line, err error) (io.ReadWriteCloser, string, error) {
	if err != nil {
		return nil, "", err
	}
	line.Pace(s.Baud, s.bits())
	return &answering{line, s.silence()}, line.Path(), nil
}

// bits are those of a character on the wire.
func (s Serial) bits() int {
	bits := 1 + 8 + s.Stop
	if s.Parity != "none" {
		bits++
	}
	return bits
}

// silence is that of three and a half characters [Modbus over serial line V1.02, 2.5.1.1].
func (s Serial) silence() time.Duration {
	if s.Baud == 0 {
		return 0
	}
	return max(time.Duration(7*s.bits())*time.Second/time.Duration(2*s.Baud), 1750*time.Microsecond)
}

// answering is a line on which what is written keeps the distance to what was heard.
type answering struct {
	io.ReadWriteCloser
	silence time.Duration
}

func (a *answering) Write(b []byte) (int, error) {
	time.Sleep(a.silence)
	return a.ReadWriteCloser.Write(b)
}

// port opens what is there, for this process alone.
func (s Serial) port() (*os.File, error) {
	if s.Baud == 0 {
		return nil, fmt.Errorf("%s needs a baud rate", s.Path)
	}
	// Without waiting for a carrier, and so that Close ends a Read.
	fd, err := unix.Open(s.Path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", s.Path, err)
	}
	err = s.set(fd)
	if err == nil {
		err = unix.IoctlSetInt(fd, unix.TIOCEXCL, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set %s: %w", s.Path, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), s.Path), nil
}

func (s Serial) set(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag &^= unix.CBAUD | unix.CSIZE | unix.PARENB | unix.PARODD | unix.CSTOPB | unix.CRTSCTS
	t.Cflag |= unix.BOTHER | unix.CS8 | unix.CREAD | unix.CLOCAL
	t.Ispeed, t.Ospeed = uint32(s.Baud), uint32(s.Baud)
	if s.Parity != "none" {
		t.Cflag |= unix.PARENB
		t.Iflag |= unix.INPCK
	}
	if s.Parity == "odd" {
		t.Cflag |= unix.PARODD
	}
	if s.Stop == 2 {
		t.Cflag |= unix.CSTOPB
	}
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS2, t)
}
