package modbus

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
)

// dialect is how requests are wrapped on the wire.
type dialect byte

const (
	overTCP dialect = iota + 1
	overRTU
	overASCII
)

// protocols are the names by which the monitor knows the dialects.
var protocols = [...]string{overTCP: "modbus-tcp", overRTU: "modbus-rtu", overASCII: "modbus-ascii"}

// spoken are the dialects in the words of an engineer.
var spoken = [...]string{overTCP: "Modbus TCP", overRTU: "Modbus RTU", overASCII: "Modbus ASCII"}

// schemes are the ways to write an address.
var schemes = []struct {
	name    string
	dialect dialect
	bus     bool // what follows is a bus's name, not host:port
}{
	{"tcp", overTCP, false},
	{"rtu+tcp", overRTU, false},
	{"ascii+tcp", overASCII, false},
	{"rtu", overRTU, true},
	{"ascii", overASCII, true},
	{"tcp+bus", overTCP, true},
}

const (
	addressDoc  = "tcp://host:port"
	defaultPort = "502" // Modbus Messaging on TCP/IP, 3.1.2
)

// target is a device's address taken apart: what is spoken, on which line.
type target struct {
	dialect dialect
	line    string // for bus.Set: tcp://host:port or bus://NAME
}

func parseTarget(address string) (target, error) {
	name, rest, found := strings.Cut(address, "://")
	if !found {
		return target{}, fmt.Errorf("%q has no scheme; write %s, or rtu://BUS with a name from buses", address, addressDoc)
	}
	for _, s := range schemes {
		switch {
		case s.name != name:
			continue
		case s.bus && (rest == "" || strings.ContainsAny(rest, "/?#: ")):
			return target{}, fmt.Errorf("%q names no bus; write %s://NAME with a name from buses", address, name)
		case s.bus:
			return target{s.dialect, "bus://" + rest}, nil
		}
		line, err := hostPort(name, rest)
		if err != nil {
			return target{}, err
		}
		return target{s.dialect, "tcp://" + line}, nil
	}
	return target{}, fmt.Errorf("%s:// is not spoken; write %s for Modbus TCP, rtu+tcp://host:port or ascii+tcp://host:port for a serial server, rtu://BUS or ascii://BUS for a line from buses",
		name, addressDoc)
}

func hostPort(scheme, written string) (string, error) {
	host, port, err := net.SplitHostPort(written)
	if err != nil {
		host, port = strings.Trim(written, "[]"), defaultPort
		if strings.Contains(written, ":") && !strings.HasPrefix(written, "[") {
			return "", fmt.Errorf("%q is not host:port", written)
		}
		if scheme != "tcp" && host != "" {
			return "", fmt.Errorf("%q has no port; serial servers have no usual one", written)
		}
	}
	if host == "" || strings.ContainsAny(host, "/ ") {
		return "", fmt.Errorf("%q names no host; write %s://host:port", scheme+"://"+written, scheme)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is not a port; it is 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// address writes a target.
func (t target) address() string {
	kind, rest, _ := strings.Cut(t.line, "://")
	for _, s := range schemes {
		if s.dialect == t.dialect && s.bus == (kind == "bus") {
			return s.name + "://" + rest
		}
	}
	panic("bug: no scheme for " + t.line)
}

// network says that there is a network between the gateway and whoever speaks the dialect.
func (t target) network() bool { return strings.HasPrefix(t.line, "tcp://") }

func (t target) framer(unit byte, ids *atomic.Uint32) framer {
	switch t.dialect {
	case overRTU:
		return &rtuFramer{unit: unit}
	case overASCII:
		return &asciiFramer{unit: unit}
	}
	return &tcpFramer{unit: unit, ids: ids}
}

// otherDialect recognises an answer that is right but for how it is wrapped, and says what to write
// instead: converters speak Modbus TCP or pass RTU through, and nothing on their boxes says which.
func (t target) otherDialect(unit byte, pdu, received []byte) *flaw {
	for _, heard := range []dialect{overTCP, overRTU, overASCII} {
		if heard == t.dialect || !answers(heard, unit, pdu, received) {
			continue
		}
		over := ""
		if heard != overTCP && t.network() {
			over = " over TCP"
		}
		return flawed(others[heard], "the converter answers in %s%s; change the address to %s",
			spoken[heard], over, target{heard, t.line}.address())
	}
	return nil
}

// answers says whether an answer of the unit to the PDU's function stands in received, in a dialect.
func answers(d dialect, unit byte, pdu, received []byte) bool {
	for rest := received; len(rest) >= rtuOverhead+2; rest = rest[1:] {
		var from byte
		var answer []byte
		switch d {
		case overTCP:
			if isHeader(rest) && len(rest) >= frameEnd(rest) {
				from, answer = rest[6], rest[headerBytes:frameEnd(rest)]
			}
		case overRTU:
			if frame := wholeRTU(rest); frame != nil {
				from, answer = frame[0], inner(frame)
			}
		case overASCII:
			if rest[0] != ':' {
				continue
			}
			if line, _, found := asciiLine(rest); found {
				var heard [1 + maxPDUBytes + 1]byte
				if body, err := asciiBody(heard[:0], line); err == nil {
					from, answer = body[0], body[1:]
				}
			}
		}
		if answer != nil && from == unit && checkPDU(pdu, answer) == nil {
			return true
		}
	}
	return false
}
