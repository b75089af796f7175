// Package mqtt5 is the uplink to an MQTT 5 broker. It hides paho.golang: its session state, which
// copies what the log holds already, its Publish, which waits for the PUBACK, and its trust in foreign
// bytes. And it keeps the order of messages with a broker that may refuse one of them.
package mqtt5

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sluice/bridge/dial"
	"sluice/bridge/mqttline"
	"sluice/gateway/message"
)

// Options are the uplink's part of the configuration.
type Options struct {
	Address      string   `yaml:"address" required:"true" doc:"where the broker listens: tcp://host:port, ssl://host:port, ws://host:port/path or wss://host:port/path"`
	Addresses    []string `yaml:"addresses" doc:"further addresses of the same cloud in the same form, each tried in turn when the one before does not work"`
	ClientID     string   `yaml:"client_id" doc:"how the gateway calls itself there; default: the gateway's name"`
	Username     string   `yaml:"username" doc:"user name, if the broker wants one"`
	PasswordFile string   `yaml:"password_file" path:"secret" doc:"file that holds the password; read at every connection"`
	dial.Options `yaml:",inline"`
	KeepAlive    time.Duration `yaml:"keep_alive" doc:"how long the line may be silent before it is tested, unless the broker says otherwise"`
	PerTopic     int           `yaml:"in_flight_per_topic" min:"1" max:"65535" doc:"how many messages of one topic may be under way at once; with more than 1 a long line brings more, but a message that the broker refuses at first and takes later arrives behind newer ones"`
	TestTopic    string        `yaml:"test_topic" doc:"where a test of the uplink publishes its message; default: sluice/test/ and the gateway's name"`
}

// DefaultOptions is what a configuration begins with.
func DefaultOptions() Options {
	return Options{Options: dial.Default(), KeepAlive: 30 * time.Second, PerTopic: 1}
}

// Validate reports every mistake that can be seen without a network or a file.
func (o *Options) Validate(report func(path, problem string)) {
	secured := validateAddress("address", o.Address, report)
	for i, address := range o.Addresses {
		if validateAddress(fmt.Sprintf("addresses[%d]", i), address, report) {
			secured = true
		}
	}
	if o.TLS.Given() && !secured {
		report("tls", "is of no use without ssl:// or wss:// in address")
	}
	o.Options.Validate(report)
	for _, field := range []struct{ path, text string }{{"client_id", o.ClientID}, {"username", o.Username}} {
		if problem := unsendable(field.text); problem != "" {
			report(field.path, "cannot be sent: it "+problem)
		}
	}
	if o.KeepAlive < time.Second || o.KeepAlive > 65535*time.Second {
		report("keep_alive", fmt.Sprintf("is %s; from 1s to 65535s is possible", o.KeepAlive))
	} else if o.KeepAlive%time.Second != 0 {
		report("keep_alive", fmt.Sprintf("is %s; MQTT counts whole seconds", o.KeepAlive))
	}
	if o.PerTopic < 1 || o.PerTopic > 65535 {
		report("in_flight_per_topic", fmt.Sprintf("is %d; from 1 to 65535 is possible", o.PerTopic))
	}
	if o.TestTopic != "" {
		if err := message.CheckTopic(o.TestTopic); err != nil {
			report("test_topic", err.Error())
		}
	}
}

// validateAddress says whether the address is one of a secured connection. Nothing is said about
// certificates where the address is wrong: it may be meant to be one.
func validateAddress(path, address string, report func(path, problem string)) (secured bool) {
	u, err := mqttline.ParseAddress(address)
	if err != nil {
		report(path, err.Error())
		return true
	}
	return mqttline.Secure(u)
}

// urls gives all addresses in the order in which they are tried.
func (o *Options) urls() ([]*url.URL, error) {
	var all []*url.URL
	for _, address := range append([]string{o.Address}, o.Addresses...) {
		u, err := mqttline.ParseAddress(address)
		if err != nil {
			return nil, fmt.Errorf("the address %w", err)
		}
		all = append(all, u)
	}
	return all, nil
}

// Endpoint is where the broker listens.
func (o *Options) Endpoint() string {
	return strings.Join(append([]string{o.Address}, o.Addresses...), ", ")
}
