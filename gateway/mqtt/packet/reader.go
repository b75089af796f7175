package packet

import (
	"errors"
	"fmt"
	"io"
)

const (
	smallBuffer = 1 << 10  // what an idle connection holds
	largeBuffer = 64 << 10 // what a busy one reads at once
	quietReads  = 64       // so many short reads in a row make a busy connection an idle one
)

// Reader cuts a stream into packets without copying them. Its buffer grows while bytes arrive and
// never by what a length merely claims, so a peer pays for the memory that it takes.
type Reader struct {
	from       io.Reader
	max        int
	minimal    bool
	buf        []byte
	start, end int // the bytes of buf that were read and not handed out
	quiet      int // short reads in a row
}

// NewReader reads from r and refuses packets of more than max bytes, header included.
func NewReader(r io.Reader, max int) *Reader {
	return &Reader{from: r, max: max, buf: make([]byte, smallBuffer)}
}

// Limit changes the size above which a packet is refused.
func (r *Reader) Limit(max int) { r.max = max }

// RequireMinimal makes lengths in more bytes than needed an error, as MQTT 5 has it
// [MQTT-1.5.5-1]; 3.1.1 does not, and some clients pad.
func (r *Reader) RequireMinimal() { r.minimal = true }

// Ready says whether a whole packet, or a mistake, lies in the buffer, so that Next will not wait.
func (r *Reader) Ready() bool {
	header, body, err := r.header()
	return err != nil || header > 0 && r.end-r.start >= header+body
}

// Next gives the next packet. Its body is valid until Next is called again. The error is io.EOF when
// the stream ends between packets, io.ErrUnexpectedEOF when it ends inside of one, an *Error when the
// stream is not MQTT or the packet is too large, or the reader's own.
func (r *Reader) Next() (Frame, error) {
	for {
		header, body, err := r.header()
		if err != nil {
			return Frame{}, err
		}
		if whole := header + body; header > 0 && r.end-r.start >= whole {
			first := r.buf[r.start]
			frame := Frame{
				Type:  Type(first >> 4),
				Flags: first & 15,
				Body:  r.buf[r.start+header : r.start+whole : r.start+whole],
			}
			r.start += whole
			return frame, nil
		}
		if err := r.fill(); err != nil {
			return Frame{}, err
		}
	}
}

// header reads the fixed header at the start of the buffer; header is 0 while it is incomplete.
func (r *Reader) header() (header, body int, err error) {
	b := r.buf[r.start:r.end]
	if len(b) == 0 {
		return 0, 0, nil
	}
	if b[0]>>4 == 0 {
		return 0, 0, malformed("2.1.2", "packet type 0")
	}
	n, size := varint(b[1:])
	switch {
	case size == 0:
		return 0, 0, nil
	case size < 0:
		return 0, 0, malformed("1.5.5", "a length of more than four bytes")
	case r.minimal && size != varintSize(n):
		return 0, 0, malformed("MQTT-1.5.5-1", "a length in more bytes than it needs")
	case 1+size+int(n) > r.max:
		return 0, 0, &Error{Code: PacketTooLarge, Clause: "MQTT-3.2.2-15",
			Text: fmt.Sprintf("%s of %d bytes, at most %d are taken", Type(b[0]>>4), 1+size+int(n), r.max)}
	}
	return 1 + size, int(n), nil
}

// fill reads once, after making room. The last packet handed out is overwritten.
func (r *Reader) fill() error {
	r.makeRoom()
	n, err := r.from.Read(r.buf[r.end:])
	if n < 0 || n > len(r.buf)-r.end {
		return errors.New("read returned an impossible count")
	}
	r.end += n
	if r.quiet++; n > smallBuffer/2 {
		r.quiet = 0
	}
	if n > 0 {
		return nil // an error that came along will come again
	}
	if err == io.EOF && r.end > r.start {
		return io.ErrUnexpectedEOF
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// makeRoom grows a full buffer to twice its size: always for one packet that fills it, otherwise up
// to largeBuffer. One that a large packet or a busy time had stretched shrinks when that has gone.
func (r *Reader) makeRoom() {
	pending := r.buf[r.start:r.end]
	filled := r.end == len(r.buf)
	size := len(r.buf)
	switch {
	case len(pending) == size:
		size *= 2
	case filled && size < largeBuffer:
		size *= 2
	case size > largeBuffer && len(pending) <= largeBuffer/2:
		size = largeBuffer
	case size > smallBuffer && len(pending) <= smallBuffer/2 && r.quiet >= quietReads:
		size, r.quiet = smallBuffer, 0
	case r.start == 0 || !filled && len(pending) > 0 && len(r.buf)-r.end >= smallBuffer/4:
		return
	}
	if size != len(r.buf) {
		buf := make([]byte, size)
		copy(buf, pending)
		r.buf = buf
	} else {
		copy(r.buf, pending)
	}
	r.start, r.end = 0, len(pending)
}
