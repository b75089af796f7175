package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sluice/gateway/message"
	"sluice/store"
)

// filled makes a closed log with messages of one payload, and a user of the same name.
func filled(t *testing.T, dir, payload string, n int) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	durable := make(chan error, n)
	for range n {
		m := message.Message{Topic: "t", Payload: []byte(payload)}
		if err := s.Append(ctx, &m, message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { durable <- err }), 0); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		if err := <-durable; err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := errors.Join(<-ran, s.Close()); err != nil {
		t.Fatal(err)
	}
	admin, err := store.OpenAdmin(filepath.Join(dir, "admin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(admin.PutUser(store.User{Name: payload, Role: "viewer"}), admin.Close()); err != nil {
		t.Fatal(err)
	}
}

// holds tells what a folder holds: the payload of its messages, how many, and whether its user agrees.
func holds(t *testing.T, dir string) string {
	t.Helper()
	report, err := store.Check(dir)
	if err != nil || len(report.Findings) > 0 {
		t.Fatalf("check %s: %v, %v", dir, err, report.Findings)
	}
	log, err := store.OpenClosed(dir)
	if err != nil {
		t.Fatal(err)
	}
	payload, n := "", 0
	err = log.Records(1, 1<<40, func(r *message.Record) error {
		payload = string(r.Payload)
		n++
		return nil
	})
	if err := errors.Join(err, log.Close()); err != nil {
		t.Fatal(err)
	}
	admin, err := store.OpenAdmin(filepath.Join(dir, "admin"))
	if err != nil {
		t.Fatal(err)
	}
	_, known, err := admin.User(payload)
	if err := errors.Join(err, admin.Close()); err != nil || !known {
		t.Fatalf("the log is %q, but there is no such user: %v", payload, err)
	}
	return fmt.Sprintf("%s %d", payload, n)
}

// backupOf gives a backup of a log like filled makes it.
func backupOf(t *testing.T, payload string, n int) []byte {
	t.Helper()
	dir := t.TempDir()
	filled(t, dir, payload, n)
	log, err := store.OpenClosed(dir)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := store.OpenAdmin(filepath.Join(dir, "admin"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_, err = log.ExportWith(t.Context(), &b, admin, nil)
	if err := errors.Join(err, admin.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func copied(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

var errKilled = errors.New("killed")

// killedAt does nothing any more from its nth step on.
func killedAt(n int) (before func(string) error, reached *int) {
	reached = new(int)
	return func(string) error {
		*reached++
		if *reached > n {
			return errKilled
		}
		return nil
	}, reached
}

func TestAReplacementThatIsKilledLeavesOneOfTheTwo(t *testing.T) {
	backup := backupOf(t, "new", 30)
	old := t.TempDir()
	filled(t, old, "old", 20)

	for n := 0; ; n++ { // while it is prepared: always the old one
		dir := copied(t, old)
		before, reached := killedAt(n)
		_, err := store.PrepareStepwise(t.Context(), dir, backup, before)
		if err == nil {
			break
		}
		if !errors.Is(err, errKilled) || *reached != n+1 {
			t.Fatalf("step %d: %v", n, err)
		}
		if _, _, err := store.Settle(dir); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		if got := holds(t, dir); got != "old 20" {
			t.Errorf("killed at step %d of preparing, the folder holds %s", n, got)
		}
	}

	prepared := copied(t, old)
	if _, err := store.Prepare(t.Context(), prepared, "admin", false, bytes.NewReader(backup), nil); err != nil {
		t.Fatal(err)
	}
	if got := holds(t, prepared); got != "old 20" {
		t.Errorf("prepared, the folder holds %s", got)
	}
	steps := 0
	for n := 0; ; n++ { // while it is settled: the new one, at the next start
		dir := copied(t, prepared)
		before, _ := killedAt(n)
		_, _, err := store.SettleStepwise(dir, before)
		if err == nil {
			break
		}
		steps++
		again, _ := killedAt(n / 2) // and killed a second time
		if _, _, err := store.SettleStepwise(dir, again); err != nil && !errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", n, err)
		}
		last, known, err := store.Settle(dir)
		if err != nil || !known || last.State != "trying" {
			t.Fatalf("step %d: %+v, %v", n, last, err)
		}
		if got := holds(t, dir); got != "new 30" {
			t.Errorf("killed at step %d of settling, the folder holds %s", n, got)
		}
		if err := store.Prove(dir); err != nil {
			t.Fatal(err)
		}
		for _, gone := range []string{"restored", "before-restore"} {
			if _, err := os.Stat(filepath.Join(dir, gone)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", gone, err)
			}
		}
	}
	if steps < 8 {
		t.Errorf("there were only %d steps", steps)
	}

	settled := copied(t, prepared)
	if _, _, err := store.Settle(settled); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ { // while it is undone, because three starts have proved nothing: the old one
		dir := copied(t, settled)
		for range 2 {
			if last, _, err := store.Settle(dir); err != nil || last.State != "trying" {
				t.Fatalf("%+v, %v", last, err)
			}
		}
		before, _ := killedAt(n)
		_, _, killed := store.SettleStepwise(dir, before)
		last, _, err := store.Settle(dir)
		if err != nil || last.State != "undone" || last.Error == "" {
			t.Fatalf("step %d: %+v, %v", n, last, err)
		}
		if got := holds(t, dir); got != "old 20" {
			t.Errorf("killed at step %d of undoing, the folder holds %s", n, got)
		}
		if killed == nil {
			break
		}
	}
}

func TestAReplacementThatCannotBeUsedIsUndone(t *testing.T) {
	backup := backupOf(t, "new", 3)
	dir := t.TempDir()
	filled(t, dir, "old", 2)
	if _, err := store.Prepare(t.Context(), dir, "admin", true, bytes.NewReader(backup), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Settle(dir); err != nil {
		t.Fatal(err)
	}
	last, err := store.Undo(dir, errors.New("it does not open"))
	if err != nil || last.State != "undone" || last.Error != "it does not open" || last.By != "admin" {
		t.Errorf("%+v, %v", last, err)
	}
	if got := holds(t, dir); got != "old 2" {
		t.Errorf("the folder holds %s", got)
	}
	// The next one works, and keeps the log that it took the place of.
	if _, err := store.Prepare(t.Context(), dir, "admin", true, bytes.NewReader(backup), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Settle(dir); err != nil {
		t.Fatal(err)
	}
	if err := store.Prove(dir); err != nil {
		t.Fatal(err)
	}
	if got := holds(t, dir) + ", " + holds(t, filepath.Join(dir, "before-restore")); got != "new 3, old 2" {
		t.Errorf("the folders hold %s", got)
	}
}

func TestABrokenBackupReplacesNothing(t *testing.T) {
	backup := backupOf(t, "new", 30)
	dir := t.TempDir()
	filled(t, dir, "old", 2)
	for _, broken := range [][]byte{nil, []byte("PK\x03\x04"), backup[:len(backup)-1], append(bytes.Clone(backup[:len(backup)/2]), 'x')} {
		if _, err := store.Prepare(t.Context(), dir, "admin", false, bytes.NewReader(broken), nil); err == nil {
			t.Errorf("%d bytes were taken for a backup", len(broken))
		}
		if last, known, err := store.Settle(dir); err != nil || known {
			t.Errorf("something waits: %+v, %v", last, err)
		}
	}
	if got := holds(t, dir); got != "old 2" {
		t.Errorf("the folder holds %s", got)
	}
}
