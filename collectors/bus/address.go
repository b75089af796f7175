package bus

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Address is where a device's line is: bus://NAME for one of the configuration, tcp://host:port for a
// connection of its own, as Set.Client takes it.
type Address string

// UnmarshalText takes either form.
func (a *Address) UnmarshalText(text []byte) error {
	name, isBus := strings.CutPrefix(string(text), "bus://")
	server, isTCP := strings.CutPrefix(string(text), "tcp://")
	host, port, err := net.SplitHostPort(server)
	number, bad := strconv.ParseUint(port, 10, 16)
	switch {
	case isBus && name != "" && !strings.ContainsAny(name, "/?# "):
	case isTCP && err == nil && bad == nil && host != "" && number > 0:
	default:
		return fmt.Errorf("%q is neither bus://NAME, with a name from buses:, nor tcp://host:port", text)
	}
	*a = Address(text)
	return nil
}
