// Package diagnosis says in plain words what is wrong with a bus: evidence, such as who is silent and
// what was damaged, becomes a cause and the next thing to do, in English and Chinese. It hides the
// table that an experienced fitter has in his head, and which sign outweighs which. It touches no
// line and knows no protocol; whoever has statistics fills in the evidence.
package diagnosis

import "time"

// Kind is what a bus is made of.
type Kind int

// The kinds.
const (
	Serial    Kind = iota // a port of the gateway
	Dialled               // a TCP connection that the gateway opens
	DialledIn             // one that a DTU opens to the gateway
	Reporting             // connections of devices that report by themselves
)

// OpenProblem is why a line is not open.
type OpenProblem int

// The problems. NotOpen is any that has no name here; OpenText then says it.
const (
	NoProblem OpenProblem = iota
	NotOpen
	Missing     // there is no such port
	Forbidden   // the gateway may not open it
	Taken       // another program has it
	Refused     // nobody listens at the address
	Unreachable // no way to the address, or no answer from there
	NobodyCame  // no DTU has dialled in
)

// Evidence is what is known of one bus, counted over the same while: a few minutes at most, so that
// what was mended is not held against it.
type Evidence struct {
	Kind     Kind
	Problem  OpenProblem
	OpenText string // what the system says about it

	HangUps  int // the adapter went, or the other end closed
	Busy     float64
	EchoOnly int  // exchanges in which nothing but the own request was heard
	Echoes   int  // exchanges in which the own request was heard before an answer
	EchoOff  bool // echoes are not cut off

	ForeignRequests int // requests heard that are not ours
	Unasked         int // bytes heard while nobody was asked
	Parity          int // characters with a parity or framing error, where the port tells

	SpeaksTCP   int // answers in Modbus TCP where another form of Modbus was expected
	SpeaksRTU   int // answers in Modbus RTU, likewise
	SpeaksASCII int // answers in Modbus ASCII, likewise

	Devices []Device
}

// Device is one device's part. Each exchange ends in one of Answers, Silent, Garbled, Damaged,
// WrongUnit and Unrelated.
type Device struct {
	Name      string
	Exchanges int
	Answers   int         // valid, refusals among them
	Silent    int         // not one byte came
	Garbled   int         // bytes came that are no frame
	Damaged   int         // frames whose checksum was wrong
	WrongUnit int         // valid answers of a unit that was not asked
	Unrelated int         // what came was sound and answered something else
	Late      int         // answers that came after the time-out
	Refused   map[int]int // Modbus exceptions by their code
	Denied    int         // refusals without a code, as meters give them
	Values    int         // points that were decoded
	Swapped   int         // points whose value is plausible in another word order only

	RTTMean, RTTMax time.Duration
	Timeout         time.Duration
}

// Lamps are the three lamps of a device.
type Lamps struct{ Open, Frames, Values bool }

// Lamps says which of a device's lamps are lit.
func (e *Evidence) Lamps(device int) Lamps {
	d := &e.Devices[device]
	return Lamps{Open: e.Problem == NoProblem, Frames: d.Answers > 0, Values: d.Values > 0}
}

// total adds the devices up.
func (e *Evidence) total() (sum Device) {
	for i := range e.Devices {
		d := &e.Devices[i]
		sum.Exchanges += d.Exchanges
		sum.Answers += d.Answers
		sum.Silent += d.Silent
		sum.Garbled += d.Garbled
		sum.Damaged += d.Damaged
		sum.WrongUnit += d.WrongUnit
		sum.Unrelated += d.Unrelated
		sum.Late += d.Late
	}
	return sum
}

// enough is how many exchanges must have been tried before their outcome says anything.
const enough = 3

// share is a part of a device's exchanges, 0 while there are too few.
func (d *Device) share(of int) float64 {
	if d.Exchanges < enough {
		return 0
	}
	return float64(of) / float64(d.Exchanges)
}

// dead says that a device never answers, nor anything that could be its answer.
func (d *Device) dead() bool {
	return d.Exchanges >= enough && d.Silent == d.Exchanges && d.Late == 0
}
