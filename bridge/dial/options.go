// Package dial opens the connections of every uplink: it resolves names, binds to a network interface,
// goes through a proxy, secures with TLS, and says in plain words which of these steps failed and what
// may help. It hides SOCKS5, HTTP CONNECT, socket options and the texts of crypto/tls and net.
package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	defaultConnectTimeout = 10 * time.Second
	defaultNameTimeout    = 5 * time.Second
	longestALPN           = 255 // bytes of one name, RFC 7301 section 3.1
	longestInterface      = 15  // bytes of a name: IFNAMSIZ without its NUL
)

// Options are how a connection is opened, whatever is spoken on it. An uplink's options embed them
// with yaml:",inline"; where to is the uplink's own.
type Options struct {
	TLS            TLS           `yaml:"tls" doc:"certificates of a secured connection"`
	Proxy          Proxy         `yaml:"proxy" doc:"a proxy that the connection goes through"`
	Interface      string        `yaml:"interface" doc:"network interface that the connection leaves by, such as eth0 or wwan0; default: as the system routes"`
	NameTimeout    time.Duration `yaml:"name_timeout" doc:"how long the name server may take"`
	ConnectTimeout time.Duration `yaml:"connect_timeout" doc:"how long one connection attempt may take, login included"`
}

// TLS says what a secured connection must show, and what we show.
type TLS struct {
	CA         string   `yaml:"ca" path:"true" doc:"file with the certificates that the cloud's is checked against; default: those of the system"`
	Cert       string   `yaml:"cert" path:"true" doc:"file with our own certificate, if the cloud wants one"`
	Key        string   `yaml:"key" path:"secret" doc:"file with the private key of cert"`
	ServerName string   `yaml:"server_name" doc:"name that the cloud's certificate must bear; default: the host in address"`
	MinVersion string   `yaml:"min_version" enum:"1.2,1.3" doc:"oldest version of TLS that is good enough; default: 1.2"`
	ALPN       []string `yaml:"alpn" doc:"protocols to offer in the handshake (ALPN), for clouds that tell services on one port apart by them"`
}

// Proxy is a proxy on the way.
type Proxy struct {
	Address      string `yaml:"address" doc:"socks5://host:port, or http://host:port for HTTP CONNECT; names are left to the proxy to resolve"`
	Username     string `yaml:"username" doc:"user name, if the proxy wants one"`
	PasswordFile string `yaml:"password_file" path:"secret" doc:"file that holds the password; read at every connection"`
}

// Default gives what a configuration begins with.
func Default() Options {
	return Options{NameTimeout: defaultNameTimeout, ConnectTimeout: defaultConnectTimeout}
}

// Validate reports every mistake that can be seen without a network or a file.
func (o *Options) Validate(report func(path, problem string)) {
	o.TLS.validate(report)
	if _, err := o.Proxy.url(); err != nil {
		report("proxy.address", err.Error())
	} else if o.Proxy.Address == "" && (o.Proxy.Username != "" || o.Proxy.PasswordFile != "") {
		report("proxy.address", "is missing: username and password_file alone are of no use")
	}
	if o.Proxy.PasswordFile != "" && o.Proxy.Username == "" {
		report("proxy.password_file", "needs a username")
	}
	if len(o.Proxy.Username) > longestSOCKSField {
		report("proxy.username", fmt.Sprintf("has %d bytes; at most %d can be sent", len(o.Proxy.Username), longestSOCKSField))
	} else if strings.ContainsAny(o.Proxy.Username, ":\r\n") {
		report("proxy.username", "has a colon or a line break, which cannot be sent")
	}
	if len(o.Interface) > longestInterface || strings.ContainsAny(o.Interface, "/ \t\n\x00") {
		report("interface", fmt.Sprintf("is %q, which cannot be the name of a network interface", o.Interface))
	}
	if o.NameTimeout < 0 {
		report("name_timeout", fmt.Sprintf("is %s; it must be longer than 0s", o.NameTimeout))
	}
	if o.ConnectTimeout <= 0 {
		report("connect_timeout", fmt.Sprintf("is %s; it must be longer than 0s", o.ConnectTimeout))
	}
}

func (t *TLS) validate(report func(path, problem string)) {
	if (t.Cert == "") != (t.Key == "") {
		report("tls", "cert and key belong together")
	}
	if t.MinVersion != "" && t.MinVersion != "1.2" && t.MinVersion != "1.3" {
		report("tls.min_version", fmt.Sprintf("is %q; write 1.2 or 1.3", t.MinVersion))
	}
	for _, name := range t.ALPN {
		if name == "" || len(name) > longestALPN {
			report("tls.alpn", fmt.Sprintf("%q cannot be offered: a name has 1 to %d bytes", name, longestALPN))
		}
	}
}

// Given says whether anything is configured, so that an uplink can complain about certificates for
// an address that is not secured.
func (t *TLS) Given() bool {
	return t.CA != "" || t.Cert != "" || t.Key != "" || t.ServerName != "" || t.MinVersion != "" || len(t.ALPN) > 0
}

// Config makes what crypto/tls wants for a connection to host. It reads the files anew for every
// connection: certificates are replaced before they expire.
func (t *TLS) Config(host string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, NextProtos: t.ALPN}
	if t.MinVersion == "1.3" {
		config.MinVersion = tls.VersionTLS13
	}
	if t.ServerName != "" {
		config.ServerName = t.ServerName
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("cannot read tls.ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: there is no certificate in %s", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot use tls.cert and tls.key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// url gives nil when there is no proxy.
func (p *Proxy) url() (*url.URL, error) {
	if p.Address == "" {
		return nil, nil
	}
	u, err := url.Parse(p.Address)
	if err != nil {
		// The error of url.Parse quotes the address, and with it a password that somebody put there.
		return nil, errors.New("is no address; write socks5://host:port or http://host:port")
	}
	switch {
	case u.Scheme != "socks5" && u.Scheme != "http":
		return nil, fmt.Errorf("begins with %q; write socks5:// or http://", u.Scheme)
	case u.User != nil:
		return nil, errors.New("has a user in it: that belongs in username and password_file")
	case u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("has a path (%s), which a proxy has not", u.Path)
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"socks5": "1080", "http": "3128"}[u.Scheme])
	}
	return u, nil
}

func (p *Proxy) password() (string, error) {
	password, err := Secret(p.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("cannot read proxy.password_file: %w", err)
	}
	return password, nil
}

// Secret gives what stands in a file without the line break at its end; nothing when file is empty.
// It is read anew for every connection, so that it can be changed without a restart.
func Secret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	secret, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(secret), "\r\n"), nil
}
