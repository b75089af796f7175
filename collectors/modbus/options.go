package modbus

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	defaultTimeout = time.Second
	defaultPort    = "502" // Modbus Messaging on TCP/IP, 3.1.2
)

// Options is what the configuration says about one device.
type Options struct {
	Address string        `yaml:"address" doc:"tcp://host:port of the device or its gateway; the port may be left out and is then 502" required:"true"`
	Unit    int           `yaml:"unit" doc:"unit id behind the address" min:"0" max:"255"`
	Timeout time.Duration `yaml:"timeout" doc:"one request, including its answer" min:"1ms" max:"1m"`
	Limits  `yaml:",inline"`
	Points  []Point `yaml:"points" doc:"what to read" min:"1" unique:"name" required:"true"`
}

// Validate tells what the types of the fields cannot: which of them go together.
func (o *Options) Validate(report func(path, problem string)) {
	if _, err := hostPort(o.Address); err != nil {
		report("address", err.Error())
	}
	if o.Unit < 0 || o.Unit > 255 {
		report("unit", fmt.Sprintf("%d is not a unit id; it is 0 to 255", o.Unit))
	}
	if o.Timeout <= 0 {
		report("timeout", "must be longer than 0")
	}
	o.Limits.validate(report)
	validatePoints(o.Points, o.Limits, report)
}

// hostPort takes a device's address apart.
func hostPort(address string) (string, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return "", fmt.Errorf("%q has no scheme; write tcp://host:port", address)
	}
	if scheme != "tcp" {
		return "", fmt.Errorf("%s:// is not spoken; write tcp://host:port for Modbus TCP", scheme)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host, port = strings.Trim(rest, "[]"), defaultPort
		if strings.Contains(rest, ":") && !strings.HasPrefix(rest, "[") {
			return "", fmt.Errorf("%q is not host:port", rest)
		}
	}
	if host == "" || strings.ContainsAny(host, "/ ") {
		return "", fmt.Errorf("%q names no host; write tcp://host:port", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is not a port; it is 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// Endpoint is where the device is reached.
func (o *Options) Endpoint() string { return o.Address }
