package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/message"
	"sluice/store"
)

// tool runs the command and gives what it wrote to standard output, and its exit code.
func tool(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	was := os.Stdout
	os.Stdout = file
	err = command(t.Context(), args)
	os.Stdout = was
	if err != nil {
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: more than one line: %v", args, err)
		}
		code = exitFailed
		if _, mistaken := errors.AsType[usageError](err); mistaken {
			code = exitUsage
		}
		t.Logf("%v: %v", args, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	written, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(written), code
}

// aLog makes a log with four messages and a cursor; it is open until close is called.
func aLog(t *testing.T) (dir string, end func()) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	s, err := store.Open(store.Options{Dir: dir, FileSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []message.Message{
		{Topic: "readings/g/press", Device: "press", Seq: 7, Payload: []byte(`{"v":1}`), Time: 1795345665221, QoS: 1},
		{Topic: "a/b", Payload: []byte("two\nlines"), Time: 1795345665222},
		{Topic: "a/c", Payload: []byte{0xff, 0}, Time: 1795345665223},
		{Topic: "a/b", Payload: []byte("last"), Time: 1795345665224, Properties: []message.Property{{Name: "n", Value: "1"}}},
	} {
		if err := s.Append(context.Background(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.OpenCursor("uplink/cloud/#", 3); err != nil {
		t.Fatal(err)
	}
	return dir, func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogTools(t *testing.T) {
	dir, end := aLog(t)
	if _, code := tool(t, "log", "check", dir); code != exitFailed {
		t.Errorf("checking a log in use exits with %d", code)
	}
	end()
	if out, code := tool(t, "log", "check", dir); code != 0 || !strings.Contains(out, "is sound") || !strings.Contains(out, "4 messages") {
		t.Errorf("check exits with %d and says %q", code, out)
	}
	out, code := tool(t, "log", "stat", dir)
	for _, want := range []string{"positions  1 to 4", "uplink/cloud/#", "press   7", "never"} {
		if !strings.Contains(out, want) {
			t.Errorf("stat exits with %d and lacks %q in\n%s", code, want, out)
		}
	}
	out, _ = tool(t, "log", "stat", "--json", dir)
	var sum store.Summary
	if err := json.Unmarshal([]byte(out), &sum); err != nil || sum.Messages != 4 || len(sum.Cursors) != 1 {
		t.Errorf("stat --json gives %+v, %v", sum, err)
	}

	if out, _ := tool(t, "log", "dump", dir, "--topic", "a/b"); out != "2  2026-11-22T11:07:45.222Z  a/b  \"two\\nlines\"\n4  2026-11-22T11:07:45.224Z  a/b  last\n" {
		t.Errorf("dump of a/b is\n%s", out)
	}
	out, _ = tool(t, "log", "dump", "--from", "2", "--to", "3", "--json", dir)
	if want := `{"position":2,"time":"2026-11-22T11:07:45.222Z","topic":"a/b","qos":0,"payload":"two\nlines"}` + "\n" +
		`{"position":3,"time":"2026-11-22T11:07:45.223Z","topic":"a/c","qos":0,"payload_base64":"/wA="}` + "\n"; out != want {
		t.Errorf("dump of 2 to 3 is\n%s\nwant\n%s", out, want)
	}
	if out, _ := tool(t, "log", "dump", "--count", "1", dir); strings.Count(out, "\n") != 1 || !strings.Contains(out, "press #7") {
		t.Errorf("dump of one is %q", out)
	}

	file := filepath.Join(t.TempDir(), "export")
	if _, code := tool(t, "log", "export", dir, "--out", file); code != 0 {
		t.Fatalf("export exits with %d", code)
	}
	restored := filepath.Join(t.TempDir(), "restored")
	if _, code := tool(t, "log", "restore", "--in", file, restored); code != 0 {
		t.Fatalf("restore exits with %d", code)
	}
	all, _ := tool(t, "log", "dump", "--json", dir)
	if again, _ := tool(t, "log", "dump", "--json", restored); again != all || strings.Count(all, "\n") != 4 {
		t.Errorf("restored is\n%s\nwas\n%s", again, all)
	}
	streamed, code := tool(t, "log", "export", restored)
	if code != 0 || !strings.HasPrefix(streamed, "SluiceLog1\n") {
		t.Errorf("export to standard output exits with %d", code)
	}
	if _, code := tool(t, "log", "restore", "--in", file, restored); code != exitUsage {
		t.Errorf("restoring over a log exits with %d", code)
	}
	if err := os.Truncate(file, 50); err != nil {
		t.Fatal(err)
	}
	if _, code := tool(t, "log", "restore", "--in", file, filepath.Join(t.TempDir(), "x")); code != exitFailed {
		t.Errorf("restoring half an export exits with %d", code)
	}
}

func TestLogToolsNameMistakes(t *testing.T) {
	dir, end := aLog(t)
	end()
	for _, args := range [][]string{
		{"log"}, {"log", "what"}, {"log", "check"}, {"log", "check", t.TempDir()}, {"log", "stat", dir, dir}, {"log", "dump", "--topic", "a#", dir},
		{"log", "dump", "--from", "x", dir}, {"log", "restore", "--in", "/nowhere/at/all", filepath.Join(t.TempDir(), "x")},
		{"log", "export", "--out", dir, dir},
	} {
		if _, code := tool(t, args...); code != exitUsage {
			t.Errorf("%v exits with %d, want %d", args, code, exitUsage)
		}
	}
}

func TestLogCheckFindsDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(store.Options{Dir: dir, FileSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, 200<<10) // it cannot be compressed, so that it lies in the value log
	rand.NewChaCha8([32]byte{1}).Read(payload)
	m := message.Message{Topic: "a", Payload: payload}
	if err := errors.Join(s.Append(t.Context(), &m, nil, 0), s.Close()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "log", "*.vlog"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 60; i < len(content); i++ {
			content[i] ^= 0x55
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, code := tool(t, "log", "check", dir)
	if code != exitFailed || !strings.Contains(out, "block 1 to 1") {
		t.Errorf("check exits with %d and says %q", code, out)
	}
	if _, code := tool(t, "log", "dump", dir); code != 0 {
		t.Errorf("dumping what is left exits with %d", code)
	}
}
