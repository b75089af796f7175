package custom

import "sluice/collectors/bus"

// Dissect shows a frame as text where it is text, for the bus monitor. ok is false for anything
// else: only the configuration knows what it means.
func Dissect(dir bus.Direction, frame []byte) (summary string, ok bool) {
	if len(frame) == 0 || !printable(frame) {
		return "", false
	}
	if dir == bus.Out {
		return "asks " + show(frame), true
	}
	return "says " + show(frame), true
}
