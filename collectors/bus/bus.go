// Package bus gives every serial port one owner. Devices that share a line take turns on it in the
// order they asked; the package keeps the silence between frames, opens and reopens the port, and
// hides github.com/tarm/serial with its blind spots.
package bus

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Settings describe one serial line. What is zero counts as its default.
type Settings struct {
	Serial   string        `yaml:"serial" doc:"the serial port, such as /dev/ttyS1"`
	Baud     int           `yaml:"baud" doc:"bits per second" min:"50" max:"4000000"`
	DataBits int           `yaml:"data_bits" doc:"data bits of a character" min:"5" max:"8"`
	Parity   string        `yaml:"parity" doc:"parity of a character" enum:"none,even,odd"`
	StopBits int           `yaml:"stop_bits" doc:"stop bits of a character" min:"1" max:"2"`
	Silence  time.Duration `yaml:"silence" doc:"how long the line is quiet before a request; 0: three and a half characters" min:"0s" max:"1s"`
}

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
	full := s.withDefaults()
	if s.Serial == "" {
		report("serial", "is missing: name the port, such as /dev/ttyS1")
	}
	if !slices.Contains(bauds, full.Baud) {
		report("baud", fmt.Sprintf("%d is not a rate that a serial port has, such as 2400, 9600 or 115200", s.Baud))
	}
	if full.DataBits < 5 || full.DataBits > 8 {
		report("data_bits", fmt.Sprintf("%d is not between 5 and 8", s.DataBits))
	}
	if !slices.Contains([]string{"none", "even", "odd"}, full.Parity) {
		report("parity", fmt.Sprintf("%q is not none, even or odd", s.Parity))
	}
	if full.StopBits != 1 && full.StopBits != 2 {
		report("stop_bits", fmt.Sprintf("%d is not 1 or 2", s.StopBits))
	}
	if s.Silence < 0 || s.Silence > time.Second {
		report("silence", fmt.Sprintf("%v is not between 0s and 1s", s.Silence))
	}
}

func (s Settings) withDefaults() Settings {
	if s.Baud == 0 {
		s.Baud = 9600
	}
	if s.DataBits == 0 {
		s.DataBits = 8
	}
	if s.Parity == "" {
		s.Parity = "none"
	}
	if s.StopBits == 0 {
		s.StopBits = 1
	}
	return s
}

// wireTime is how long n characters take on the line.
func (s Settings) wireTime(n int) time.Duration {
	bits := 1 + s.DataBits + s.StopBits
	if s.Parity != "none" {
		bits++
	}
	return time.Duration(n*bits) * time.Second / time.Duration(s.Baud)
}

func (s Settings) silence() time.Duration {
	if s.Silence > 0 {
		return s.Silence
	}
	// Modbus over serial line 2.5.1.1: above 19200 bit/s a fixed 1.75 ms, because interrupts
	// come no finer.
	return max(s.wireTime(7)/2, 1750*time.Microsecond)
}

// Set is all the lines of a configuration. Ports open when they are first used, so a missing
// adapter is the trouble of its devices and of nobody else.
type Set struct {
	mu    sync.Mutex // guards what follows
	ports map[string]*Port
}

// NewSet makes a set of lines by their names and opens none of them.
func NewSet(lines map[string]Settings) (*Set, error) {
	s := &Set{ports: map[string]*Port{}}
	if err := s.Update(lines); err != nil {
		return nil, err
	}
	return s, nil
}

// Port gives the line of that name.
func (s *Set) Port(name string) (*Port, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.ports[name]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("there is no bus named %q", name)
}

// Update makes the set equal to lines, all or nothing. A line whose settings stay the same is not
// disturbed; one whose settings changed keeps its Port and is reopened at the next exchange; one
// that has gone is closed.
func (s *Set) Update(lines map[string]Settings) error {
	if err := check(lines); err != nil {
		return err
	}
	s.mu.Lock()
	var gone []*Port
	for name, p := range s.ports {
		if _, stays := lines[name]; !stays {
			gone = append(gone, p)
			delete(s.ports, name)
		}
	}
	for name, settings := range lines {
		if p, ok := s.ports[name]; ok {
			p.configure(settings.withDefaults())
			continue
		}
		s.ports[name] = newPort(name, settings.withDefaults())
	}
	s.mu.Unlock()
	return closeAll(gone)
}

// Close closes every line; exchanges under way end with ErrClosed.
func (s *Set) Close() error {
	s.mu.Lock()
	ports := slices.Collect(maps.Values(s.ports))
	s.mu.Unlock()
	return closeAll(ports)
}

func closeAll(ports []*Port) error {
	var errs []error
	for _, p := range ports {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

func check(lines map[string]Settings) error {
	var errs []error
	owner := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		settings := lines[name]
		settings.Validate(func(path, problem string) {
			errs = append(errs, fmt.Errorf("bus %s: %s: %s", name, path, problem))
		})
		if other, taken := owner[settings.Serial]; taken {
			errs = append(errs, fmt.Errorf("bus %s: serial: %s already belongs to bus %s", name, settings.Serial, other))
		}
		owner[settings.Serial] = name
	}
	return errors.Join(errs...)
}
