package rocketmq_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// silentAt and silentMany turn this test's program into one that connects so often, sends half a frame or
// nothing, says "there" and waits until its standard input ends.
const (
	silentAt   = "SLUICE_TEST_SILENT_AT"
	silentMany = "SLUICE_TEST_SILENT_MANY"
)

func beSilent(address string) int {
	many, err := strconv.Atoi(os.Getenv(silentMany))
	if err != nil {
		return 2
	}
	half := frame(sending("nowhere", "never sent"))
	var all []net.Conn
	for i := range many {
		conn, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			fmt.Println("connection", i, err)
			return 1
		}
		conn.Write(half[:[]int{0, 3, len(half) / 2}[i%3]]) //nolint:errcheck // it may be ended by now
		all = append(all, conn)
	}
	fmt.Println("there")
	io.Copy(io.Discard, os.Stdin) //nolint:errcheck // its end is what counts
	for _, conn := range all {
		conn.Close()
	}
	return 0
}

// More clients that connect and say nothing than there is room for keep nobody out, and cost little.
func TestACrowdThatSaysNothingKeepsNobodyOut(t *testing.T) {
	if os.Getenv("SLUICE_LONG") != "1" {
		t.Skip("10,500 connections: SLUICE_LONG=1")
	}
	at := startGateway(t, "")
	topic := makeTopic(t, at)
	neighbour := call(t, at.broker)
	neighbour.must(sending(topic, "before"))
	before := resident(t)
	for range 2 {
		crowd := exec.CommandContext(t.Context(), os.Args[0])
		crowd.Env = append(os.Environ(), silentAt+"="+at.broker, silentMany+"=5250")
		stay, err := crowd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := crowd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := crowd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			stay.Close()
			crowd.Wait() //nolint:errcheck // it was killed, or has said why
		}()
		line := make([]byte, 100)
		if n, err := out.Read(line); err != nil || !bytes.HasPrefix(line, []byte("there")) {
			t.Fatalf("the crowd says %q, %v", line[:n], err)
		}
	}
	after := resident(t)
	t.Logf("10,500 silent connections, 10,000 of them open: %.1f KB each, sockets' own memory apart", float64(after-before)/10_000)
	if after-before > 200<<10 {
		t.Errorf("they take %d MB", (after-before)>>10)
	}
	began := time.Now()
	neighbour.must(sending(topic, "meanwhile"))
	call(t, at.broker).must(sending(topic, "and then"))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("two messages took %v", took)
	}
}

// resident gives the memory of this process in KB.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}
