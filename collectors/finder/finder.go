// Package finder looks for devices that nobody has told the gateway about: on one line, at all rates
// and in all protocols that are likely there, or in a network. It knows no protocol itself: a Protocol
// is made of what a driver can do, in collectors/all. It hides the order in which is asked, how long it
// will take, and the lines of the configuration that what was found needs.
package finder

import (
	"context"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// Protocol is one way to ask for devices.
type Protocol struct {
	Name  string // as the monitor calls it: modbus-rtu
	Title string // for people: Modbus RTU
	// Usual are the settings of serial lines that its devices have, the likeliest first.
	Usual []bus.Character
	// Fixed says that parity and data bits are the protocol's and not the line's, so that nobody
	// chooses them.
	Fixed bool
	// Own says that a device of its own configuration may say its baud rate under the key baud.
	Own bool
	// Slow says that a question holds the line for seconds, which one in operation is spared unless
	// somebody asks for it.
	Slow bool
	// Line and Network say where it is looked for unless somebody asks for it. One without either
	// scheme is never looked for there.
	Line, Network bool
	// LineScheme and NetworkScheme begin the addresses of its devices: rtu and rtu+tcp.
	LineScheme, NetworkScheme string
	// Interval is how often its devices are best read, as the configuration says it.
	Interval string
	// Patience is how long a question without an answer takes.
	Patience time.Duration
	// Questions tells how many questions Ask will ask at least; 0: there is nothing to ask in that
	// part of the search.
	Questions func(q *Query) int
	// Ask asks all of them. It returns early only with the error of ctx, or when the line cannot be
	// used. Trouble with what was heard is an answer with a problem.
	Ask func(ctx context.Context, q *Query) error
}

// Query is what is to be asked in one go.
type Query struct {
	Line      *bus.Client
	Character *bus.Character // on a serial line: its settings meanwhile; nil: those that it has
	// Part is 0 for what is likely, and 1 for the rest of it, which comes when what is likely was
	// asked for at all settings.
	Part  int
	Units []byte // of protocols with units; none: all, the likely ones in part 0
	First bool   // one that answers is enough
	// Timeout is how long one answer may take; 0: as usual.
	Timeout time.Duration
	// Asked is called before or after each question: how many of all are done, which may become
	// more, and what is asked.
	Asked func(done, all int, what string)
	// Found is called for each that answers, at once.
	Found func(Answer)
}

// Answer is one device that answered.
type Answer struct {
	Unit    string // or meter number, as people read it
	Text    string // what it said, in words
	Raw     []byte
	Problem bool    // Text says why nothing can be configured from it
	Guesses []Guess // the best first
	// Driver reads it where no profile does; Keys tell it apart from others on the line; Points are
	// what to read then, each a flow mapping of YAML.
	Driver string
	Keys   []Key
	Points []string
}

// Key is one line of a device in the configuration, with its value as YAML has it.
type Key struct{ Name, Value string }

// Guess is a profile that may be the device's.
type Guess struct {
	Profile  string  `json:"profile"`
	Title    string  `json:"title"`
	Score    float64 `json:"score"` // 0 to 1
	Why      string  `json:"why"`
	Interval string  `json:"-"` // that the profile proposes
}

// Found is a device that was found.
type Found struct {
	Place    string  `json:"place"`
	Protocol string  `json:"protocol"`
	Settings string  `json:"settings,omitempty"` // of the serial line: 9600 8N1
	Unit     string  `json:"unit"`
	Answer   string  `json:"answer"`
	Raw      string  `json:"raw"` // hex digits
	Guesses  []Guess `json:"guesses"`
	YAML     string  `json:"yaml,omitempty"` // what to put into the configuration
}

// Progress is how far a search has come.
type Progress struct {
	Done, All int    // questions; All may grow
	Now       string // what is asked
	Left      time.Duration
}

// Report hears how a search goes. It is called by one goroutine at a time.
type Report struct {
	Progress func(Progress)
	Found    func(Found)
}

// Name writes settings as people do: 9600 8N1.
func Name(c bus.Character) string {
	parity := map[string]string{"even": "E", "odd": "O"}[c.Parity]
	if parity == "" {
		parity = "N"
	}
	return fmt.Sprintf("%d %d%s%d", c.Baud, c.DataBits, parity, c.StopBits)
}
