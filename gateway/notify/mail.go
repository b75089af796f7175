package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"sluice/gateway/config"
)

// sendTime bounds one sending, whatever the server does.
const sendTime = 30 * time.Second

// mailer sends letters by a mail server. Each has a connection of its own: alarms are rare.
type mailer struct {
	config.NotifyEmail
}

func (m mailer) send(ctx context.Context, l *Letter) error {
	letter := mail.NewMsg()
	if err := errors.Join(letter.From(m.From), letter.To(m.To...)); err != nil {
		return fmt.Errorf("write the mail: %w", err)
	}
	letter.Subject(l.Subject)
	letter.SetDateWithValue(time.UnixMilli(l.Time))
	letter.SetMessageIDWithValue(l.ID + "@" + hostOf(m.From))
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // no vacation notices back [RFC 3834]
	letter.SetBodyString(mail.TypeTextPlain, l.Text)
	client, err := m.client()
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, sendTime)
	defer stop()
	if err := client.DialAndSendWithContext(ctx, letter); err != nil {
		return fmt.Errorf("send the mail by %s: %w", m.Server, plainMail(err))
	}
	return nil
}

func (m mailer) client() (*mail.Client, error) {
	host, port, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, fmt.Errorf("the mail server's address: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("the mail server's port: %w", err)
	}
	settings, err := tlsOf(host, m.CA)
	if err != nil {
		return nil, err
	}
	options := []mail.Option{mail.WithPort(number), mail.WithTimeout(sendTime / 2), mail.WithTLSConfig(settings), mail.WithoutNoop()}
	switch m.TLS {
	case "tls":
		options = append(options, mail.WithSSL())
	case "none":
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.Username != "" {
		password, err := config.ReadSecret(m.PasswordFile)
		if err != nil {
			return nil, err
		}
		kind := mail.SMTPAuthAutoDiscover
		if m.TLS == "none" {
			kind = mail.SMTPAuthPlainNoEnc
		}
		options = append(options, mail.WithSMTPAuth(kind), mail.WithUsername(m.Username), mail.WithPassword(string(password)))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare the mail: %w", err)
	}
	return client, nil
}

// plainMail keeps of a failure what the server said.
func plainMail(err error) error {
	if refused, ok := errors.AsType[*mail.SendError](err); ok && !refused.IsTemp() {
		return fmt.Errorf("the server refuses it for good: %w", err)
	}
	return err
}

func hostOf(address string) string {
	_, host, found := strings.Cut(strings.TrimRight(address, "> "), "@")
	if !found {
		return "localhost"
	}
	return host
}

// tlsOf checks a server's certificate against a file of authorities, or those of the system.
func tlsOf(host, ca string) (*tls.Config, error) {
	settings := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if ca == "" {
		return settings, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	settings.RootCAs = x509.NewCertPool()
	if !settings.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", ca)
	}
	return settings, nil
}
