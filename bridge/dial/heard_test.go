package dial

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A cloud that does not let us in says so and breaks the connection before we have written anything: what it said is
// what counts, not that our login could not be written.
func TestAnAlertCountsMoreThanABrokenConnection(t *testing.T) {
	a := newAuthority(t, "works authority", time.Now().Add(time.Hour))
	pair := a.issue(t, "server", nil)
	for _, c := range []struct {
		name  string
		alert bool
		write int
		want  string
	}{
		{"an alert", true, 20, "refuses the TLS connection: it wants a certificate of ours"},
		{"an alert, and a large login", true, 200 << 10, "refuses the TLS connection: it wants a certificate of ours"},
		{"not a word", false, 20, "the cloud has "},
		{"not a word, and more than may go nowhere", false, 2 * unsent, "the cloud has broken the connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := make(chan struct{})
			address := serve(t, func(conn net.Conn) {
				defer close(broken)
				config := &tls.Config{Certificates: []tls.Certificate{pair}, SessionTicketsDisabled: true}
				if c.alert {
					config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, a.pool()
				}
				err := tls.Server(conn, config).Handshake()
				if (err != nil) != c.alert {
					t.Errorf("the handshake ends with %v", err)
				}
				conn.(*net.TCPConn).SetLinger(0) // a reset, as for what nobody has read
				conn.Close()
			})
			o := Default()
			o.TLS = TLS{CA: a.file("ca.crt"), ServerName: "cloud.example"}
			conn, err := o.DialTLS(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			<-broken
			if _, err = conn.Write(make([]byte, c.write)); err == nil {
				conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				_, err = io.ReadAll(conn)
			}
			if err == nil {
				err = io.EOF // ReadAll's way
			}
			if got := Explain(err).Error(); !strings.Contains(got, c.want) {
				t.Errorf("it ends with %q, want %q", got, c.want)
			}
			if _, err := conn.Write([]byte("more")); err == nil && !c.alert { // behind an alert nobody reads on
				t.Error("writing goes on when the reader knows that it is over")
			}
		})
	}
}
