// Package image_test boots the built image in QEMU, through UEFI, as a box would start that was just flashed.
//
// SLUICE_IMAGE names the folder that `build` made; without it nothing is tried. Emulated time is real time here: whatever is waited for is polled with a deadline.
package image_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"sluice/collectors/modbus/modbussim"
)

const password = "a password of the box"

// patience is for each thing that is waited for, under emulation, on a machine that does other things too.
// SLUICE_PATIENCE=1h has more of it.
var patience = func() time.Duration {
	if given, err := time.ParseDuration(os.Getenv("SLUICE_PATIENCE")); err == nil {
		return given
	}
	return 10 * time.Minute
}()

// box is one machine with a disk of its own.
type box struct {
	t       *testing.T
	on      emulated
	disk    string
	format  string   // of the disk and of the firmware's variables: raw, or qcow2, which keeps snapshots
	more    []string // arguments for QEMU
	writes  string   // a file that gets every write to the disk, in QEMU's words; empty: none does
	page    string   // the forwarded loopback port of its page
	meter   string   // the far end of its second serial port
	machine *exec.Cmd
	client  *http.Client
	token   string
}

// images is the folder that `build` made.
func images(t *testing.T) string {
	folder := os.Getenv("SLUICE_IMAGE")
	if folder == "" {
		t.Skip("SLUICE_IMAGE names no folder with a built image")
	}
	return folder
}

// flash gives a new box the image, on a disk that is larger than it.
func flash(t *testing.T) *box {
	b := newBox(t)
	run(t, "cp", "--sparse=always", filepath.Join(images(t), "disk.img"), b.disk)
	if err := os.Truncate(b.disk, 2<<30); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"code", "vars"} {
		if b.on.firmware[i] == "" {
			continue
		}
		run(t, "cp", filepath.Join("/usr/share/AAVMF", b.on.firmware[i]), b.disk+"."+name)
		if err := os.Truncate(b.disk+"."+name, 64<<20); err != nil { // what QEMU's machine has
			t.Fatal(err)
		}
	}
	return b
}

// newBox is a machine whose disk is still to be made.
func newBox(t *testing.T) *box {
	b := &box{t: t, on: emulator(t), disk: filepath.Join(t.TempDir(), "disk"), format: "raw", page: free(t)}
	b.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		// The certificate is the gateway's own, made a minute ago.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec
	}}
	t.Cleanup(b.cutPower)
	return b
}

// free names a loopback address at which nobody listens.
func free(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, said)
	}
	return string(said)
}

// start turns the power on. A machine that starts anew does so by itself.
func (b *box) start() {
	b.t.Helper()
	disk := "if=none,id=disk,format=" + b.format + ",file=" + b.disk
	if b.writes != "" {
		disk = "if=none,id=disk,driver=blklogwrites,file.driver=raw,file.file.driver=file,file.file.filename=" + b.disk + ",log.driver=file,log.filename=" + b.writes
	}
	args := append([]string{"-n", "10"}, b.on.qemu...)
	args = append(args,
		"-nographic", "-nodefaults", "-monitor", "unix:"+b.disk+".monitor,server=on,wait=off", "-serial", "file:"+b.disk+".console",
		"-drive", disk,
		"-netdev", "user,id=net,hostfwd=tcp:"+b.page+"-:443", "-device", "virtio-net-pci,netdev=net,romfile=",
		"-device", "i6300esb",
	)
	args = append(append(args, b.on.disk...), b.firmware()...)
	if b.meter != "" {
		host, port, _ := net.SplitHostPort(b.meter)
		args = append(args, "-device", "qemu-xhci", "-chardev", "socket,id=meter,reconnect=1,host="+host+",port="+port, "-device", "usb-serial,chardev=meter")
	}
	b.machine = exec.Command("nice", append(args, b.more...)...)
	var said bytes.Buffer
	b.machine.Stdout, b.machine.Stderr = &said, &said
	if err := b.machine.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("the console: %s\nqemu: %s", b.console(), said.String())
		}
	})
}

// cutPower is what it says: nothing is written any more.
func (b *box) cutPower() {
	if b.machine != nil && b.machine.Process != nil {
		_ = b.machine.Process.Kill()
		_ = b.machine.Wait()
		b.machine = nil
	}
}

// monitor gives QEMU a command, as a hand that is at the machine itself, and answers what QEMU says.
func (b *box) monitor(command string) string {
	b.t.Helper()
	conn, err := net.Dial("unix", b.disk+".monitor")
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	from := bufio.NewReader(conn)
	until := func() (said string) {
		for !strings.HasSuffix(said, "(qemu) ") {
			c, err := from.ReadByte()
			if err != nil {
				b.t.Fatalf("%s: %q, %v", command, said, err)
			}
			said += string(c)
		}
		return said
	}
	until()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		b.t.Fatal(err)
	}
	return until()
}

// console is what the box has printed since it was started.
func (b *box) console() string {
	text, _ := os.ReadFile(b.disk + ".console")
	return string(text)
}

// wait polls: the box is another machine, whose time is not ours.
func (b *box) wait(what string, done func() bool) time.Duration {
	b.t.Helper()
	began := time.Now()
	for !done() {
		if time.Since(began) > patience {
			b.t.Fatalf("after %s there is still no %s", patience, what)
		}
		time.Sleep(200 * time.Millisecond)
	}
	return time.Since(began).Round(100 * time.Millisecond)
}

// answers waits for the page.
func (b *box) answers() time.Duration {
	b.t.Helper()
	return b.wait("page", func() bool {
		answer, err := b.client.Get("https://" + b.page + "/")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return err == nil && answer.StatusCode == http.StatusOK && bytes.Contains(text, []byte("<div id=\"app\">"))
	})
}

// api asks, and decodes the answer.
func (b *box) api(method, path string, body, into any, header ...string) {
	b.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "https://"+b.page+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+b.token)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := b.client.Do(request)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		b.t.Fatalf("%s %s: %s %s, %v", method, path, answer.Status, said, err)
	}
	if into != nil {
		if err := json.Unmarshal(said, into); err != nil {
			b.t.Fatalf("%s %s answers %s: %v", method, path, said, err)
		}
	}
}

var codeOnConsole = regexp.MustCompile(`code +([A-Z0-9]{10}) `)

// setUp gives the box its password with the code on its console, and signs in.
func (b *box) setUp() {
	b.t.Helper()
	found := codeOnConsole.FindStringSubmatch(b.console())
	if found == nil {
		b.t.Fatal("there is no one-time code on the console")
	}
	b.api("POST", "/setup", map[string]string{"code": found[1], "password": password}, nil)
	b.signIn()
}

func (b *box) signIn() {
	b.t.Helper()
	var session struct{ Token string }
	b.api("POST", "/session", map[string]string{"user": "admin", "password": password}, &session)
	b.token = session.Token
}

// collect has the box read the meter at its serial port, and send what it read to a broker outside.
func (b *box) collect(cloud string) {
	b.t.Helper()
	_, port, _ := net.SplitHostPort(cloud)
	var now struct{ Etag string }
	b.api("GET", "/config", nil, &now)
	type edit struct {
		Path  []string `json:"path"`
		Value any      `json:"value"`
	}
	b.api("PUT", "/config", map[string]any{"edits": []edit{
		{[]string{"buses"}, []any{map[string]any{"name": "line", "serial": "/dev/ttyUSB0", "baud": 9600}}},
		{[]string{"devices"}, []any{map[string]any{
			"name": "meter", "driver": "modbus", "address": "rtu://line", "unit": 7, "interval": "1s",
			"points": []any{map[string]any{"name": "power", "address": "holding:0", "type": "uint16"}},
		}}},
		{[]string{"uplinks"}, []any{map[string]any{
			"name": "cloud", "driver": "mqtt", "address": "tcp://10.0.2.2:" + port,
			"forward": []any{map[string]any{"from": "readings/#", "to": "{topic}"}},
		}}},
	}}, nil, "If-Match", now.Etag)
}

// meter answers on a serial line, as far as the box can tell.
func meter(t *testing.T) (address string) {
	simulated := &modbussim.Server{Unit: 7, Dialect: modbussim.RTU}
	simulated.Set(modbussim.Holdings, 0, 4711)
	if err := simulated.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- simulated.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return simulated.Addr()
}

// cloud is mosquitto on loopback, and what arrived at it.
func cloud(t *testing.T) (address string, arrived chan string) {
	address = free(t)
	_, port, _ := net.SplitHostPort(address)
	settings := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(settings, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broker := exec.Command("mosquitto", "-c", settings)
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = broker.Process.Kill()
		_ = broker.Wait()
	})
	arrived = make(chan string, 10_000)
	options := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID("outside").SetConnectRetry(true).SetConnectRetryInterval(200 * time.Millisecond)
	client := mqtt.NewClient(options)
	if token := client.Connect(); !token.WaitTimeout(30*time.Second) || token.Error() != nil {
		t.Fatalf("the broker does not let anybody in: %v", token.Error())
	}
	t.Cleanup(func() { client.Disconnect(100) })
	token := client.Subscribe("#", 1, func(_ mqtt.Client, m mqtt.Message) {
		select {
		case arrived <- string(m.Payload()):
		default: // a test that reads no more
		}
	})
	if !token.WaitTimeout(30*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	return address, arrived
}

// reading waits for one of the meter's at the cloud.
func (b *box) reading(arrived chan string) {
	b.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case text := <-arrived:
			if strings.Contains(text, "4711") {
				return
			}
		case <-deadline:
			b.t.Fatal("no reading arrived outside")
		}
	}
}

func TestAFlashedBoxReadsItsMeterAndTellsTheCloud(t *testing.T) {
	b := flash(t)
	b.meter = meter(t)
	broker, arrived := cloud(t)
	b.start()
	t.Logf("the page answers after %s", b.answers())
	b.setUp()
	b.collect(broker)
	began := time.Now()
	b.reading(arrived)
	t.Logf("the meter's reading is at the broker %s later", time.Since(began).Round(100*time.Millisecond))

	b.cutPower()
	b.start()
	began = time.Now()
	for len(arrived) > 0 {
		<-arrived
	}
	b.reading(arrived)
	t.Logf("after a power cut readings arrive again %s after the start", time.Since(began).Round(100*time.Millisecond))
	if label := b.onBootPartition("SLUICE.TXT"); !strings.Contains(label, "code ") {
		t.Errorf("the boot partition has the label %q", label)
	}
}

// onBootPartition reads a file as any computer could.
func (b *box) onBootPartition(name string) string {
	b.t.Helper()
	at := told(b.t, "FIRST")
	if at == "" {
		at = "1M"
	}
	return run(b.t, "mtype", "-i", b.disk+"@@"+at, "::"+name)
}
