package syslog

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/gateway/journal"
)

// TestRsyslogReadsEveryWay sends to Debian's rsyslog over UDP, TCP and TLS and compares every field that it
// read with what was meant.
func TestRsyslogReadsEveryWay(t *testing.T) {
	server, ca := startRsyslog(t)
	j := journal.New()
	for way, address := range server.addresses {
		begin(t, Options{Address: address, Source: j, CA: ca})
		t.Log(way, address)
	}
	slog.New(j.Handler(slog.DiscardHandler)).With("part", "modbus").Warn("从站无响应 \"no\nanswer\"", "device", "press 3", "after", "2s")
	for way := range server.addresses {
		until(t, "rsyslog has it over "+way, func() bool { return strings.Contains(server.read(way), "\n") })
		// Facility local0, severity warning. rsyslog writes what is no text, as the break of the line, its own way.
		want := fmt.Sprintf(`local0|warning|line-3|sluice|%d|modbus|[meta sequenceId="1"][origin software="sluice" swVersion="1.0"]|`, os.Getpid())
		got := server.read(way)
		rest, begins := strings.CutPrefix(strings.TrimSpace(got), want)
		if !begins || strings.Count(got, "\n") != 1 || !strings.Contains(rest, "从站无响应") || !strings.Contains(rest, `device="press 3" after=2s`) {
			t.Errorf("over %s rsyslog read\n%s\nit should begin with\n%s", way, got, want)
		}
	}
}

type rsyslog struct {
	dir       string
	addresses map[string]string // by way
}

func (r *rsyslog) read(way string) string {
	text, _ := os.ReadFile(filepath.Join(r.dir, way+".log")) // not there: nothing came yet
	return string(text)
}

func startRsyslog(t *testing.T) (*rsyslog, string) {
	t.Helper()
	program, err := exec.LookPath("/usr/sbin/rsyslogd")
	if err != nil {
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatal("rsyslogd is missing; .ci/peers installs it")
		}
		t.Skip("rsyslogd is not here (apt-get install rsyslog rsyslog-gnutls)")
	}
	certificate, ca := selfSigned(t)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	r := &rsyslog{dir: t.TempDir(), addresses: map[string]string{}}
	keyFile := filepath.Join(r.dir, "key.pem")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		t.Fatal(err)
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "global(workDirectory=%q defaultNetstreamDriverCAFile=%q defaultNetstreamDriverCertFile=%q defaultNetstreamDriverKeyFile=%q)\n", r.dir, ca, ca, keyFile)
	conf.WriteString("module(load=\"imudp\")\nmodule(load=\"imptcp\")\nmodule(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n")
	conf.WriteString(`template(name="fields" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%hostname%|%app-name%|%procid%|%msgid%|%structured-data%|%msg%\n")` + "\n")
	for way, input := range map[string]string{"udp": "imudp", "tcp": "imptcp", "tls": "imtcp"} {
		port := freePort(t, way)
		r.addresses[way] = fmt.Sprintf("%s://localhost:%s", way, port)
		fmt.Fprintf(&conf, "ruleset(name=%q) { action(type=\"omfile\" file=%q template=\"fields\") }\ninput(type=%q port=%q address=\"127.0.0.1\" ruleset=%q)\n",
			way, filepath.Join(r.dir, way+".log"), input, port, way)
	}
	file := filepath.Join(r.dir, "rsyslog.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(r.dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-n", "-f", file, "-i", filepath.Join(r.dir, "pid"))
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		said.Close()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("rsyslogd said: %s", text)
		}
	})
	for _, way := range []string{"tcp", "tls"} {
		_, address, err := ParseAddress(r.addresses[way])
		if err != nil {
			t.Fatal(err)
		}
		until(t, "rsyslogd listens", func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
	return r, ca
}

func freePort(t *testing.T, way string) string {
	t.Helper()
	if way == "udp" {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
		return port
	}
	listener := listen(t, "127.0.0.1:0")
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}
