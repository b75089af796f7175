package modbus

import "strconv"

// exception is a device's refusal of one request; the connection stays in order.
type exception byte

// exceptions is the one table of wire codes [MODBUS Application Protocol V1.1b3, 7]. request says
// that the fault is with this one request: the device works and its other points may be read.
var exceptions = [...]struct {
	text    string
	request bool
}{
	1:  {"illegal function", true},
	2:  {"illegal data address", true},
	3:  {"illegal data value", true},
	4:  {"server device failure", false},
	5:  {"acknowledge, the device needs longer", false},
	6:  {"server device busy", false},
	8:  {"memory parity error", false},
	10: {"gateway path unavailable", false},
	11: {"gateway target device failed to respond", false},
}

// Error gives the code and its plain words.
func (e exception) Error() string {
	text := "unknown"
	if int(e) < len(exceptions) && exceptions[e].text != "" {
		text = exceptions[e].text
	}
	return "exception " + strconv.Itoa(int(e)) + ": " + text
}

func (e exception) aboutRequest() bool { return int(e) < len(exceptions) && exceptions[e].request }

// divisible says that a part of the request may succeed where the whole did not.
func (e exception) divisible() bool { return e == 2 || e == 3 }
