package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/access"
	"sluice/gateway/config"
	"sluice/gateway/mqtt"
)

func TestGuardIsWhatTheConfigurationSays(t *testing.T) {
	folder := t.TempDir()
	hash, err := access.HashPassword([]byte("water level 7"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "sensor.password"), []byte(hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "sluice.yaml")
	text := `mqtt:
  users:
    - {name: sensor, password_file: ./sensor.password, publish: ["readings/#"], subscribe: ["commands/%u/%c/#"]}
    - {name: press, certificate: true, publish: ["machines/%u"], subscribe: ["#"]}
  deny_subscribe: ["secret/#"]
  deny_publish: ["readings/line-3/#"]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, Kinds())
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGuard(&c.MQTT, guard{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var asked mqtt.Access = g
	attempt := mqtt.Attempt{ClientID: "c1", Address: "192.0.2.1:1", HasUser: true, User: "sensor", HasPassword: true, Password: []byte("wrong")}
	if asked.Connect(context.Background(), &attempt) != nil {
		t.Error("a wrong password came in")
	}
	attempt.Password = []byte("water level 7")
	sensor := asked.Connect(context.Background(), &attempt)
	if sensor == nil {
		t.Fatal("the right password was refused")
	}
	press := asked.Connect(context.Background(), &mqtt.Attempt{
		ClientID: "c2", Address: "192.0.2.1:1", Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "press"}},
	})
	if press == nil {
		t.Fatal("the certificate was refused")
	}
	for _, c := range []struct {
		what      string
		got, want bool
	}{
		{"sensor publishes", sensor.Publish("readings/press"), true},
		{"sensor publishes what is denied", sensor.Publish("readings/line-3/press"), false},
		{"sensor publishes elsewhere", sensor.Publish("machines/press"), false},
		{"sensor subscribes", sensor.Subscribe("commands/sensor/c1/#"), true},
		{"sensor subscribes to another's", sensor.Subscribe("commands/sensor/c2/#"), false},
		{"press publishes", press.Publish("machines/press"), true},
		{"press publishes elsewhere", press.Publish("machines/other"), false},
		{"press subscribes to all", press.Subscribe("#"), true},
		{"press subscribes to what is denied", press.Subscribe("secret/a"), false},
		{"press receives what is denied", press.Receive("secret/a"), false},
		{"press receives", press.Receive("readings/line-3/press"), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	if s := g.Stats(); s.Accepted != 2 || s.Refused != 1 {
		t.Errorf("counted %+v", s)
	}
}

// mosquitto runs one of mosquitto's clients and gives what it printed. Without it the test is
// skipped, unless SLUICE_REQUIRE_PEERS says that it must not be.
func mosquitto(t *testing.T, program, address string, args ...string) (out string, err error) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed: apt-get install mosquitto-clients", program)
	}
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	printed, err := exec.CommandContext(ctx, path, append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	return string(printed), err
}

func TestMosquittoClientsMayDoWhatTheirUserMay(t *testing.T) {
	dir, address := t.TempDir(), freePort(t)
	for _, user := range []string{"writer", "reader"} {
		hash, err := access.HashPassword([]byte(user + "'s"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, user), []byte(hash), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := newGateway(t, parse(t, dir, fmt.Sprintf(`
store: {dir: ./data}
web: {listen: ""}
mqtt:
  listen: [%q]
  users:
    - {name: writer, password_file: ./writer, publish: ["plants/%%u/#", "secret/#"]}
    - {name: reader, password_file: ./reader, subscribe: ["plants/#", "+/shown"]}
  deny_subscribe: ["secret/shown"]
`, address)))
	start(t, g.Run)

	var refusals []string
	for _, who := range [][]string{
		{"-u", "writer", "-P", "wrong"},
		{"-u", "ghost", "-P", "wrong"},
	} {
		out, err := mosquitto(t, "mosquitto_pub", address, append(who, "-t", "plants/writer/a", "-m", "forged")...)
		if err == nil {
			t.Errorf("%v came in", who)
		}
		refusals = append(refusals, out)
	}
	if refusals[0] != refusals[1] {
		t.Errorf("the answers tell which user exists:\n%s\n%s", refusals[0], refusals[1])
	}
	if _, err := mosquitto(t, "mosquitto_pub", address, "-t", "plants/writer/a", "-m", "forged"); err == nil {
		t.Error("somebody without a name came in")
	}
	for _, filter := range []string{"#", "plant", "secret/shown", "$SYS/#"} {
		// It ends by itself when every subscription is refused.
		out, _ := mosquitto(t, "mosquitto_sub", address, "-u", "reader", "-P", "reader's", "-t", filter, "-W", "5")
		if !strings.Contains(out, "denied") {
			t.Errorf("the subscription to %s was not refused: %s", filter, out)
		}
	}

	var got string
	var err error
	var all sync.WaitGroup
	reading := make(chan struct{})
	all.Go(func() {
		defer close(reading)
		got, err = mosquitto(t, "mosquitto_sub", address, "-u", "reader", "-P", "reader's",
			"-t", "plants/#", "-t", "+/shown", "-C", "3", "-W", "20", "-F", "%t")
	})
	for done := false; !done; { // again and again, since the subscriber says not when it is there
		for _, topic := range []string{"plants/other/a", "secret/shown", "readings/x", "plants/writer/a"} {
			if out, err := mosquitto(t, "mosquitto_pub", address, "-u", "writer", "-P", "writer's", "-q", "0", "-t", topic, "-m", "x"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		select {
		case <-reading:
			done = true
		default:
		}
	}
	all.Wait()
	if want := strings.Repeat("plants/writer/a\n", 3); err != nil || got != want {
		t.Errorf("the subscriber got %v and\n%s\nwant\n%s", err, got, want)
	}
}

// issue makes a certificate for name, signed by parent, or by itself as an authority without one, and
// writes it with its key to dir.
func issue(t *testing.T, dir, name string, parent *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signer, by := template, any(key)
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
	} else {
		signer, by = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: der},
		name + ".key": {Type: "PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{PrivateKey: key, Leaf: leaf}
}

func TestACertificateIsAName(t *testing.T) {
	dir, address := t.TempDir(), freePort(t)
	plant := issue(t, dir, "plant", nil)
	for _, name := range []string{"server", "press", "stranger"} {
		issue(t, dir, name, plant)
	}
	issue(t, dir, "forged", issue(t, dir, "elsewhere", nil))
	g := newGateway(t, parse(t, dir, fmt.Sprintf(`
store: {dir: ./data}
web: {listen: ""}
mqtt:
  listen: []
  tls: {listen: %q, cert: ./server.crt, key: ./server.key, client_ca: ./plant.crt}
  users:
    - {name: press, certificate: true, publish: ["machines/%%u"]}
    - {name: forged, certificate: true, publish: ["#"]}
`, address)))
	start(t, g.Run)
	for _, c := range []struct {
		certificate string
		more        []string
		in          bool
	}{
		{"press", nil, true},
		{"press", []string{"-u", "press"}, true},
		{"press", []string{"-u", "forged", "-P", "x"}, false},
		{"stranger", nil, false},
		{"stranger", []string{"-u", "press", "-P", "x"}, false},
		{"forged", nil, false},
	} {
		args := append([]string{
			"--cafile", filepath.Join(dir, "plant.crt"), "--cert", filepath.Join(dir, c.certificate+".crt"), "--key", filepath.Join(dir, c.certificate+".key"),
			"-V", "mqttv5", "-q", "1", "-t", "machines/press", "-m", "x",
		}, c.more...)
		out, err := mosquitto(t, "mosquitto_pub", address, args...)
		if in := err == nil; in != c.in {
			t.Errorf("%s %v: in is %v, want %v: %s", c.certificate, c.more, in, c.in, out)
		}
		if c.in && strings.Contains(out, "Not authorized") {
			t.Errorf("%s %v may not publish on its own topic: %s", c.certificate, c.more, out)
		}
	}
	out, _ := mosquitto(t, "mosquitto_pub", address, "--cafile", filepath.Join(dir, "plant.crt"), "--cert", filepath.Join(dir, "press.crt"),
		"--key", filepath.Join(dir, "press.key"), "-V", "mqttv5", "-q", "1", "-t", "machines/other", "-m", "x")
	if !strings.Contains(out, "Not authorized") {
		t.Errorf("press may publish on another's topic: %s", out)
	}
}
