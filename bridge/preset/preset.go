// Package preset is recipes for clouds that people really connect to: each knows how one of them wants
// to be logged in to over MQTT 3.1.1, where it looks for messages and in which form. It hides client
// ids with fields in them, signed passwords that expire, and the session that Sparkplug B keeps.
package preset

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/bridge/mqtt"
)

// Kind makes uplinks to one cloud from a configuration.
type Kind struct {
	fresh func() recipe
	log   *slog.Logger
}

// recipe is what the options of one cloud know.
type recipe interface {
	// Validate reports every mistake that can be seen without a network or a file.
	Validate(report func(path, problem string))
	// Endpoint is where the cloud listens.
	Endpoint() string
	// Route says where messages go and in which form, unless a route says otherwise.
	Route() (to, format string)
	// expand gives the MQTT uplink that is meant.
	expand(gateway string) plan
}

// plan is an MQTT uplink, with what its options cannot say.
type plan struct {
	options mqtt.Options
	// session makes the login of one connection; nil: the options have it.
	session func(now time.Time) (mqtt.Session, error)
}

// Options gives the defaults that the configuration is decoded into.
func (k Kind) Options() any { return k.fresh() }

// Open makes an uplink from what Options gave and the configuration filled in.
func (k Kind) Open(gateway string, options any) (bridge.Uplink, error) {
	r, ok := options.(recipe)
	if !ok {
		panic(fmt.Sprintf("bug: options of type %T given to a preset", options))
	}
	var problem error
	r.Validate(func(path, text string) {
		if problem == nil {
			problem = fmt.Errorf("%s %s", path, text)
		}
	})
	if problem != nil {
		return nil, problem
	}
	if s, ok := r.(*Sparkplug); ok {
		return s.open(gateway, k.log)
	}
	return r.expand(gateway).open(gateway, k.log)
}

func (p plan) open(gateway string, log *slog.Logger) (*mqtt.Uplink, error) {
	u, err := mqtt.New(p.options, gateway, log)
	if err != nil {
		return nil, err
	}
	if p.session != nil {
		u.Session = func(context.Context) (mqtt.Session, error) { return p.session(time.Now()) }
	}
	return u, nil
}

// Line is what every recipe lets people say about the connection.
type Line struct {
	dial.Options `yaml:",inline"`
	KeepAlive    time.Duration `yaml:"keep_alive" doc:"how long the line may be silent before it is tested"`
	TestTopic    string        `yaml:"test_topic" doc:"where a test of the uplink publishes its message; default: a topic that the cloud allows"`
}

func defaultLine() Line { return Line{Options: dial.Default(), KeepAlive: time.Minute} }

// mqtt gives the options of an uplink over this line.
func (l *Line) mqtt(address, clientID, testTopic string) mqtt.Options {
	if l.TestTopic != "" {
		testTopic = l.TestTopic
	}
	return mqtt.Options{Address: address, ClientID: clientID, Options: l.Options, KeepAlive: l.KeepAlive, TestTopic: testTopic}
}

// secureFirst fills in what people leave out of an address: TLS, and its port there.
func secureFirst(address, port string) string {
	if address == "" {
		return ""
	}
	if !strings.Contains(address, "://") {
		address = "ssl://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "ssl" || u.Host == "" || u.Port() != "" {
		return address // what is wrong with it is told later
	}
	u.Host += ":" + port
	return u.String()
}

// hostPort gives the two parts of an address; nothing where it is none.
func hostPort(address string) (host, port string) {
	u, err := url.Parse(address)
	if err != nil {
		return "", ""
	}
	return u.Hostname(), u.Port()
}

// check reports what is wrong with the MQTT uplink that a recipe makes.
func check(r recipe, report func(path, problem string)) {
	p := r.expand("gateway")
	p.options.Validate(report)
}

// checkLevel reports a name that cannot be one level of a topic, or is too long for the cloud.
func checkLevel(path, name string, longest int, report func(path, problem string)) {
	switch {
	case name == "":
		report(path, "is missing")
	case strings.ContainsAny(name, "/+#{}\x00"):
		report(path, fmt.Sprintf("%q has one of / + # { }, which cannot stand in the cloud's topics", name))
	case len(name) > longest:
		report(path, fmt.Sprintf("has %d bytes; the cloud knows at most %d", len(name), longest))
	}
}

// checkKeepAlive reports one that the cloud does not accept.
func checkKeepAlive(given time.Duration, report func(path, problem string)) {
	if given < 30*time.Second || given > 1200*time.Second {
		report("keep_alive", fmt.Sprintf("is %s; this cloud takes 30s to 20m", given))
	}
}

// onlySecure reports an address without TLS.
func onlySecure(address string, report func(path, problem string)) {
	if strings.HasPrefix(address, "tcp://") || strings.HasPrefix(address, "ws://") {
		report("address", "is not secured; this cloud wants TLS: write the host name alone, or ssl:// in front of it")
	}
}
