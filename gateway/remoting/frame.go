// Package remoting is the wire format of RocketMQ's classic protocol: frames with their two header
// serialisations, stored messages, batches, properties and ids. It has no sockets and no state, so
// the listener, an uplink and a test peer speak with the same bytes.
package remoting

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// MaxFrame is the length of a frame above which stock peers close the connection.
const MaxFrame = 16 << 20

// maxHeader is far above any header of a stock client: message properties are at most 32,767 bytes
// and sixfold when every one of them is escaped.
const maxHeader = 1 << 20

const (
	headerJSON   = 0
	headerBinary = 1
)

// Bits of a command's flag.
const (
	FlagResponse = 1
	FlagOneway   = 2
)

// ErrFrame is what every mistake in a peer's bytes wraps. The stream cannot be read any further.
var ErrFrame = errors.New("not a RocketMQ frame")

// ErrTooLarge is a frame, or what was to become one, above a limit.
var ErrTooLarge = errors.New("larger than the limit")

// Command is one frame, a request or a response.
type Command struct {
	Code     int // of the request, or of its outcome
	Language Language
	Version  int   // ordinal of the sender's release
	Opaque   int32 // ties a response to its request
	Flag     int
	Remark   string
	Ext      Fields
	Body     []byte
	Binary   bool // the header's serialisation: as it came in, or shall go out
}

// Response says whether the frame answers another one.
func (c *Command) Response() bool { return c.Flag&FlagResponse != 0 }

// Oneway says whether the sender expects no answer. The Go client forgets to say so.
func (c *Command) Oneway() bool { return c.Flag&FlagOneway != 0 }

// Read reads one whole frame into c and refuses one whose length field is above most. The body is fresh memory that
// belongs to the caller; the array of c.Ext is used again and its strings share the header's text.
// The error is io.EOF when the stream ends between frames, io.ErrUnexpectedEOF when it ends inside
// of one, and wraps ErrFrame or ErrTooLarge when the stream cannot be followed any further.
func Read(r *bufio.Reader, most int, c *Command) error {
	prefix, err := r.Peek(8)
	if err != nil {
		if len(prefix) > 0 && errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	total := int(int32(binary.BigEndian.Uint32(prefix)))
	kind, header := prefix[4], int(binary.BigEndian.Uint32(prefix[4:])&0xffffff)
	switch {
	case total < 4:
		return fmt.Errorf("%w: length %d", ErrFrame, total)
	case total > most:
		return fmt.Errorf("frame of %d bytes: %w of %d", total, ErrTooLarge, most)
	case kind != headerJSON && kind != headerBinary:
		return fmt.Errorf("%w: header serialisation %d", ErrFrame, kind)
	case header > total-4:
		return fmt.Errorf("%w: header of %d bytes in %d", ErrFrame, header, total-4)
	case header > maxHeader:
		return fmt.Errorf("header of %d bytes: %w of %d", header, ErrTooLarge, maxHeader)
	}
	if _, err := r.Discard(8); err != nil {
		return err
	}
	*c = Command{Binary: kind == headerBinary, Ext: c.Ext[:0]}
	if err := readHeader(r, header, c); err != nil {
		return err
	}
	c.Body, err = readFull(r, nil, total-4-header)
	return err
}

// scratch is what reading a header needs and nobody keeps.
type scratch struct {
	header []byte
	fields []fieldSpan
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func readHeader(r *bufio.Reader, size int, c *Command) (err error) {
	s := scratches.Get().(*scratch)
	defer func() {
		if cap(s.header) <= largestAhead {
			scratches.Put(s)
		}
	}()
	if s.header, err = readFull(r, s.header[:0], size); err != nil {
		return err
	}
	if c.Binary {
		return c.parseBinary(s.header)
	}
	return c.parseJSON(s)
}

// largestAhead is the memory that a length may claim before its bytes have come.
const largestAhead = 64 << 10

// readFull appends size bytes of r to b. Memory follows what arrives, so that a peer cannot claim
// megabytes with eight bytes.
func readFull(r io.Reader, b []byte, size int) ([]byte, error) {
	for size > 0 {
		if free := cap(b) - len(b); free == 0 || free < size && len(b) == 0 {
			grown := make([]byte, len(b), len(b)+min(size, max(largestAhead, len(b))))
			copy(grown, b)
			b = grown
		}
		part := b[len(b):min(len(b)+size, cap(b))]
		n, err := io.ReadFull(r, part)
		b, size = b[:len(b)+n], size-n
		if errors.Is(err, io.EOF) {
			return b, io.ErrUnexpectedEOF
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// Append appends the frame to b. It allocates only what b has no room for.
func (c *Command) Append(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	kind := byte(headerJSON)
	if c.Binary {
		kind = headerBinary
		var err error
		if b, err = c.appendBinary(b); err != nil {
			return b[:start], err
		}
	} else {
		b = c.appendJSON(b)
	}
	header := len(b) - start - 8
	if header > maxHeader {
		return b[:start], fmt.Errorf("header of %d bytes: %w of %d", header, ErrTooLarge, maxHeader)
	}
	total := 4 + header + len(c.Body)
	if total > 1<<31-1 {
		return b[:start], fmt.Errorf("frame of %d bytes: %w", total, ErrTooLarge)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(total))
	binary.BigEndian.PutUint32(b[start+4:], uint32(header))
	b[start+4] = kind
	return append(b, c.Body...), nil
}
