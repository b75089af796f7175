package bus

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"
)

// Settings describe one line: exactly one of Serial, Dial and Listen says what it is. What else is
// zero counts as its default.
type Settings struct {
	Serial string // a serial port, such as /dev/ttyS1
	Dial   string // host:port of a serial server or a device, which the gateway connects to at first use
	Listen string // host:port where a DTU connects to the gateway

	// Registration is what a DTU sends first, so that several lines may share an address to listen
	// on. A line without one takes whoever comes, and has the address for itself.
	Registration []byte
	// Heartbeat is what a DTU sends now and then beside its data; it is kept out of answers.
	Heartbeat []byte

	Character
	Silence    time.Duration // before a request; 0: three and a half characters, on TCP none
	Gap        time.Duration // the longest pause within an answer; 0: DefaultGap, on TCP DefaultGapTCP
	Turnaround time.Duration // from the end of an answer, or of the wait for one, to a request to another device; 0: Silence
	Echo       string        // auto, on or off: whether the adapter hears itself
	RS485      *RS485        // nil: the driver is left as it is
}

// Character is how a serial line writes one.
type Character struct {
	Baud, DataBits int
	Parity         string // none, even or odd
	StopBits       int
}

// RS485 lets the kernel switch the transceiver between sending and receiving, where its driver can.
type RS485 struct {
	RTSLow      bool          // RTS is low, not high, while sending
	Before      time.Duration // from RTS to the first bit, in whole milliseconds
	After       time.Duration // from the last bit to RTS, in whole milliseconds
	HearItself  bool          // the receiver stays on while sending
	Termination bool          // switch the terminating resistor on, if there is one
}

// What an answer may pause for. USB adapters deliver what they heard in bunches of 16 ms; what TCP
// lost comes again after 200 ms at the earliest.
const (
	DefaultGap    = 50 * time.Millisecond
	DefaultGapTCP = 250 * time.Millisecond
)

// The bounds of times in Settings. A minute of turnaround is no bus any more.
const (
	maxSilence    = time.Second
	maxGap        = 10 * time.Second
	maxTurnaround = 10 * time.Second
	maxPacket     = 64 // bytes of a registration or heartbeat
)

// Defaults are 9600 bit/s, 8 data bits, no parity, one stop bit and a silence of three and a half
// characters.
func Defaults() Settings { return Settings{}.withDefaults() }

// bauds are the rates that termios has a name for. tarm/serial knows no others.
var bauds = []int{
	50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200,
	230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000,
	3500000, 4000000,
}

// Validate reports every impossible setting under its key.
func (s *Settings) Validate(report func(path, problem string)) {
	s.validateKind(report)
	full := s.withDefaults()
	full.Character.validate(report)
	span := func(path string, have, most time.Duration) {
		if have < 0 || have > most {
			report(path, fmt.Sprintf("%v is not between 0s and %v", have, most))
		}
	}
	span("silence", s.Silence, maxSilence)
	span("gap", s.Gap, maxGap)
	span("turnaround", s.Turnaround, maxTurnaround)
	if !slices.Contains([]string{"auto", "on", "off"}, full.Echo) {
		report("echo", fmt.Sprintf("%q is not auto, on or off", s.Echo))
	}
	if s.RS485 != nil {
		span("rs485.before", s.RS485.Before, maxRTSDelay)
		span("rs485.after", s.RS485.After, maxRTSDelay)
	}
}

func (s *Settings) validateKind(report func(path, problem string)) {
	kinds := 0
	for _, place := range []string{s.Serial, s.Dial, s.Listen} {
		if place != "" {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		report("serial", "is missing: name the port, such as /dev/ttyS1, or a tcp or listen address instead")
	case kinds > 1:
		report("serial", "a line is one of serial, tcp and listen, not several")
	}
	address := func(path, text string, listening bool) {
		if err := checkAddress(text, listening); text != "" && err != nil {
			report(path, err.Error())
		}
	}
	address("tcp", s.Dial, false)
	address("listen", s.Listen, true)
	packet := func(path string, bytes []byte) {
		switch {
		case len(bytes) > 0 && s.Listen == "":
			report(path, "is something that only a line with listen has")
		case len(bytes) > maxPacket:
			report(path, fmt.Sprintf("has %d bytes, more than %d", len(bytes), maxPacket))
		}
	}
	packet("registration", s.Registration)
	packet("heartbeat", s.Heartbeat)
	if s.RS485 != nil && s.Serial == "" {
		report("rs485", "is something that only a serial port has")
	}
}

func checkAddress(address string, listening bool) error {
	host, port, err := net.SplitHostPort(address)
	number, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || !listening && (host == "" || number == 0) {
		return fmt.Errorf("%q is not host:port", address)
	}
	return nil
}

func (c Character) validate(report func(path, problem string)) {
	if !slices.Contains(bauds, c.Baud) {
		report("baud", fmt.Sprintf("%d is not a rate that a serial port has, such as 2400, 9600 or 115200", c.Baud))
	}
	if c.DataBits < 5 || c.DataBits > 8 {
		report("data_bits", fmt.Sprintf("%d is not between 5 and 8", c.DataBits))
	}
	if !slices.Contains([]string{"none", "even", "odd"}, c.Parity) {
		report("parity", fmt.Sprintf("%q is not none, even or odd", c.Parity))
	}
	if c.StopBits != 1 && c.StopBits != 2 {
		report("stop_bits", fmt.Sprintf("%d is not 1 or 2", c.StopBits))
	}
}

func (s Settings) withDefaults() Settings {
	s.Character = s.Character.withDefaults()
	if s.Echo == "" {
		s.Echo = "auto"
	}
	return s
}

func (c Character) withDefaults() Character {
	if c.Baud == 0 {
		c.Baud = 9600
	}
	if c.DataBits == 0 {
		c.DataBits = 8
	}
	if c.Parity == "" {
		c.Parity = "none"
	}
	if c.StopBits == 0 {
		c.StopBits = 1
	}
	return c
}

func (s *Settings) equal(other *Settings) bool {
	if (s.RS485 == nil) != (other.RS485 == nil) || s.RS485 != nil && *s.RS485 != *other.RS485 {
		return false
	}
	return s.Serial == other.Serial && s.Dial == other.Dial && s.Listen == other.Listen &&
		bytes.Equal(s.Registration, other.Registration) && bytes.Equal(s.Heartbeat, other.Heartbeat) &&
		s.Character == other.Character && s.Silence == other.Silence && s.Gap == other.Gap &&
		s.Turnaround == other.Turnaround && s.Echo == other.Echo
}

// String says what the line is.
func (s Settings) String() string { return s.place() }

// place is what the line is, for people to read.
func (s *Settings) place() string {
	switch {
	case s.Serial != "":
		return s.Serial
	case s.Dial != "":
		return "tcp://" + s.Dial
	}
	return "listen://" + s.Listen
}

// wireTime is how long n characters take on the line.
func (c Character) wireTime(n int) time.Duration {
	bits := 1 + c.DataBits + c.StopBits
	if c.Parity != "none" {
		bits++
	}
	return time.Duration(n*bits) * time.Second / time.Duration(c.Baud)
}

// silence is how long the line is quiet before a request when its characters are c.
func (s *Settings) silence(c Character) time.Duration {
	switch {
	case s.Silence > 0:
		return s.Silence
	case s.Serial == "":
		return 0 // who is behind the converter hears the silence that the converter keeps
	}
	// Modbus over serial line 2.5.1.1: above 19200 bit/s a fixed 1.75 ms, because interrupts
	// come no finer.
	return max(c.wireTime(7)/2, 1750*time.Microsecond)
}

// gap is the longest pause within an answer.
func (s *Settings) gap(c Character) time.Duration {
	switch {
	case s.Gap > 0:
		return s.Gap
	case s.Serial == "":
		return DefaultGapTCP
	}
	return max(DefaultGap, c.wireTime(4)) // at 50 bit/s a character takes a fifth of a second
}
