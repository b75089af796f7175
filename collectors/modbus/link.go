package modbus

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/goburrow/modbus"
)

// link is the connection to one device: it makes goburrow's client speak over a connection of our
// own. Any error that leaves the wire in doubt closes it, so that an answer that comes too late
// has no connection to come on; goburrow's own transport never closes and from then on takes each
// answer for the next one's.
type link struct {
	framer
	name     string // for errors: tcp://host:port unit 1
	hostPort string
	timeout  time.Duration
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	client   modbus.Client

	conn   net.Conn // nil when closed
	reader *bufio.Reader
	held   int  // bytes of the last answer, still in reader
	sent   bool // of the last exchange: some of the request may have reached the device
}

func newLink(name, hostPort string, unit byte, timeout time.Duration) *link {
	l := &link{
		framer: framer{unit: unit}, name: name, hostPort: hostPort, timeout: timeout,
		dial:   new(net.Dialer).DialContext,
		reader: bufio.NewReaderSize(nil, 2*maxFrame),
	}
	l.client = modbus.NewClient(l)
	return l
}

// read asks for the data of one span; it is good until the next request. Devices close connections
// that were idle, and some after every answer: a connection that turns out to be gone says nothing
// about the device, so the request is made once more on a new one.
func (l *link) read(ctx context.Context, s span) ([]byte, error) {
	used := l.conn != nil
	data, err := l.exchange(ctx, s, nil)
	if _, lost := errors.AsType[*lostError](err); lost && used && ctx.Err() == nil {
		return l.exchange(ctx, s, nil)
	}
	return data, err
}

// write sends data to one span, a single coil or register in the short form.
func (l *link) write(ctx context.Context, s span, data []byte) error {
	_, err := l.exchange(ctx, s, data)
	return err
}

// exchange runs one request within the timeout. An exception is returned as such, anything else
// with the device's name and with the connection closed.
func (l *link) exchange(ctx context.Context, s span, write []byte) ([]byte, error) {
	l.sent = false
	if err := l.connect(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	conn := l.conn
	conn.SetDeadline(time.Now().Add(l.timeout)) // before AfterFunc, which must have the last word
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	data, err := l.call(s, write)
	refused, isRefused := errors.AsType[*modbus.ModbusError](err)
	if stopped := stop(); !stopped || err != nil && !isRefused {
		l.close()
	}
	switch {
	case err == nil:
		return data, nil
	case isRefused:
		return nil, exception(refused.ExceptionCode)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", l.name, ctx.Err())
	}
	return nil, fmt.Errorf("%s: %w", l.name, err)
}

func (l *link) call(s span, write []byte) ([]byte, error) {
	start, count := uint16(s.start), uint16(s.count)
	switch {
	case write == nil && s.area == Coil:
		return l.client.ReadCoils(start, count)
	case write == nil && s.area == Discrete:
		return l.client.ReadDiscreteInputs(start, count)
	case write == nil && s.area == Input:
		return l.client.ReadInputRegisters(start, count)
	case write == nil && s.area == Holding:
		return l.client.ReadHoldingRegisters(start, count)
	case s.area == Coil:
		return l.client.WriteSingleCoil(start, uint16(write[0])*0xFF00)
	case s.area == Holding && s.count == 1:
		return l.client.WriteSingleRegister(start, binary.BigEndian.Uint16(write))
	case s.area == Holding:
		return l.client.WriteMultipleRegisters(start, count, write)
	}
	panic("bug: no request for " + s.area.String())
}

func (l *link) connect(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	dialing, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	conn, err := l.dial(dialing, "tcp", l.hostPort)
	switch {
	case ctx.Err() != nil:
		if conn != nil {
			conn.Close()
		}
		return ctx.Err()
	case dialing.Err() != nil && err != nil:
		return &connectError{fmt.Errorf("no connection within %s", l.timeout)}
	case err != nil:
		return &connectError{fmt.Errorf("cannot connect: %w", plain(err))}
	}
	l.conn = conn
	l.reader.Reset(conn)
	l.held = 0
	return nil
}

// connectError says that the device cannot be reached, so that asking on is of no use.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

func (l *link) close() {
	if l.conn == nil {
		return
	}
	l.conn.Close()
	l.conn = nil
}

// Send is goburrow's Transporter: it sends a frame and reads its answer. Frames with an older
// transaction id are answers that somebody no longer waits for: they are dropped and reading goes
// on until the deadline.
func (l *link) Send(request []byte) ([]byte, error) {
	_, _ = l.reader.Discard(l.held) // the bytes are buffered, so it cannot fail
	l.held = 0
	l.sent = true
	if _, err := l.conn.Write(request); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, &lateError{fmt.Sprintf("the request could not be sent within %s", l.timeout)}
		}
		return nil, &lostError{fmt.Errorf("request not sent: %w", plain(err))}
	}
	asked := binary.BigEndian.Uint16(request)
	stale, staleID := 0, uint16(0)
	for {
		frame, err := l.frame()
		if errors.Is(err, os.ErrDeadlineExceeded) && stale > 0 {
			err = fmt.Errorf("%w; %d stale answers were dropped, the last had transaction id %d, the request has %d",
				err, stale, staleID, asked)
		}
		if err != nil {
			return nil, err
		}
		got := binary.BigEndian.Uint16(frame)
		if older := int16(asked-got) > 0; !older {
			l.held = len(frame)
			return frame, nil
		}
		stale, staleID = stale+1, got
		_, _ = l.reader.Discard(len(frame))
	}
}

// frame waits for one whole frame and leaves it in the reader's buffer.
func (l *link) frame() ([]byte, error) {
	header, err := l.reader.Peek(headerBytes)
	if err != nil {
		return nil, l.broken(err, len(header), headerBytes, header)
	}
	if err := checkHeader(header); err != nil {
		return nil, err
	}
	want := 6 + int(binary.BigEndian.Uint16(header[4:]))
	frame, err := l.reader.Peek(want)
	if err != nil {
		return nil, l.broken(err, len(frame), want, frame)
	}
	return frame, nil
}

// broken tells what was seen instead of a whole frame.
func (l *link) broken(err error, got, want int, seen []byte) error {
	late := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case late && got == 0:
		return &lateError{fmt.Sprintf("no answer within %s", l.timeout)}
	case late:
		return &lateError{fmt.Sprintf("the answer stopped after %d of %d bytes and was not complete within %s: % x",
			got, want, l.timeout, clip(seen))}
	case errors.Is(err, io.EOF) && got == 0:
		return &lostError{errors.New("the device closed the connection instead of answering")}
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the device closed the connection after %d of %d bytes of its answer: % x", got, want, clip(seen))
	}
	err = fmt.Errorf("no answer: %w", plain(err))
	if got == 0 {
		return &lostError{err}
	}
	return err
}

// lostError says that the connection ended before anything of the answer came.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// lateError is a time-out in our words.
type lateError struct{ text string }

func (e *lateError) Error() string        { return e.text }
func (e *lateError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// plain strips what net puts around a cause: the error names the device already.
func plain(err error) error {
	if system, ok := errors.AsType[*os.SyscallError](err); ok {
		return system.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
