package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onStdin lets the command read text.
func onStdin(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stdin
	os.Stdin = file
	t.Cleanup(func() {
		os.Stdin = was
		file.Close()
	})
}

func TestPasswdPrintsAHash(t *testing.T) {
	for in, code := range map[string]int{
		"water level 7": 0, "water level 7\n": 0, "water level 7\r\n": 0,
		"": exitUsage, "\n": exitUsage, "two\nlines\n": exitUsage, strings.Repeat("x", 5000): exitUsage,
	} {
		onStdin(t, in)
		out, got := tool(t, "passwd")
		if got != code || strings.HasPrefix(out, "$argon2id$v=19$m=19456,t=2,p=1$") != (code == 0) || strings.Contains(out, "water") {
			t.Errorf("%.20q: printed %q and left with %d, want %d", in, out, got, code)
		}
	}
}

func TestPasswdWritesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ann.password")
	for _, c := range []struct{ before, after os.FileMode }{{0, 0o600}, {0o600, 0o600}, {0o640, 0o640}, {0o666, 0o640}} {
		if c.before != 0 {
			if err := os.Chmod(path, c.before); err != nil {
				t.Fatal(err)
			}
		}
		onStdin(t, "water level 7\n")
		if out, code := tool(t, "passwd", "--file", path); code != 0 || out != "" {
			t.Errorf("left with %d and printed %q", code, out)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != c.after {
			t.Errorf("the mode was %v and is %v, want %v", c.before, info.Mode().Perm(), c.after)
		}
		data, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(data), "$argon2id$") || strings.Count(string(data), "\n") != 1 {
			t.Errorf("the file holds %q, %v", data, err)
		}
	}
	onStdin(t, "water level 7\n")
	if _, code := tool(t, "passwd", "--file", filepath.Join(path, "none")); code != exitFailed {
		t.Errorf("a file in no folder: left with %d", code)
	}
}

// aTerminal gives both ends of a terminal: what a person sees and types, and what a program has.
func aTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	person = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	if err := person.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return person, program
}

func TestPasswdAsksTwiceAndShowsNothing(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"water level 7", "water level 7", "water level 7"},
		{"water level 7", "water level 8", ""},
	} {
		person, program := aTerminal(t)
		type result struct {
			password []byte
			err      error
		}
		asked := make(chan result, 1)
		go func() {
			password, err := askTwice(t.Context(), program)
			asked <- result{password, err}
		}()
		screen := bufio.NewReader(person)
		seen := ""
		for _, typed := range []string{c.first, c.second} {
			question, err := screen.ReadString(':')
			if err != nil {
				t.Fatal(err)
			}
			seen += question
			if _, err := person.WriteString(typed + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		got := <-asked
		if string(got.password) != c.want || (got.err == nil) != (c.want != "") {
			t.Errorf("%q and %q: got %q, %v", c.first, c.second, got.password, got.err)
		}
		// What comes last is what the program writes now: nothing of the password was before it.
		if _, err := program.WriteString("end\n"); err != nil {
			t.Fatal(err)
		}
		for !strings.HasSuffix(strings.TrimSpace(seen), "end") {
			line, err := screen.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			seen += line
		}
		if strings.Contains(seen, "water") {
			t.Errorf("the screen shows %q", seen)
		}
		if settings, err := terminal(program); err != nil || settings.Lflag&unix.ECHO == 0 {
			t.Errorf("the terminal shows nothing any more: %v", err)
		}
	}
}

func TestPasswdCanBeInterrupted(t *testing.T) {
	person, program := aTerminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := askTwice(ctx, program)
		asked <- err
	}()
	if _, err := bufio.NewReader(person).ReadString(':'); err != nil {
		t.Fatal(err)
	}
	interrupt()
	select {
	case err := <-asked:
		if err == nil {
			t.Error("there was no password, but no error either")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on asking")
	}
	if settings, err := terminal(program); err != nil || settings.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal shows nothing any more: %v", err)
	}
}
