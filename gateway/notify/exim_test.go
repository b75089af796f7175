package notify

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/gateway/config"
)

// TestEximTakesAndRefuses sends to Debian's exim over each kind of connection and reads what it delivered;
// what it refuses is told in its words.
func TestEximTakesAndRefuses(t *testing.T) {
	server := startExim(t)
	l := compose("line-3", "zh", []Line{{Event: hot}}, 0, hot.Time)
	for mode, address := range server.addresses {
		l.ID = "sluice-line-3-" + mode
		to := config.NotifyEmail{
			Server: address, From: "Sluice <sluice@plant.example>", To: []string{mode + "@plant.example"}, TLS: mode, CA: server.ca,
			Username: "sluice", PasswordFile: secretFile(t, "open sesame"),
		}
		if err := (mailer{to}).send(t.Context(), &l); err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		subject, text := server.delivered(t, mode)
		if subject != "[line-3] 严重：press 温度为 91" || !strings.Contains(text, "press 温度为 91") {
			t.Errorf("%s: exim delivered %q with\n%s", mode, subject, text)
		}
		to.PasswordFile = secretFile(t, "wrong")
		if err := (mailer{to}).send(t.Context(), &l); err == nil || !strings.Contains(err.Error(), "535") {
			t.Errorf("%s: a wrong password gives %v", mode, err)
		}
		to.PasswordFile = secretFile(t, "open sesame")
		to.To = []string{"nobody@elsewhere.example"}
		if err := (mailer{to}).send(t.Context(), &l); err == nil || !strings.Contains(err.Error(), "no mail for elsewhere.example") {
			t.Errorf("%s: a recipient that it does not know gives %v", mode, err)
		}
	}
}

type exim struct {
	dir       string
	ca        string
	addresses map[string]string // by kind of connection
}

// delivered gives the letter that came for name; exim hands it over a moment after it has taken it.
func (e *exim) delivered(t *testing.T, name string) (subject, text string) {
	t.Helper()
	file := filepath.Join(e.dir, "mail", name)
	var letter *mail.Message
	for end := time.Now().Add(20 * time.Second); letter == nil; time.Sleep(10 * time.Millisecond) {
		if f, err := os.Open(file); err == nil {
			letter, err = mail.ReadMessage(f)
			if err != nil {
				t.Logf("%s is not whole yet: %v", file, err)
				letter = nil
			}
			defer f.Close()
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(e.dir, "mainlog"))
			t.Fatalf("exim has not delivered %s: %s", name, log)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(letter.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	body := io.Reader(letter.Body)
	encoding := letter.Header.Get("Content-Transfer-Encoding")
	if kind, params, err := mime.ParseMediaType(letter.Header.Get("Content-Type")); err == nil && strings.HasPrefix(kind, "multipart/") {
		part, err := multipart.NewReader(body, params["boundary"]).NextPart() // undoes quoted-printable itself
		if err != nil {
			t.Fatal(err)
		}
		body, encoding = part, part.Header.Get("Content-Transfer-Encoding")
	}
	if encoding == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return subject, string(b)
}

// startExim runs a mail server for plant.example that knows the user sluice. It needs root, as every exim does.
func startExim(t *testing.T) *exim {
	t.Helper()
	program, err := exec.LookPath("/usr/sbin/exim4")
	owner, unknown := user.Lookup("Debian-exim")
	if err != nil || unknown != nil || os.Getuid() != 0 {
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatal("exim4 is missing, or this is not root; .ci/peers installs it")
		}
		t.Skip("exim4 is not here (apt-get install exim4-daemon-light), or this is not root")
	}
	tls, ca := certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(tls.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sluice-exim-") // t.TempDir's parents are closed to exim's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := &exim{dir: dir, ca: ca, addresses: map[string]string{}}
	ports := map[string]string{}
	for _, mode := range []string{"starttls", "tls", "none"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		e.addresses[mode] = listener.Addr().String()
		_, ports[mode], _ = net.SplitHostPort(e.addresses[mode])
		listener.Close()
	}
	certificateFile, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cert.pem": string(certificateFile),
		"key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"conf":     fmt.Sprintf(eximConfiguration, dir, ports["starttls"], ports["tls"], ports["none"], ports["tls"]),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for _, folder := range []string{"", "spool", "mail"} {
		folder = filepath.Join(dir, folder)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(folder, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-C", filepath.Join(dir, "conf"), "-bdf", "-oP", filepath.Join(dir, "pid"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that the processes of its connections end with it
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "mainlog"))
			t.Logf("exim said: %s\n%s", said, log)
		}
	})
	for _, address := range e.addresses {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) { // another process's start
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(end) {
				t.Fatalf("exim does not listen: %v", err)
			}
		}
	}
	return e
}

// The arguments: its folder, the ports of STARTTLS, of TLS and of no TLS at all, and that of TLS again.
const eximConfiguration = `
DIR = %s
primary_hostname = plant.example
spool_directory = DIR/spool
log_file_path = DIR/%%slog
daemon_smtp_ports = %s : %s : %s
tls_on_connect_ports = %s
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = DIR/cert.pem
tls_privatekey = DIR/key.pem
domainlist local_domains = plant.example
acl_smtp_rcpt = check
host_lookup =
keep_environment =
rfc1413_hosts =
rfc1413_query_timeout = 0s
begin acl
check:
  deny !authenticated = *
       message = sign in first
  accept domains = +local_domains
  deny message = no mail for $domain
begin routers
all:
  driver = accept
  local_parts = starttls : tls : none
  transport = file
begin transports
file:
  driver = appendfile
  file = DIR/mail/$local_part_data
  user = Debian-exim
  message_prefix =
  message_suffix =
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{{eq{$auth2}{sluice}}{eq{$auth3}{open sesame}}}}
  server_set_id = $auth2
`
