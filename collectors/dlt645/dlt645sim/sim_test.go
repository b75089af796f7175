package dlt645sim

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run starts a line and gives the gateway's end of it.
func run(t *testing.T, o Options) (*Line, *os.File) {
	t.Helper()
	line, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := line.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	port, err := os.OpenFile(line.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	return line, port
}

func ask(t *testing.T, port *os.File, request string, answerBytes int) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(request, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := port.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := port.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, answerBytes)
	if n, err := io.ReadFull(port, answer); err != nil {
		t.Fatalf("asked %s: got % X, then %v", request, answer[:n], err)
	}
	return strings.ToUpper(hex.EncodeToString(answer))
}

// The expected bytes are published frames of real meters.
func TestMetersAnswerInPublishedFrames(t *testing.T) {
	line, port := run(t, Options{Meters: []string{"123456789012", "181226034194", "138000130754"}, Preamble: 2})
	line.Set(0x00010000, []byte{0x56, 0x34, 0x12, 0x00})
	line.Set(0x02010100, []byte{0x05, 0x23})
	line.Set(0x9010, []byte{0x01, 0, 0, 0})
	for _, c := range []struct{ request, answer string }{
		{"FEFEFEFE 68 12 90 78 56 34 12 68 11 04 33 33 34 33 68 16", "FEFE 68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 54 16"},
		{"68 12 90 78 56 34 12 68 11 04 33 34 34 35 6B 16", "FEFE 68 12 90 78 56 34 12 68 91 06 33 34 34 35 38 56 7B 16"},
		{"68 54 07 13 00 80 13 68 01 02 43 C3 DA 16", "FEFE 68 54 07 13 00 80 13 68 81 06 43 C3 34 33 33 33 2B 16"},
	} {
		want := strings.ReplaceAll(c.answer, " ", "")
		if got := ask(t, port, c.request, len(want)/2); got != want {
			t.Errorf("%s\n got %s\nwant %s", c.request, got, want)
		}
	}
	if seen := line.Seen(); seen != (Counts{Requests: 3, Answers: 3}) {
		t.Errorf("saw %+v", seen)
	}
}

func TestAddressIsReadWithWildcards(t *testing.T) {
	_, port := run(t, Options{Meters: []string{"181226034194"}})
	got := ask(t, port, "68 AA AA AA AA AA AA 68 13 00 DF 16", 18)
	if want := "68944103261218689306C7743659454BEB16"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDamagedAndForeignRequestsAreCountedNotAnswered(t *testing.T) {
	line, port := run(t, Options{Meters: []string{"123456789012"}})
	noise := "00 68 12 90 78 56 34 12 68 11 04 33 33 34 33 67 16" // checksum off by one
	foreign := "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16"
	got := ask(t, port, noise+foreign+"68 12 90 78 56 34 12 68 11 04 33 33 34 33 68 16", 20)
	if !strings.HasPrefix(got, "68129078563412689108") {
		t.Errorf("got %s", got)
	}
	if seen := line.Seen(); seen != (Counts{Requests: 2, Answers: 1, Foreign: 1, Damaged: 17}) {
		t.Errorf("saw %+v", seen)
	}
}

func TestEnergyOnlyGrowsAndVoltagesVary(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	last, voltages := StateAt(start), map[uint64]bool{}
	for at := range 600 {
		s := StateAt(start.Add(time.Duration(at) * time.Second))
		if s.Energy < last.Energy {
			t.Fatalf("energy fell from %d to %d", last.Energy, s.Energy)
		}
		for _, v := range s.Voltage {
			if v < 2200 || v > 2400 {
				t.Errorf("voltage %d", v)
			}
		}
		voltages[s.Voltage[0]] = true
		last = s
	}
	// 600 s at 18 kW on average are 3 kWh.
	if grown := last.Energy - StateAt(start).Energy; grown < 295 || grown > 305 {
		t.Errorf("energy grew by %d hundredths of a kWh, want 300", grown)
	}
	if len(voltages) < 20 {
		t.Errorf("only %d different voltages", len(voltages))
	}
}

func TestLinkIsStableAndGoesWithTheLine(t *testing.T) {
	link := filepath.Join(t.TempDir(), "meter")
	for range 2 { // the second takes the place of a link left behind
		line, err := Open(Options{Link: link})
		if err != nil {
			t.Fatal(err)
		}
		if target, err := os.Readlink(link); err != nil || target != line.path || line.Path() != link {
			t.Errorf("link leads to %s, %v; want %s", target, err, line.path)
		}
		if err := line.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if _, err := os.Lstat(link); !os.IsNotExist(err) {
			t.Errorf("the link outlives the line: %v", err)
		}
		if err := os.Symlink("/dev/pts/left-behind", link); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Link: file}); err == nil {
		t.Error("a file was replaced by the link")
	}
	if kept, _ := os.ReadFile(file); string(kept) != "mine" {
		t.Errorf("the file holds %q", kept)
	}
}

func TestRunEndsWithTheContext(t *testing.T) {
	line, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- line.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if _, err := Open(Options{Meters: []string{"12"}}); err == nil {
		t.Error("a meter number of two digits was accepted")
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte{0xFE, 0x68, 0x61, 1, 0, 0, 0, 0, 0x68, 0x11, 4, 0x33, 0x33, 0x34, 0x33, 0x14, 0x16})
	f.Add([]byte{0x68, 0x68, 0x68})
	f.Fuzz(func(t *testing.T, in []byte) {
		for b := in; ; {
			q, rest, damaged, ok := next(b)
			if damaged > len(b) || len(rest) > len(b) {
				t.Fatalf("% X: %d damaged, %d left", b, damaged, len(rest))
			}
			if !ok {
				return
			}
			frame := build(q.meter, q.control, q.data)
			if !bytes.Contains(b, frame) {
				t.Errorf("% X is not in % X", frame, b)
			}
			b = rest
		}
	})
}
