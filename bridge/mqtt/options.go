// Package mqtt is the uplink to an MQTT 3.1.1 broker. It hides paho: its logs, its tokens, which may
// say "done" of a message that nobody has, its panics on foreign bytes and its blocking writes.
package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options are the uplink's part of the configuration.
type Options struct {
	Address        string        `yaml:"address" required:"true" doc:"where the broker listens: tcp://host:port, ssl://host:port, ws://host:port/path or wss://host:port/path"`
	ClientID       string        `yaml:"client_id" doc:"how the gateway calls itself there; default: the gateway's name"`
	Username       string        `yaml:"username" doc:"user name, if the broker wants one"`
	PasswordFile   string        `yaml:"password_file" path:"secret" doc:"file that holds the password; read at every connection"`
	TLS            TLS           `yaml:"tls" doc:"certificates, for ssl:// and wss://"`
	KeepAlive      time.Duration `yaml:"keep_alive" doc:"how long the line may be silent before it is tested"`
	ConnectTimeout time.Duration `yaml:"connect_timeout" doc:"how long one connection attempt may take, login included"`
}

// TLS names the files of a secured connection.
type TLS struct {
	CA         string `yaml:"ca" path:"true" doc:"file with the certificates that the broker's is checked against; default: those of the system"`
	Cert       string `yaml:"cert" path:"true" doc:"file with our own certificate, if the broker wants one"`
	Key        string `yaml:"key" path:"secret" doc:"file with the private key of cert"`
	ServerName string `yaml:"server_name" doc:"name that the broker's certificate must bear; default: the host in address"`
}

// DefaultOptions is what a configuration begins with.
func DefaultOptions() Options {
	return Options{KeepAlive: 30 * time.Second, ConnectTimeout: 10 * time.Second}
}

// Validate reports every mistake that can be seen without a network or a file.
func (o *Options) Validate(report func(path, problem string)) {
	u, err := o.url()
	if err != nil {
		report("address", err.Error())
	} else if o.TLS != (TLS{}) && !secure(u) {
		report("tls", "is of no use with "+u.Scheme+"://: write ssl:// or wss://")
	}
	if strings.ContainsRune(o.ClientID, 0) || len(o.ClientID) > 65535 {
		report("client_id", "cannot be sent: it is too long or has a U+0000")
	}
	if o.PasswordFile != "" && o.Username == "" {
		report("password_file", "needs a username: MQTT 3.1.1 has no password without one") // [MQTT-3.1.2-22]
	}
	if (o.TLS.Cert == "") != (o.TLS.Key == "") {
		report("tls", "cert and key belong together")
	}
	if o.KeepAlive < time.Second || o.KeepAlive > 65535*time.Second {
		report("keep_alive", fmt.Sprintf("is %s; from 1s to 65535s is possible", o.KeepAlive))
	} else if o.KeepAlive%time.Second != 0 {
		report("keep_alive", fmt.Sprintf("is %s; MQTT counts whole seconds", o.KeepAlive))
	}
	if o.ConnectTimeout <= 0 {
		report("connect_timeout", fmt.Sprintf("is %s; it must be longer than 0s", o.ConnectTimeout))
	}
}

func (o *Options) url() (*url.URL, error) {
	if o.Address == "" {
		return nil, errors.New("is missing: write tcp://host:port")
	}
	u, err := url.Parse(o.Address)
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

func secure(u *url.URL) bool { return u.Scheme == "ssl" || u.Scheme == "wss" }

// password reads the secret anew for every connection, so that it can be changed without a restart.
func (o *Options) password() (string, error) {
	if o.PasswordFile == "" {
		return "", nil
	}
	secret, err := os.ReadFile(o.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	return strings.TrimRight(string(secret), "\r\n"), nil
}

// tlsConfig reads the files anew for every connection: certificates are replaced before they expire.
func (o *Options) tlsConfig(host string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if o.TLS.ServerName != "" {
		config.ServerName = o.TLS.ServerName
	}
	if o.TLS.CA != "" {
		pem, err := os.ReadFile(o.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("cannot read tls.ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: there is no certificate in %s", o.TLS.CA)
		}
	}
	if o.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.TLS.Cert, o.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot use tls.cert and tls.key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
