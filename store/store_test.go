package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

func text(s string) message.Message { return message.Message{Topic: "t", Payload: []byte(s)} }

// eventually waits for what a goroutine of the store does in its own time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func TestEverythingOfAMessageComesBack(t *testing.T) {
	l := storetest.Open(t)
	want := message.Message{
		Topic: "readings/g/press", Payload: []byte(`{"v":1}`), Time: 1795345665221, QoS: 2, Retain: true,
		Device: "press", Seq: 42,
		Properties: []message.Property{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}, {Name: "", Value: ""}},
	}
	if got := l.Append(want, text("")); got != 2 {
		t.Errorf("the second message has position %d, want 2", got)
	}
	for _, when := range []string{"from memory", "from disk"} {
		records, err := l.Read(nil, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) != 2 || fmt.Sprintf("%+v", records[0].Message) != fmt.Sprintf("%+v", want) || records[0].Position != 1 {
			t.Errorf("%s: got %+v, want %+v", when, records, want)
		}
		l.Reopen()
	}
	if epoch, last, err := l.Sequence("press"); epoch == 0 || last != 42 || err != nil {
		t.Errorf("press is at epoch %d, seq %d, %v, want seq 42", epoch, last, err)
	}
	if _, last, err := l.Sequence("unknown"); last != 0 || err != nil {
		t.Errorf("an unknown device is at %d, %v, want 0", last, err)
	}
}

func TestAcknowledgementsComeOnceAndInOrder(t *testing.T) {
	l := storetest.Open(t)
	const each, producers = 2000, 4
	var mu sync.Mutex
	var order []message.Position
	ack := message.AcknowledgeFunc(func(token uint64, at message.Position, err error) {
		mu.Lock()
		defer mu.Unlock()
		if tail, _ := l.Tail(); err != nil || at > tail {
			t.Errorf("position %d is acknowledged with %v while the log ends at %d", at, err, tail)
		}
		order = append(order, at)
	})
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				m := message.Message{Topic: fmt.Sprintf("t/%d", p), Payload: []byte(fmt.Sprint(i))}
				if err := l.Store.Append(t.Context(), &m, ack, uint64(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	l.Reopen() // closing makes everything durable
	if len(order) != each*producers {
		t.Fatalf("%d acknowledgements, want %d", len(order), each*producers)
	}
	for i, at := range order {
		if at != message.Position(i+1) {
			t.Fatalf("acknowledgement %d is for %d", i, at)
		}
	}
	next := make(map[string]int)
	records, err := l.Read(nil, 1, each*producers)
	if err != nil || len(records) != each*producers {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		if string(r.Payload) != fmt.Sprint(next[r.Topic]) {
			t.Fatalf("%s: got %s, want %d", r.Topic, r.Payload, next[r.Topic])
		}
		next[r.Topic]++
	}
}

func TestLargeMessages(t *testing.T) {
	l := storetest.Open(t)
	largest := l.Largest()
	for _, size := range []int{60 << 10, 70 << 10, largest - 100} {
		l.Append(text("before"), message.Message{Topic: "t", Payload: make([]byte, size)}, text("behind"))
	}
	tooLarge := message.Message{Topic: "t", Payload: make([]byte, largest)}
	if err := l.Store.Append(t.Context(), &tooLarge, nil, 0); !errors.Is(err, message.ErrTooLarge) {
		t.Errorf("a message of %d bytes gives %v, want %v", largest, err, message.ErrTooLarge)
	}
	l.Reopen()
	records, err := l.Read(nil, 1, 100)
	if err != nil || len(records) != 9 || len(records[7].Payload) != largest-100 {
		t.Errorf("got %d records, %v", len(records), err)
	}
}

func TestAppendWaitsWhileTooMuchIsPending(t *testing.T) {
	s, err := store.Open(store.Options{Dir: t.TempDir(), FileSize: 1 << 20, PendingBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// Nothing commits yet.
	m := message.Message{Topic: "t", Payload: make([]byte, 700)}
	if err := s.Append(t.Context(), &m, nil, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Append(ctx, &m, nil, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second append gives %v, want it to wait", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- s.Append(context.Background(), &m, nil, 0) }()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	if err := <-waited; err != nil {
		t.Errorf("an append that waited gives %v", err)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if err := s.Append(t.Context(), &m, nil, 0); !errors.Is(err, message.ErrClosed) {
		t.Errorf("an append after the end gives %v, want %v", err, message.ErrClosed)
	}
	if tail, _ := s.Tail(); tail != 2 {
		t.Errorf("the log ends at %d, want 2", tail)
	}
}

func TestCloseWithoutRunKeepsWhatWasAccepted(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	m := text("kept")
	acked := false
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { acked = err == nil })
	if err := s.Append(t.Context(), &m, ack, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || !acked {
		t.Errorf("close gives %v, acknowledged %v", err, acked)
	}
	if _, err := s.Read(nil, 1, 1); !errors.Is(err, message.ErrClosed) {
		t.Errorf("reading a closed log gives %v, want %v", err, message.ErrClosed)
	}
	if report := storetest.Check(t, dir); report.Messages != 1 {
		t.Errorf("the log holds %d messages, want 1", report.Messages)
	}
}

func TestTailWakesReaders(t *testing.T) {
	l := storetest.Open(t)
	tail, grown := l.Tail()
	if tail != 0 {
		t.Errorf("an empty log ends at %d", tail)
	}
	go l.Append(text("x"))
	<-grown
	if records, err := l.Read(nil, tail+1, 10); len(records) != 1 || err != nil {
		t.Errorf("got %d records, %v, want 1", len(records), err)
	}
}

func TestDirectoryInUseIsRefused(t *testing.T) {
	l := storetest.Open(t)
	_, err := store.Open(store.Options{Dir: l.Dir})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a second open gives %v", err)
	}
	// From another process too.
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childDir+"="+l.Dir)
	if out, err := command.Output(); err == nil || !strings.Contains(string(out), "in use by another process") {
		t.Errorf("a second process says %q, %v", out, err)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]store.Options{
		"no directory":   {},
		"a file":         {Dir: blocked},
		"small files":    {Dir: t.TempDir(), FileSize: 1000},
		"a small limit":  {Dir: t.TempDir(), Limit: 1 << 20},
		"a negative age": {Dir: t.TempDir(), RetentionAge: -1},
	} {
		if s, err := store.Open(options); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %v", name, err)
		}
	}
}

func TestFilesThatAKillLeftAreCleared(t *testing.T) {
	l := storetest.Open(t)
	l.Append(text("kept"))
	dir := l.Dir
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"000099.vlog", "00099.mem"} {
		if err := os.WriteFile(filepath.Join(dir, "log", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "log", "000098.vlog"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := storetest.Open(t, storetest.In(dir))
	if records, err := again.Read(nil, 1, 10); err != nil || len(records) != 1 {
		t.Errorf("got %d records, %v, want 1", len(records), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "damaged", "000098.vlog")); err != nil {
		t.Errorf("the short file was not set aside: %v", err)
	}
}
