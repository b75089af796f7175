package uplinktest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"sluice/bridge/cloudsim"
)

// Peer gives the path of a foreign program, or skips the test.
func Peer(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err == nil {
			return path
		}
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatalf("%s is not installed, and SLUICE_REQUIRE_PEERS=1 wants it", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// Mosquitto is Debian's broker as the cloud.
type Mosquitto struct {
	Address string // of 127.0.0.1
	Port    int    // of Address
	t       testing.TB
	binary  string
	dir     string
	process *exec.Cmd
}

// StartMosquitto runs it until the test ends, with more lines of its configuration.
func StartMosquitto(t testing.TB, more string) *Mosquitto {
	m := &Mosquitto{t: t, binary: Peer(t, "mosquitto"), dir: t.TempDir(), Port: FreePort(t)}
	m.Address = fmt.Sprintf("127.0.0.1:%d", m.Port)
	Write(t, m.dir+"/conf", fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\n"+
		"persistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 0\nautosave_interval 1\nuser root\n%s", m.Port, m.dir, more))
	m.start()
	t.Cleanup(func() { m.end(syscall.SIGTERM) })
	return m
}

// FreePort is one of 127.0.0.1.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (m *Mosquitto) start() {
	m.t.Helper()
	m.process = exec.Command(m.binary, "-c", m.dir+"/conf")
	log, err := os.OpenFile(m.dir+"/log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	m.process.Stderr, m.process.Stdout = log, log
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	Eventually(m.t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", m.Address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (m *Mosquitto) end(signal syscall.Signal) {
	if m.process == nil {
		return
	}
	m.process.Process.Signal(signal)
	m.process.Wait()
	m.process = nil
}

// subscribe feeds what a stock subscriber prints to check until stop is called.
func (m *Mosquitto) subscribe(t testing.TB, check *cloudsim.Checker) (stop func()) {
	t.Helper()
	cmd := exec.Command(Peer(t, "mosquitto_sub"), "-p", fmt.Sprint(m.Port), "-t", "plants/readings/#", "-q", "1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		var rest []byte
		buffer := make([]byte, 64<<10)
		for {
			n, err := out.Read(buffer)
			rest = append(rest, buffer[:n]...)
			for {
				line, after, whole := bytes.Cut(rest, []byte("\n"))
				if !whole {
					break
				}
				check.Add(line)
				rest = after
			}
			if err != nil {
				return
			}
		}
	}()
	return func() {
		cmd.Process.Kill()
		<-read
		cmd.Wait()
	}
}
