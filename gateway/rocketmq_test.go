package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/remoting"
	"sluice/web"
)

// agree is a name server that says yes to everybody, over TLS.
func agree(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil
		}
		for in := bufio.NewReader(conn); ; {
			var request remoting.Command
			if remoting.Read(in, remoting.MaxFrame, &request) != nil {
				break
			}
			answer, err := (&remoting.Command{Opaque: request.Opaque, Flag: remoting.FlagResponse}).Append(nil)
			if err != nil {
				return err
			}
			if _, err := conn.Write(answer); err != nil {
				break
			}
		}
		conn.Close()
	}
}

func TestNameServersAreShown(t *testing.T) {
	dir := t.TempDir()
	own := httptest.NewTLSServer(nil) // for its certificate
	defer own.Close()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: own.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) error { return agree(ctx, l) })
	dead, listen := freePort(t), freePort(t)
	text := fmt.Sprintf("gateway: {name: line-3}\nstore: {dir: data}\nweb: {listen: \"\"}\nrocketmq:\n  listen: %q\n  nameserver: \"\"\n  cluster: {name_servers: [%q, %q], tls: {ca: %q}}\n",
		listen, l.Addr(), dead, ca)
	g := newGateway(t, parse(t, dir, text))
	start(t, g.Run)
	var shown []web.NameServer
	until(t, "one name server has the gateway, the other is away", func() bool {
		shown = g.Status().RocketMQ.NameServers
		return len(shown) == 2 && shown[0].State == "registered" && shown[1].State == "unreachable"
	})
	if at := shown[0]; at.Address != l.Addr().String() || at.Broker != listen || at.Error != "" || at.Since.IsZero() {
		t.Errorf("the registration is shown as %+v", at)
	}
	if at := shown[1]; at.Address != dead || !strings.Contains(at.Error, "refused") {
		t.Errorf("the one that is away is shown as %+v", at)
	}
}
