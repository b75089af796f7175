package store

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
)

// smallState is all of it, as text.
func smallState(t *testing.T, s *Store) map[string]string {
	t.Helper()
	state, exact := describe(t, s)
	maps.Copy(state, exact)
	for _, c := range s.Cursors() {
		state["cursor "+c.Name] = fmt.Sprint(c.Position, c.Session)
	}
	return state
}

func TestExportsCarryTheSmallState(t *testing.T) {
	source := smallSpecimen(t)
	s := standingWith(t, source)
	retain(t, s, "large", strings.Repeat("large", 50<<10))
	retain(t, s, "small", "small")
	publish(t, s, message.Message{Topic: "t"})
	if err := s.remove(s.index.oldest(3), 0); err != nil { // not what is carried
		t.Fatal(err)
	}
	if err := s.carry(s.index.tail); err != nil {
		t.Fatal(err)
	}
	retain(t, s, "new", "after the checkpoint")
	want := smallState(t, s)
	admin, err := OpenAdmin(filepath.Join(t.TempDir(), "admin"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for i := range 300 {
		if err := admin.PutUser(User{Name: fmt.Sprint("u", i), Role: "reader", PasswordHash: []byte("hash")}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := admin.AddRevision(Revision{Author: "me", Text: strings.Repeat(fmt.Sprint(i), 100<<10)}); err != nil {
			t.Fatal(err)
		}
		if err := admin.AddAudit(Audit{User: "me", Action: "sign-in"}); err != nil {
			t.Fatal(err)
		}
	}
	settleAll(s)
	var stream bytes.Buffer
	sum, err := s.BackupWith(t.Context(), &stream, admin, nil)
	if err != nil || sum.Values == 0 || sum.Admin != 306 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, adminDir := range []string{"", filepath.Join(t.TempDir(), "admin")} {
		dir := filepath.Join(t.TempDir(), "log")
		if adminDir != "" {
			dir = filepath.Join(filepath.Dir(adminDir), "log")
		}
		restored, err := RestoreWith(t.Context(), dir, adminDir, bytes.NewReader(stream.Bytes()), nil)
		if err != nil || restored.Values != sum.Values || restored.Admin != 306 {
			t.Fatalf("%+v, %v", restored, err)
		}
		s := standingWith(t, dir)
		if got := smallState(t, s); !maps.Equal(got, want) {
			t.Errorf("restored is\n%v, want\n%v", got, want)
		}
		r, known, err := s.Retained("large")
		if err != nil || !known || len(r.Payload) != 250<<10 {
			t.Errorf("large has %d bytes, %v, %v", len(r.Payload), known, err)
		}
		settleAll(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		sound(t, dir)
		if adminDir == "" {
			continue
		}
		again, err := OpenAdmin(adminDir)
		if err != nil {
			t.Fatal(err)
		}
		users, err := again.Users()
		revisions, _ := again.Revisions(0, 10)
		audits, _ := again.Audits(0, 10, nil)
		if err != nil || len(users) != 300 || len(revisions) != 3 || revisions[0].Number != 3 || len(revisions[0].Text) != 100<<10 || len(audits) != 3 {
			t.Errorf("restored are %d users, %d revisions, %d audit records, %v", len(users), len(revisions), len(audits), err)
		}
		if err := again.AddRevision(Revision{Text: "x"}); err != nil {
			t.Error(err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, stagingDir)); err == nil {
			t.Error("the staging folder is left")
		}
	}
	// The closed log gives the same.
	c, err := OpenClosed(source)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var other bytes.Buffer
	if closed, err := c.ExportWith(t.Context(), &other, admin, nil); err != nil || closed.Values < sum.Values || closed.Admin != 306 {
		t.Errorf("%+v, %v", closed, err)
	}
}

// What the head passes while a backup is written is in it nevertheless.
func TestBackupsHaveWhatIsCarriedMeanwhile(t *testing.T) {
	s := standingWith(t, t.TempDir())
	for i := range 20 {
		retain(t, s, fmt.Sprint("r/", i), strings.Repeat("x", 30<<10))
	}
	publish(t, s, message.Message{Topic: "t"})
	s.small.replay.begin(time.Now())
	settleAll(s)
	var stream bytes.Buffer
	trimmed := false
	_, err := s.Backup(t.Context(), &stream, func(Exported) {
		if !trimmed {
			trimmed = true
			if err := s.remove(s.index.oldest(18), s.index.tail); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || !trimmed {
		t.Fatalf("trimmed %v, %v", trimmed, err)
	}
	dir := filepath.Join(t.TempDir(), "log")
	if _, err := Restore(t.Context(), dir, &stream, nil); err != nil {
		t.Fatal(err)
	}
	s = standingWith(t, dir)
	if got := len(strings.Fields(retainedTopics(t, s, "#"))); got != 20 {
		t.Errorf("%d retained messages are restored, want 20", got)
	}
}

// An export whose values are not sound is refused, wherever the bytes were changed.
func TestExportsWithUnsoundValuesAreRefused(t *testing.T) {
	key := smallKey(smallSession, 0)
	for name, frame := range map[string][]byte{
		"a value that is damaged":      appendValues(nil, []exportedValue{{key, append(sealSmall(key, present, smallSeeds()[smallSession]), 1)}}),
		"another key":                  appendValues(nil, []exportedValue{{smallKey(smallSession, 1), sealSmall(key, present, smallSeeds()[smallSession])}}),
		"a key of the log's":           appendValues(nil, []exportedValue{{stateKey, state{epoch: 1, head: 1}.value()}}),
		"an empty slot":                appendValues(nil, []exportedValue{{key, sealSmall(key, absent, nil)}}),
		"fewer values than it says":    {2, 0, 0},
		"a slot beyond all bounds":     appendValues(nil, []exportedValue{{smallKey(smallSession, 1<<31), sealSmall(smallKey(smallSession, 1<<31), present, smallSeeds()[smallSession])}}),
		"a carried message that isn't": appendValues(nil, []exportedValue{{carriedKey(1), []byte("nothing of the kind")}}),
	} {
		if list, err := decodeValues(nil, frame, soundSmall); err == nil {
			t.Errorf("%s: %v is taken", name, list)
		}
	}
}
