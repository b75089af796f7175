package store_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

const (
	childDir  = "SLUICE_STORE_CHILD"
	childSeed = "SLUICE_STORE_SEED"
	killCycle = "SLUICE_KILLS" // how many kills, 20 when not set

	childDevices = 5
	// childUnsaved is how far the child lets its cursor run ahead of what is durable: the contract's
	// 1,000 acknowledgements.
	childUnsaved = 1000
)

func childOptions(dir string) store.Options {
	return store.Options{Dir: dir, FileSize: 1 << 20, RetentionSize: 256 << 10}
}

// payload is what the child appends at a position: length and content follow from it.
func payload(at message.Position, seed uint64) []byte {
	r := rand.New(rand.NewPCG(uint64(at), seed))
	b := make([]byte, 20+r.IntN(300))
	for i := range b {
		b[i] = 'a' + byte(r.IntN(16))
	}
	if r.IntN(200) == 0 {
		b = append(b, make([]byte, 100<<10)...)
	}
	return b
}

func deviceOf(at message.Position) string { return fmt.Sprintf("device-%d", at%childDevices) }

// child appends as fast as it may, reads back through a cursor, and tells on standard output what
// it was promised: "a N" everything up to N was acknowledged, "c N" the cursor is durable at N,
// "r N" it has worked up to N. The parent kills it.
func child(dir string) int {
	seed, err := strconv.ParseUint(os.Getenv(childSeed), 10, 64)
	if err != nil {
		fmt.Println("x", err)
		return 1
	}
	s, err := store.Open(childOptions(dir))
	if err != nil {
		fmt.Println("x", err)
		return 1
	}
	go s.Run(context.Background())
	tail, _ := s.Tail()
	cursor, err := s.OpenCursor("reader", 1)
	if err == nil {
		err = cursor.Sync(context.Background())
	}
	if err != nil {
		fmt.Println("x", err)
		return 1
	}
	fmt.Println("s", tail, cursor.Durable())
	go childReads(s, cursor, seed)

	r := rand.New(rand.NewPCG(seed, uint64(tail)))
	window := make(chan struct{}, 1+r.IntN(2000))
	ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
		if err != nil {
			fmt.Println("x", err)
			return
		}
		if at%64 == 0 || len(window) < 2 {
			fmt.Println("a", at)
		}
		<-window
	})
	for at := tail + 1; ; at++ {
		window <- struct{}{}
		m := message.Message{
			Topic: "readings/gateway/" + deviceOf(at), Payload: payload(at, seed), Time: int64(at),
			QoS: 1, Device: deviceOf(at), Seq: uint64(at),
		}
		// Some readings are in no hurry; what became durable must be the same.
		put := s.Append
		if at/100%2 == 0 {
			put = s.AppendLazy
		}
		if err := put(context.Background(), &m, ack, uint64(at)); err != nil {
			fmt.Println("x", err)
			return 1
		}
	}
}

func childReads(s *store.Store, cursor *store.Cursor, seed uint64) {
	next := cursor.Position() + 1
	for {
		tail, grown := s.Tail()
		if next > tail {
			<-grown
			continue
		}
		records, err := s.Read(nil, next, 200)
		if err != nil || len(records) == 0 {
			fmt.Println("x read", len(records), err)
			return
		}
		for _, r := range records {
			if r.Position != next || string(r.Payload) != string(payload(next, seed)) {
				fmt.Println("x read", r.Position, "want", next)
				return
			}
			next++
		}
		fmt.Println("r", next-1)
		cursor.Move(next - 1)
		if next-cursor.Durable() > childUnsaved-200 {
			if err := cursor.Sync(context.Background()); err != nil {
				fmt.Println("x", err)
				return
			}
			fmt.Println("c", cursor.Durable())
		}
	}
}

// promises is the plain model: what the child said before it died.
type promises struct{ acked, cursor, worked message.Position }

// TestKillLosesNothingAcknowledged kills a process that appends, reads, trims and collects, and
// compares what is found with what it was promised.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	cycles := 20
	if testing.Short() {
		cycles = 5
	}
	if n, err := strconv.Atoi(os.Getenv(killCycle)); err == nil {
		cycles = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d, %d kills", seed, cycles)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	var before promises
	var epoch uint64
	for cycle := range cycles {
		life := time.Duration(20+r.IntN(600)) * time.Millisecond
		if cycle%5 == 4 {
			life += 2 * time.Second // long enough to collect more than once
		}
		got := runChild(t, dir, seed, life, before)
		if t.Failed() {
			t.Fatalf("in cycle %d", cycle)
		}
		before = got
		if cycle%4 == 3 || cycle == cycles-1 {
			report := storetest.Check(t, dir)
			if len(report.Holes) > 0 {
				t.Errorf("the log has holes: %v", report.Holes)
			}
			if epoch == 0 {
				epoch = report.Epoch
			}
			if report.Epoch != epoch || epoch == 0 {
				t.Errorf("epoch is %d, was %d: no tail was lost", report.Epoch, epoch)
			}
			compare(t, dir, seed, before)
			t.Logf("cycle %d: %d acknowledged, cursor at %d, %d blocks from %d", cycle, before.acked, before.cursor, report.Blocks, report.First)
		}
	}
}

// runChild lets a child work on dir for a while, kills it, and gives what it was promised in all.
func runChild(t *testing.T, dir string, seed uint64, life time.Duration, before promises) promises {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childDir+"="+dir, childSeed+"="+strconv.FormatUint(seed, 10))
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(10*time.Second, func() { command.Process.Kill() }) // until it has started
	got := before
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line that the kill cut short promises nothing
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		var a, b uint64
		fmt.Sscan(rest, &a, &b)
		switch word {
		case "s":
			killer.Reset(life)
			if message.Position(a) < before.acked {
				t.Errorf("the log ends at %d, but %d was acknowledged", a, before.acked)
			}
			if message.Position(b) < before.cursor {
				t.Errorf("the cursor stands at %d, but %d was durable", b, before.cursor)
			}
			if repeats := int64(before.worked) - int64(b); repeats > childUnsaved {
				t.Errorf("%d messages are repeated, at most %d may be", repeats, childUnsaved)
			}
		case "a":
			got.acked = message.Position(a)
		case "c":
			got.cursor = message.Position(a)
		case "r":
			got.worked = max(got.worked, message.Position(a))
		default:
			t.Errorf("child says %q", line)
		}
	}
	killer.Stop()
	command.Wait() // it was killed: its status says no more
	return got
}

// compare reads everything behind the head and holds it against what was appended.
func compare(t *testing.T, dir string, seed uint64, want promises) {
	t.Helper()
	s, err := store.Open(childOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	next := s.Head()
	if next > want.worked+1 {
		t.Errorf("the head is %d, but the cursor worked only up to %d", next, want.worked)
	}
	for {
		records, err := s.Read(nil, next, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			if r.Position != next || string(r.Payload) != string(payload(next, seed)) || r.Seq != uint64(next) || r.Device != deviceOf(next) {
				t.Fatalf("position %d holds %d from %s with %d bytes", next, r.Position, r.Device, len(r.Payload))
			}
			next++
		}
	}
	if next <= want.acked {
		t.Errorf("%d was acknowledged, the log ends at %d", want.acked, next-1)
	}
	for back := range message.Position(childDevices) {
		at := next - 1 - back
		if _, last, err := s.Sequence(deviceOf(at)); err != nil || last != uint64(at) {
			t.Errorf("%s is at seq %d (%v), want %d", deviceOf(at), last, err, at)
		}
	}
}
