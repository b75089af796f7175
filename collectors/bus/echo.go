package bus

import "bytes"

// echo knows whether the line brings back what is sent, as adapters do whose receiver stays on. What
// is certain from one exchange alone: an echo followed by an answer. A lone copy of the request is not:
// some answers equal their request, such as those to Modbus functions 5 and 6. Nor does time tell:
// adapters deliver late and virtual ports know no baud rate. So as long as nothing is known a lone copy
// is held back, in case that more follows, and counts as the answer when nothing does.
type echo struct {
	mode  string // auto, on or off
	state echoState
	plain int  // answers in a row without a copy
	doubt bool // the last answer equalled its request
}

// surePlain is how many answers without a copy make sure that there is no echo: one could have been
// found behind an echo that was damaged.
const surePlain = 3

type echoState int

const (
	echoUnknown echoState = iota
	echoHeard             // an answer came behind a copy of its request
	echoAbsent            // an answer came without one
)

func newEcho(mode string) echo {
	e := echo{mode: mode}
	switch mode {
	case "on":
		e.state = echoHeard
	case "off":
		e.state = echoAbsent
	}
	return e
}

// cut gives the part of received in which the answer is to be looked for. With hold it is too early to
// say: what came may be an echo, in part or as a whole.
func (e *echo) cut(request, received []byte) (answer []byte, hold bool) {
	if e.state == echoAbsent || len(request) == 0 {
		return received, false
	}
	n := min(len(request), len(received))
	switch {
	case !bytes.Equal(request[:n], received[:n]):
		return received, false
	case len(received) > len(request):
		return received[len(request):], false
	case len(received) == len(request) && e.state == echoHeard:
		return nil, false
	}
	return nil, true
}

// lone says whether received is a copy of the request and nothing else.
func lone(request, received []byte) bool {
	return len(request) > 0 && bytes.Equal(request, received)
}

// learn draws its conclusion from an exchange that has ended: good is whether the answer came.
func (e *echo) learn(request, received []byte, good bool) {
	if e.mode != "auto" || len(request) == 0 || len(received) == 0 {
		return
	}
	copied := len(received) >= len(request) && bytes.Equal(request, received[:len(request)])
	e.doubt = good && copied && e.state == echoAbsent
	if !good || copied {
		e.plain = 0
	} else {
		e.plain++
	}
	switch {
	case good && copied && len(received) > len(request):
		if e.state != echoAbsent { // else the answer equals the request, and something came behind it
			e.state = echoHeard
		}
	case good && !copied && e.state == echoUnknown && e.plain >= surePlain:
		e.state = echoAbsent
	case good && !copied && e.state == echoHeard:
		e.state = echoUnknown // another adapter, or an echo that was damaged
	case !good && copied && e.state == echoAbsent:
		e.state = echoUnknown
	}
}

// tail hears that something came behind an answer. If that answer equalled its request it was an echo,
// and this the answer.
func (e *echo) tail() {
	if e.doubt {
		e.state, e.plain, e.doubt = echoUnknown, 0, false
	}
}
