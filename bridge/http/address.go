package http

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"sluice/bridge"
)

// address is where one of the receiver's addresses leads.
type address struct {
	text    string // with {topic} and {device}
	varies  bool   // it has them: where a message goes depends on the message
	gateway string
	base    string // scheme and host
	host    string // host:port
	secure  bool
}

var sample = strings.NewReplacer("{topic}", "x", "{device}", "x", "{gateway}", "x")

func parseAddress(text, gateway string) (*address, error) {
	if text == "" {
		return nil, errors.New("is missing: write https://host/path")
	}
	plain := sample.Replace(text)
	if strings.ContainsAny(plain, "{}") {
		return nil, errors.New("has a placeholder that is unknown: use {topic}, {device} and {gateway}")
	}
	u, err := url.Parse(plain)
	switch {
	case err != nil:
		// The error of url.Parse quotes the address, and with it a password that somebody put there.
		return nil, errors.New("is no address; write https://host/path")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("begins with %q; write http:// or https://", u.Scheme)
	case u.User != nil:
		return nil, errors.New("has a user in it: that belongs in username and password_file")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case !strings.HasPrefix(text, u.Scheme+"://"+u.Host):
		return nil, errors.New("has a placeholder in its host; the path may have them")
	case strings.Contains(text, "#"):
		return nil, errors.New("has a fragment (#), which is not sent")
	}
	a := &address{text: text, gateway: gateway, base: u.Scheme + "://" + u.Host, host: u.Host, secure: u.Scheme == "https"}
	if u.Port() == "" {
		port := map[bool]string{false: "80", true: "443"}[a.secure]
		a.host = net.JoinHostPort(u.Hostname(), port)
	}
	a.text = strings.ReplaceAll(a.text, "{gateway}", escape(gateway))
	a.varies = strings.Contains(a.text, "{")
	return a, nil
}

// of is where a message goes.
func (a *address) of(o *bridge.Outgoing) string {
	if !a.varies {
		return a.text
	}
	return strings.NewReplacer("{topic}", escape(o.Topic), "{device}", escape(bridge.DeviceOf(o.Key))).Replace(a.text)
}

// escape makes a topic fit for a path, in which its levels stay levels, and for a query.
func escape(topic string) string {
	escaped := strings.ReplaceAll(url.QueryEscape(topic), "+", "%20")
	if !strings.Contains(escaped, ".") && !strings.Contains(escaped, "%2F") {
		return escaped
	}
	levels := strings.Split(escaped, "%2F")
	for i, level := range levels {
		if level == "." || level == ".." { // would lead elsewhere in the path
			levels[i] = strings.ReplaceAll(level, ".", "%2E")
		}
	}
	return strings.Join(levels, "/")
}
