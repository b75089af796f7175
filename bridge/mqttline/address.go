package mqttline

import (
	"errors"
	"fmt"
	"net/url"
)

// ParseAddress reads tcp://, ssl://, ws:// or wss://host:port and fills in the usual port.
func ParseAddress(address string) (*url.URL, error) {
	if address == "" {
		return nil, errors.New("is missing: write tcp://host:port")
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("is no address: %w; write tcp://host:port", err)
	}
	switch u.Scheme {
	case "tcp", "ssl":
		if u.Path != "" && u.Path != "/" {
			return nil, fmt.Errorf("has a path (%s), which %s:// has not", u.Path, u.Scheme)
		}
	case "ws", "wss":
	default:
		return nil, fmt.Errorf("begins with %q; write tcp://, ssl://, ws:// or wss://", u.Scheme)
	}
	if u.User != nil {
		return nil, errors.New("has a user in it: that belongs in username and password_file")
	}
	if u.Hostname() == "" {
		return nil, errors.New("has no host")
	}
	if u.Port() == "" {
		u.Host += ":" + map[string]string{"tcp": "1883", "ssl": "8883", "ws": "80", "wss": "443"}[u.Scheme]
	}
	return u, nil
}

// Secure says whether an address is one of a secured connection.
func Secure(u *url.URL) bool { return u.Scheme == "ssl" || u.Scheme == "wss" }
