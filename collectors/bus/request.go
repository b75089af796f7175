package bus

import (
	"errors"
	"fmt"
	"time"
)

const (
	maxRequest = 512      // fits any output queue, so that writing cannot block
	maxReply   = 16 << 10 // the longest readout that meters have; more is noise
)

// What an exchange may end with beside an answer. Compare with errors.Is.
var (
	ErrHungUp    = errors.New("the line hung up") // an adapter was pulled, a connection ended
	ErrClosed    = errors.New("the bus is closed")
	ErrNoise     = errors.New("the line is never quiet")
	ErrNotCalled = errors.New("no device has connected") // on a line that listens
	ErrFull      = errors.New("too many wait for the line already")
)

// NoReplyError says that there was no answer. Received is what came without being one, so that the
// caller can say what was wrong with it.
type NoReplyError struct {
	Waited   time.Duration
	Received []byte
	Echo     bool // the line brought the request itself, and nothing else
}

// Error implements error.
func (e *NoReplyError) Error() string {
	switch {
	case e.Echo:
		return fmt.Sprintf("no answer within %v, only the request itself was heard", e.Waited)
	case len(e.Received) == 0:
		return fmt.Sprintf("no answer within %v", e.Waited)
	}
	return fmt.Sprintf("no valid answer within %v, but %d bytes that are none", e.Waited, len(e.Received))
}

// Direction tells which way bytes went.
type Direction bool

// Out is from the gateway to the devices, In the other way.
const (
	Out Direction = true
	In  Direction = false
)

// String gives out or in.
func (d Direction) String() string {
	if d == Out {
		return "out"
	}
	return "in"
}

// FrameReader looks at all that has arrived since the request and says whether the answer is
// complete. It then returns the part that is the answer. During one exchange received only grows.
type FrameReader func(received []byte) (frame []byte, complete bool)

// Request is one question and how to know its answer.
type Request struct {
	// Frame goes on the line, at most 512 bytes. Without one the line is only listened to, for meters
	// that send unasked.
	Frame []byte
	// Timeout runs from the moment at which the last character of Frame is on the wire to the first
	// byte of the answer. From then on the pauses between its bytes are bounded by Gap.
	Timeout time.Duration
	Answer  FrameReader
	// AtPause looks once more when a pause has ended what came, and no frame was in it: for answers
	// that have no other end. nil: a pause ends no answer.
	AtPause FrameReader
	Gap     time.Duration // instead of the line's; 0: the line's
	// Buffer is where the answer is put when it fits in, and belongs to the caller all the time.
	// Without one each answer has memory of its own.
	Buffer []byte
	// Character, on a serial line, are other settings for this exchange; After are those that hold
	// from the moment at which Frame is on the wire, as IEC 62056-21 changes its rate. What has no
	// Character has the line's own again.
	Character *Character
	After     *Character
	// Urgent, for Client.Exchange: goes before those that wait.
	Urgent bool
	// Matched says that answers carry an id by which Answer passes over those to earlier requests. No
	// silence is kept then and nothing is thrown away, not even what came behind the answer. A
	// connection on which nothing came in time is kept, one with half an answer is closed. The frame
	// that Answer returns must be a part of what it was given.
	Matched bool
	// Late is how long after Timeout an answer may still come. So long the same client's next request
	// is held back, while others go on, lest it be given the answer to this one. 0: as long as Timeout,
	// at most 2 s; negative: not at all, for answers that say what they answer.
	Late time.Duration
	// Quiet says that nobody has to answer, as nobody does to a broadcast. An exchange without an answer
	// then ends as any other, but does not count as one that failed.
	Quiet bool
	// Overhear tells what sound frames are among bytes that answered nothing. nil: the driver cannot tell.
	Overhear func(b []byte) Overheard
	// Protocol is the name that the monitor shows: modbus-tcp, modbus-rtu, modbus-ascii, dlt645,
	// cjt188, mbus, iec62056, sml, hj212 or custom.
	Protocol string
}

// maxLate bounds how long a client is held back after a time-out, unless its request says otherwise.
const maxLate = 2 * time.Second

// late is how long after the time-out an answer may still come.
func (q *Request) late() time.Duration {
	switch {
	case q.Matched || q.Late < 0 || len(q.Frame) == 0:
		return 0
	case q.Late > 0:
		return q.Late
	}
	return min(q.Timeout, maxLate)
}

// ErrNotSent is part of every error of an exchange that ended before any of its request was on the
// line, so that the device cannot have carried it out.
var ErrNotSent = errors.New("nothing was sent")

// notSent marks err, and leaves its text alone.
type notSent struct{ err error }

func (e *notSent) Error() string   { return e.err.Error() }
func (e *notSent) Unwrap() []error { return []error{e.err, ErrNotSent} }
