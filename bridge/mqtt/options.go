// Package mqtt is the uplink to an MQTT 3.1.1 broker. It hides paho: its logs, its tokens, which may
// say "done" of a message that nobody has, its panics on foreign bytes and its blocking writes.
package mqtt

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
	KeepAlive    time.Duration `yaml:"keep_alive" doc:"how long the line may be silent before it is tested"`
	TestTopic    string        `yaml:"test_topic" doc:"where a test of the uplink publishes its message; default: sluice/test/ and the gateway's name"`
}

// DefaultOptions is what a configuration begins with.
func DefaultOptions() Options {
	return Options{Options: dial.Default(), KeepAlive: 30 * time.Second}
}

// Validate reports every mistake that can be seen without a network or a file.
func (o *Options) Validate(report func(path, problem string)) {
	secured := o.validateAddress("address", o.Address, report)
	for i, address := range o.Addresses {
		if o.validateAddress(fmt.Sprintf("addresses[%d]", i), address, report) {
			secured = true
		}
	}
	if o.TLS.Given() && !secured {
		report("tls", "is of no use without ssl:// or wss:// in address")
	}
	o.Options.Validate(report)
	if strings.ContainsRune(o.ClientID, 0) || len(o.ClientID) > 65535 {
		report("client_id", "cannot be sent: it is too long or has a U+0000")
	}
	if o.PasswordFile != "" && o.Username == "" {
		report("password_file", "needs a username: MQTT 3.1.1 has no password without one") // [MQTT-3.1.2-22]
	}
	if o.KeepAlive < time.Second || o.KeepAlive > 65535*time.Second {
		report("keep_alive", fmt.Sprintf("is %s; from 1s to 65535s is possible", o.KeepAlive))
	} else if o.KeepAlive%time.Second != 0 {
		report("keep_alive", fmt.Sprintf("is %s; MQTT counts whole seconds", o.KeepAlive))
	}
	if o.TestTopic != "" {
		if err := message.CheckTopic(o.TestTopic); err != nil {
			report("test_topic", err.Error())
		}
	}
}

// validateAddress says whether the address is one of a secured connection. Nothing is said about
// certificates where the address is wrong: it may be meant to be one.
func (o *Options) validateAddress(path, address string, report func(path, problem string)) (secured bool) {
	u, err := mqttline.ParseAddress(address)
	if err != nil {
		report(path, err.Error())
		return true
	}
	return mqttline.Secure(u)
}

// addresses gives all addresses in the order in which they are tried.
func (o *Options) addresses() ([]*url.URL, error) {
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
