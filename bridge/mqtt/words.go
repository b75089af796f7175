package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// loginError is a CONNACK that says no.
type loginError struct{ code byte }

func (e *loginError) Error() string {
	switch e.code {
	case packets.ErrRefusedBadProtocolVersion:
		return "the cloud does not speak MQTT 3.1.1"
	case packets.ErrRefusedIDRejected:
		return "the cloud does not accept the client id"
	case packets.ErrRefusedServerUnavailable:
		return "the cloud is there, but not ready"
	case packets.ErrRefusedBadUsernameOrPassword:
		return "the cloud does not accept the user name or password"
	case packets.ErrRefusedNotAuthorised:
		return "the cloud does not let this gateway in (not authorised)"
	}
	return fmt.Sprintf("the cloud refuses the login with code %d", e.code)
}

// plain is an error that has been put in plain words already.
type plain struct {
	text  string
	cause error
}

func (p *plain) Error() string { return p.text + " (" + p.cause.Error() + ")" }
func (p *plain) Unwrap() error { return p.cause }

// plainWords puts what somebody at the gateway's page can act on in front of an error, once.
func plainWords(err error) error {
	if _, done := errors.AsType[*plain](err); done {
		return err
	}
	said := func(text string) error { return &plain{text, err} }
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return said("the name " + dns.Name + " cannot be found")
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return &plain{"the cloud's certificate is not signed by a known authority: see tls.ca", unknown}
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return &plain{"the cloud's certificate is for another name: see tls.server_name", wrong}
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return &plain{"the cloud's certificate is not valid", invalid}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return said("the cloud does not speak TLS there")
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return said("nobody listens there")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return said("there is no way to it")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return said("the line takes no more bytes")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return said("the cloud has broken the connection")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return said("the cloud has closed the connection")
	case strings.HasPrefix(err.Error(), "remote error: tls:"):
		return said("the cloud refuses the TLS connection: see tls.cert")
	}
	return err
}
