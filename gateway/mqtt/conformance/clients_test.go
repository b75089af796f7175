package conformance

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Stock clients against the gateway. Each is skipped where it is not installed, unless
// SLUICE_REQUIRE_PEERS=1 says that it must be; .ci/peers installs them all.

func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed: .ci/peers", what)
	}
	t.Skipf("%s is not installed", what)
}

func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		absent(t, name)
	}
	return path
}

// program runs a client's program to its end.
func program(t *testing.T, dir, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(path), args, err, out)
	}
	return string(out)
}

// prefix is for a program's topics and identifiers; 3.1 takes 23 characters of those.
func prefix(name string) string { return fmt.Sprintf("%s%d", name, unique.Add(1)) }

func TestPahoGo5(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "client")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Dir = "clients"
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Logf("go build: %v\n%s", err, out)
		absent(t, "the module github.com/eclipse/paho.golang")
	}
	program(t, "", path, address, prefix("pahogo5"))
}

func TestMQTTjs(t *testing.T) {
	t.Parallel()
	node := lookPath(t, "node")
	if _, err := os.Stat("clients/mqttjs/node_modules/mqtt"); err != nil {
		absent(t, "MQTT.js")
	}
	for _, url := range []string{"mqtt://" + address, "ws://" + webAddress + "/mqtt"} {
		for _, version := range []string{"4", "5"} {
			t.Run(url[:strings.Index(url, ":")]+version, func(t *testing.T) {
				t.Parallel()
				program(t, "clients/mqttjs", node, "client.mjs", url, version, prefix("mqttjs"))
			})
		}
	}
}

func TestPahoPython(t *testing.T) {
	t.Parallel()
	python := "/usr/bin/python3" // Debian's packages are this one's
	if exec.Command(python, "-c", "import paho.mqtt.client").Run() != nil {
		if python = lookPath(t, "python3"); exec.Command(python, "-c", "import paho.mqtt.client").Run() != nil {
			absent(t, "paho-mqtt for Python")
		}
	}
	host, port, _ := net.SplitHostPort(address)
	for _, version := range []string{"3", "4", "5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			program(t, "", python, "clients/paho_client.py", host, port, version, prefix("pahopy"))
		})
	}
}

func TestPahoGo3(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	connect := func(edit func(*paho.ClientOptions)) (paho.Client, chan paho.Message) {
		t.Helper()
		got := make(chan paho.Message, 100)
		options := paho.NewClientOptions().AddBroker("tcp://" + address).SetAutoReconnect(false).SetConnectTimeout(patience).
			SetClientID(clientID()).SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { got <- m })
		if edit != nil {
			edit(options)
		}
		c := paho.NewClient(options)
		done(t, c.Connect())
		t.Cleanup(func() { c.Disconnect(50) })
		return c, got
	}
	expect := func(got chan paho.Message, payload string, qos byte) paho.Message {
		t.Helper()
		select {
		case m := <-got:
			if string(m.Payload()) != payload || m.Qos() != qos {
				t.Fatalf("got %q with QoS %d, want %q with %d", m.Payload(), m.Qos(), payload, qos)
			}
			return m
		case <-time.After(patience):
			t.Fatalf("%q did not come", payload)
			return nil
		}
	}
	c, got := connect(nil)
	done(t, c.Subscribe(topic+"/#", 2, nil))
	for i := range 30 {
		done(t, c.Publish(topic+"/qos", byte(i%3), false, fmt.Sprint(i)))
		expect(got, fmt.Sprint(i), byte(i%3))
	}
	lost, _ := connect(func(o *paho.ClientOptions) { o.SetWill(topic+"/will", "gone", 1, true) })
	connect(func(o *paho.ClientOptions) { r := lost.OptionsReader(); o.SetClientID(r.ClientID()) }) // takes over
	expect(got, "gone", 1)
	late, retained := connect(nil)
	done(t, late.Subscribe(topic+"/will", 1, nil))
	if m := expect(retained, "gone", 1); !m.Retained() {
		t.Error("the will was not retained")
	}
	done(t, late.Publish(topic+"/will", 1, true, ""))

	id := clientID()
	asleep := func(o *paho.ClientOptions) { o.SetClientID(id).SetCleanSession(false) }
	c, _ = connect(asleep)
	done(t, c.Subscribe(topic+"/asleep", 2, nil))
	c.Disconnect(50)
	for i := range 20 {
		done(t, late.Publish(topic+"/asleep", byte(1+i%2), false, fmt.Sprint(i)))
	}
	_, got = connect(asleep)
	next := [3]int{1: 0, 2: 1} // each QoS has its own order
	for range 20 {
		select {
		case m := <-got:
			if string(m.Payload()) != fmt.Sprint(next[m.Qos()]) {
				t.Errorf("got %q with QoS %d, want %d", m.Payload(), m.Qos(), next[m.Qos()])
			}
			next[m.Qos()] += 2
		case <-time.After(patience):
			t.Fatal("they did not all come")
		}
	}
}

func done(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("paho: %v", token.Error())
	}
}

// mosquitto runs one of mosquitto's clients against an address.
func mosquitto(t *testing.T, to, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	host, port, _ := net.SplitHostPort(to)
	out, err := exec.CommandContext(ctx, lookPath(t, name), append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	return string(out), err
}

func publishWithMosquitto(t *testing.T, to string, args ...string) {
	t.Helper()
	if out, err := mosquitto(t, to, "mosquitto_pub", args...); err != nil {
		t.Fatalf("mosquitto_pub %v: %v\n%s", args, err, out)
	}
}

// A persistent session and a retained message, with each version and QoS; in 5 with properties.
func TestMosquittoClients(t *testing.T) {
	t.Parallel()
	lookPath(t, "mosquitto_pub")
	lookPath(t, "mosquitto_sub")
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		for qos := range 3 {
			t.Run(fmt.Sprintf("%s QoS %d", version, qos), func(t *testing.T) {
				t.Parallel()
				topic, id, q := "c/"+prefix("mosquitto"), clientID(), fmt.Sprint(qos)
				asleep := []string{"-V", version, "-i", id, "-c", "-q", q, "-t", topic + "/+"}
				format := "%t %q %p"
				if version == "mqttv5" {
					asleep = append(asleep, "-x", "60")
					format += " %C %R %P"
				}
				if out, err := mosquitto(t, address, "mosquitto_sub", append(asleep, "-E")...); err != nil {
					t.Fatalf("mosquitto_sub: %v\n%s", err, out)
				}
				var wants string
				more := []string{}
				if version == "mqttv5" {
					more = []string{"-D", "publish", "content-type", "text", "-D", "publish", "response-topic", "answers", "-D", "publish", "user-property", "a", "b"}
				}
				for i := range 5 {
					to := fmt.Sprintf("%s/%d", topic, i)
					publishWithMosquitto(t, address, append([]string{"-V", version, "-q", fmt.Sprint(max(qos, 1)), "-t", to, "-m", fmt.Sprint("über ", i), "-r"}, more...)...)
					wants += fmt.Sprintf("%s %d über %d%s\n", to, max(qos, 1), i, map[bool]string{true: " text answers a:b", false: ""}[version == "mqttv5"])
				}
				if qos > 0 { // what waits for a subscription of QoS 0 may be dropped
					out, err := mosquitto(t, address, "mosquitto_sub", append(asleep, "-C", "5", "-R", "-F", format, "-W", "20")...)
					if err != nil || out != wants {
						t.Errorf("the session got %v and\n%s\nwant\n%s", err, out, wants)
					}
				}
				out, err := mosquitto(t, address, "mosquitto_sub", "-V", version, "-q", "2", "-t", topic+"/+", "-C", "5", "-F", "%r "+format, "-W", "20")
				if want := "1 " + strings.ReplaceAll(strings.TrimSpace(wants), "\n", "\n1 ") + "\n"; err != nil || out != want {
					t.Errorf("retained came %v and\n%s\nwant\n%s", err, out, want)
				}
				for i := range 5 {
					publishWithMosquitto(t, address, "-V", version, "-r", "-n", "-t", fmt.Sprintf("%s/%d", topic, i))
				}
				publishWithMosquitto(t, address, "-V", version, "-i", id, "-t", topic, "-m", "x") // ends the session
			})
		}
	}
}

// A subscriber that is killed leaves its will.
func TestMosquittoLeavesAWill(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic + "/#", 2})
	publisher(t).publish(post{topic: topic + "/in", payload: "here", retain: true})
	defer clearRetained(t, topic+"/in")
	watch.expect("here")
	host, port, _ := net.SplitHostPort(address)
	command := exec.Command(lookPath(t, "mosquitto_sub"), "-h", host, "-p", port, "-V", "mqttv5", "-t", topic+"/in",
		"--will-topic", topic+"/will", "--will-payload", "gone", "--will-qos", "2")
	out := &lockedBuffer{}
	command.Stdout, command.Stderr = out, out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Wait()
	for deadline := time.Now().Add(patience); !strings.Contains(out.String(), "here"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			command.Process.Kill()
			t.Fatalf("mosquitto_sub did not subscribe:\n%s", out)
		}
	}
	command.Process.Kill()
	if got := watch.receive(); got.payload != "gone" || got.qos() != 2 {
		t.Errorf("got %v, want the will", got)
	}
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Over TLS, with each version and QoS 2.
func TestMosquittoClientsOverTLS(t *testing.T) {
	t.Parallel()
	lookPath(t, "mosquitto_sub")
	dir := t.TempDir()
	makeCertificate(t, dir)
	addresses, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	ownGateway(t, dir, fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: ./data}
web: {listen: ""}
mqtt:
  anonymous: true
  tls: {listen: %q, cert: cert.pem, key: key.pem}
`, addresses[0]))
	ca := []string{"--cafile", filepath.Join(dir, "cert.pem")}
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		publishWithMosquitto(t, addresses[0], append(ca, "-V", version, "-q", "2", "-r", "-t", "tls/"+version, "-m", "sealed")...)
		out, err := mosquitto(t, addresses[0], "mosquitto_sub", append(ca, "-V", version, "-q", "2", "-t", "tls/"+version, "-C", "1", "-W", "20", "-F", "%q %p")...)
		if err != nil || out != "2 sealed\n" {
			t.Errorf("%s: %v, %q", version, err, out)
		}
	}
	if out, err := mosquitto(t, addresses[0], "mosquitto_pub", "-t", "plain", "-m", "x"); err == nil {
		t.Errorf("without TLS it was let in: %s", out)
	}
}

// makeCertificate writes a certificate for 127.0.0.1 that is its own authority.
func makeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
