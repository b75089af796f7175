package main

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/collectors/bus/pty"
)

// simulated runs a simulator until the test ends.
func simulated(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- simulate(ctx, args) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("simulate %q ended with %v", args, err)
		}
	})
}

// within waits until something holds. What is looked at is another process or a real port, which tell nobody.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("never came true: %s", what)
		}
	}
}

func exists(name string) func() bool {
	return func() bool { _, err := os.Stat(name); return err == nil }
}

// A foreign master reads the simulated device on a serial line.
func TestModbusIsSimulatedOnASerialLine(t *testing.T) {
	if _, err := exec.LookPath("mbpoll"); err != nil {
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatal("mbpoll is required here")
		}
		t.Skip("mbpoll is not installed")
	}
	port := filepath.Join(t.TempDir(), "ttyS7")
	simulated(t, "modbus", "--serial", port, "--baud", "19200", "--parity", "even", "--unit", "7")
	within(t, "the port is there", exists(port))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	within(t, "mbpoll reads the setpoint", func() bool {
		out, err := exec.CommandContext(ctx, "mbpoll", "-m", "rtu", "-b", "19200", "-P", "even", "-a", "7", "-t", "4", "-r", "101", "-c", "1", "-1", "-o", "2", port).CombinedOutput()
		if err != nil {
			t.Fatalf("mbpoll: %v\n%s", err, out)
		}
		return strings.Contains(string(out), "[101]: \t40")
	})
}

// askRTU is a request to unit 1 for register 100, a plant's setpoint, and answerRTU its answer.
const (
	askRTU    = "010300640001c5d5"
	answerRTU = "0103020028b85a"
)

// asked asks until the answer has come twice: a port may open late, and the plant sets its values as it begins.
func asked(t *testing.T, line io.ReadWriter, question, answer string) {
	t.Helper()
	var mu sync.Mutex
	heard := ""
	go func() {
		b := make([]byte, 512)
		for {
			n, err := line.Read(b)
			mu.Lock()
			heard += hex.EncodeToString(b[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	for began := time.Now(); ; {
		write(t, line, question)
		time.Sleep(100 * time.Millisecond)
		mu.Lock()
		so := heard
		mu.Unlock()
		if strings.Count(so, answer) >= 2 {
			return
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("heard %s, want %s", so, answer)
		}
	}
}

func write(t *testing.T, to io.Writer, text string) {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Write(b); err != nil {
		t.Fatal(err)
	}
}

// A port that is there is opened, and not replaced. What closes connections elsewhere does not end a line.
func TestModbusIsSimulatedOnAPortThatIsThere(t *testing.T) {
	line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := line.Close(); err != nil {
			t.Error(err)
		}
	})
	name, err := os.Readlink(line.Path())
	if err != nil {
		t.Fatal(err)
	}
	simulated(t, "modbus", "--serial", name, "--fault", "close-after")
	asked(t, line, askRTU, answerRTU)
	if now, err := os.Readlink(line.Path()); err != nil || now != name {
		t.Errorf("the port's name leads to %s, %v", now, err)
	}
}

func TestModbusIsSimulatedInTheDialectsOverTCP(t *testing.T) {
	for dialect, c := range map[string][2]string{
		"rtu-over-tcp":   {askRTU, answerRTU},
		"ascii-over-tcp": {hex.EncodeToString([]byte(":01030064000197\r\n")), hex.EncodeToString([]byte(":0103020028D2\r\n"))},
		"tcp":            {"000100000006" + "010300640001", "000100000005" + "0103020028"},
	} {
		address := freeAddress(t)
		simulated(t, "modbus", "--listen", address, "--dialect", dialect)
		var conn net.Conn
		within(t, "it listens", func() (open bool) {
			var err error
			conn, err = net.Dial("tcp", address)
			return err == nil
		})
		asked(t, conn, c[0], c[1])
		conn.Close()
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestModbusSimulatorRefusesWhatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		want  string
		usage bool
	}{
		{[]string{"--dialect", "profibus"}, `no dialect "profibus"`, true},
		{[]string{"--dialect", "rtu"}, "--serial", true},
		{[]string{"--serial", "pty", "--dialect", "tcp"}, "not spoken on a serial line", true},
		{[]string{"--serial", "pty", "--dialect", "rtu-over-tcp"}, "not spoken on a serial line", true},
		{[]string{"--serial", "pty", "--parity", "mark"}, `parity "mark"`, false},
		{[]string{"--serial", "pty", "--stop-bits", "3"}, "3 stop bits", false},
		{[]string{"--serial", "pty", "--baud", "-1"}, "no baud rate", false},
		{[]string{"--serial", "/dev/null", "--baud", "0"}, "needs a baud rate", false},
		{[]string{"--serial", "/dev/null"}, "set /dev/null", false},
		{[]string{"--serial", file}, "no serial port", false},
		{[]string{"--unit", "256"}, "0 to 255", true},
	} {
		err := simulate(t.Context(), append([]string{"modbus"}, c.args...))
		_, usage := errors.AsType[usageError](err)
		if err == nil || !strings.Contains(err.Error(), c.want) || usage != c.usage {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}
