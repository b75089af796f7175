package modbus

import "strconv"

// exception is a device's refusal of one request; the connection stays in order.
type exception byte

// concern says what an exception is about.
type concern byte

const (
	aboutDevice  concern = iota // it answers, but something is wrong with it
	aboutRequest                // the device works and its other points may be read
	aboutNow                    // the same request may succeed a moment later
	aboutGateway                // a gateway answers in the place of a device that does not
)

// exceptions is the one table of wire codes [MODBUS Application Protocol V1.1b3, 7].
var exceptions = [...]struct {
	text    string
	concern concern
}{
	1:  {"illegal function", aboutRequest},
	2:  {"illegal data address", aboutRequest},
	3:  {"illegal data value", aboutRequest},
	4:  {"server device failure", aboutDevice},
	5:  {"acknowledge, the device needs longer", aboutNow},
	6:  {"server device busy", aboutNow},
	8:  {"memory parity error", aboutDevice},
	10: {"gateway path unavailable: the gateway answers, the device behind it cannot be reached", aboutGateway},
	11: {"gateway target device failed to respond: the gateway answers, the device behind it does not", aboutGateway},
}

const illegalFunction exception = 1

// Error gives the code and its plain words.
func (e exception) Error() string {
	text := "unknown"
	if int(e) < len(exceptions) && exceptions[e].text != "" {
		text = exceptions[e].text
	}
	return "exception " + strconv.Itoa(int(e)) + ": " + text
}

func (e exception) about() concern {
	if int(e) < len(exceptions) {
		return exceptions[e].concern
	}
	return aboutDevice
}

// untouched says that a write which was refused like this was not even begun. A device that failed
// while it worked, that needs longer, or that a gateway lost sight of may have written.
func (e exception) untouched() bool {
	switch e {
	case 1, 2, 3, 6, 10:
		return true
	}
	return false
}

// divisible says that a part of the request may succeed where the whole did not.
func (e exception) divisible() bool { return e == 2 || e == 3 }
