package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// Error says in plain words what is wrong and what may help.
type Error struct {
	Text  string // for somebody at the gateway's page
	Hint  string // what may help; may be empty
	Cause error  // the technical reason; may be nil
}

// Error gives the words, the hint and the technical reason.
func (e *Error) Error() string {
	text := e.Text
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	if e.Cause != nil {
		text += " (" + e.Cause.Error() + ")"
	}
	return text
}

// Unwrap gives the technical reason.
func (e *Error) Unwrap() error { return e.Cause }

// Explain puts what somebody at the gateway's page can act on in front of an error of a connection,
// once. An error that it does not know stays as it is.
func Explain(err error) error {
	if _, done := errors.AsType[*Error](err); done || err == nil {
		return err
	}
	if explained := explainCertificate(err, time.Now()); explained != nil {
		return explained
	}
	said := func(text, hint string) error { return &Error{Text: text, Hint: hint, Cause: err} }
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return said("the name "+dns.Name+" cannot be found", "is it spelt right, and is the gateway's name server right?")
		}
		return said("the name "+dns.Name+" cannot be found now", "is the line up, and is the gateway's name server right?")
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return said("the cloud does not speak TLS there", "is the port right?")
	}
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		return explainAlert(remote, err)
	}
	for _, known := range systemErrors {
		if errors.Is(err, known.err) {
			return said(known.text, known.hint)
		}
	}
	if strings.Contains(err.Error(), "server selected unsupported protocol version") {
		return said("the cloud speaks only a TLS that is older than tls.min_version allows", "")
	}
	return err
}

// systemErrors are tried in their order.
var systemErrors = []struct {
	err        error
	text, hint string
}{
	{syscall.ECONNREFUSED, "nobody listens there", "is the port right, and is the server running?"},
	{syscall.ENETUNREACH, "there is no way to it", "is a network cable in, and is there a route?"},
	{syscall.EHOSTUNREACH, "there is no way to it", "is it switched on, and is the address right?"},
	{syscall.ENETDOWN, "there is no way to it", "the network is down"},
	{syscall.EACCES, "the gateway's own firewall does not let it out", ""},
	{syscall.EPERM, "the gateway's own firewall does not let it out", ""},
	{syscall.ENODEV, "the network interface is gone", "is the modem still there?"},
	{syscall.EADDRNOTAVAIL, "the network interface has no address for it", "is the modem connected?"},
	{syscall.ETIMEDOUT, "the line is dead: nothing has come back for too long", ""},
	{syscall.ECONNRESET, "the cloud has broken the connection", ""},
	{syscall.EPIPE, "the cloud has broken the connection", ""},
	{io.EOF, "the cloud has closed the connection", ""},
	{io.ErrUnexpectedEOF, "the cloud has closed the connection", ""},
	{context.DeadlineExceeded, "no answer in time", ""},
}

// explainCertificate tells what is wrong with a certificate by what stands in it. It gives nil for
// other errors.
func explainCertificate(err error, now time.Time) error {
	clock := "the gateway's clock says " + now.UTC().Format("2006-01-02 15:04") + " UTC: is it right?"
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		by := ""
		if c := unknown.Cert; c != nil {
			by = ", but by " + issuerOf(c)
			if c.Issuer.String() == c.Subject.String() {
				by = ", but by itself"
			}
		}
		return &Error{Text: "the cloud's certificate is not signed by a known authority" + by, Hint: "see tls.ca", Cause: unknown}
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return &Error{Text: fmt.Sprintf("the cloud's certificate is for another name: for %s, not for %s", namesOf(wrong.Certificate), wrong.Host),
			Hint: "see tls.server_name", Cause: wrong}
	}
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok {
		return nil
	}
	whose := "the cloud's certificate"
	if invalid.Cert != nil && invalid.Cert.IsCA {
		whose = "the certificate of the authority " + issuedTo(invalid.Cert)
	}
	switch {
	case invalid.Reason == x509.Expired && invalid.Cert != nil && now.Before(invalid.Cert.NotBefore):
		return &Error{Text: whose + " is not valid before " + day(invalid.Cert.NotBefore), Hint: clock, Cause: invalid}
	case invalid.Reason == x509.Expired && invalid.Cert != nil:
		return &Error{Text: whose + " has expired on " + day(invalid.Cert.NotAfter), Hint: clock, Cause: invalid}
	}
	return &Error{Text: whose + " is not valid", Cause: invalid}
}

// alertHints say what a cloud that ends the handshake may mean. crypto/tls has no values for them.
var alertHints = []struct{ alert, text, hint string }{
	{"certificate required", ": it wants a certificate of ours from an authority that it knows", "see tls.cert"},
	{"expired certificate", ": our certificate has expired", "see tls.cert"},
	{"unknown certificate authority", ": it does not know who signed our certificate", "see tls.cert"},
	{"revoked certificate", ": our certificate was revoked", "see tls.cert"},
	{"no application protocol", ": it does not offer the protocol", "see tls.alpn"},
	{"protocol version not supported", ": it speaks another version", "see tls.min_version"},
	{"unrecognized name", ": it does not know the name", "see tls.server_name"},
	{"handshake failure", "", "it may want a certificate of ours (tls.cert), or other ciphers"},
	{"certificate", "", "see tls.cert"},
}

func explainAlert(remote *net.OpError, err error) error {
	for _, known := range alertHints {
		if strings.Contains(remote.Err.Error(), known.alert) {
			return &Error{Text: "the cloud refuses the TLS connection" + known.text, Hint: known.hint, Cause: err}
		}
	}
	return &Error{Text: "the cloud refuses the TLS connection", Cause: err}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// namesOf are the names that a certificate is good for, as many as can be read.
func namesOf(c *x509.Certificate) string {
	const most = 4
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "no name at all"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

func issuerOf(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return c.Issuer.CommonName
	}
	return c.Issuer.String()
}

func issuedTo(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	return c.Subject.String()
}
