package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/gateway/access"
	"sluice/gateway/config"
)

// passwd makes a password's hash: from a terminal, where the password is typed twice and not shown,
// or else from standard input.
func passwd(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sluice passwd", flag.ContinueOnError)
	file := flags.String("file", "", "file that gets the hash; without it, it is printed")
	if err := parse(flags, args); err != nil {
		return err
	}
	password, err := readPassword(ctx)
	if err != nil {
		return err
	}
	hash, err := access.HashPassword(password)
	if err != nil {
		return usageError{err}
	}
	if *file == "" {
		fmt.Println(hash)
		return nil
	}
	return writeHash(*file, hash)
}

func readPassword(ctx context.Context) ([]byte, error) {
	if _, err := terminal(os.Stdin); err != nil {
		return readLine(os.Stdin)
	}
	// Opened anew, this one can be interrupted.
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the terminal: %w", err)
	}
	defer tty.Close()
	return askTwice(ctx, tty)
}

// longestPassword is more than what is allowed, so that what is too long is refused and not cut.
const longestPassword = 64 << 10

// readLine takes one line, and the end of the file for its end.
func readLine(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, longestPassword))
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	line := bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if bytes.ContainsAny(line, "\r\n") {
		return nil, usageErrorf("the password has more than one line")
	}
	return line, nil
}

func askTwice(ctx context.Context, tty *os.File) ([]byte, error) {
	before, err := terminal(tty)
	if err != nil {
		return nil, fmt.Errorf("ask the terminal for its settings: %w", err)
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	if err := setTerminal(tty, &silent); err != nil {
		return nil, fmt.Errorf("keep the terminal from showing the password: %w", err)
	}
	defer setTerminal(tty, before) //nolint:errcheck // there is nobody left to tell
	stop := context.AfterFunc(ctx, func() { tty.SetReadDeadline(time.Now()) })
	defer stop()
	var typed [2][]byte
	for i, question := range []string{"Password: ", "Once more: "} {
		if _, err := io.WriteString(tty, question); err != nil {
			return nil, fmt.Errorf("write to the terminal: %w", err)
		}
		typed[i], err = typedLine(tty)
		if ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		if err != nil {
			return nil, fmt.Errorf("read the password: %w", err)
		}
	}
	if !bytes.Equal(typed[0], typed[1]) {
		return nil, usageErrorf("the two are not the same")
	}
	return typed[0], nil
}

// typedLine reads what was typed up to the end of the line, which the terminal has not shown either.
func typedLine(tty *os.File) ([]byte, error) {
	defer io.WriteString(tty, "\n") //nolint:errcheck // the next question tells
	line := make([]byte, 0, 128)
	for one := make([]byte, 1); ; line = append(line, one[0]) {
		if _, err := tty.Read(one); err != nil {
			return nil, err
		}
		if one[0] == '\n' {
			return line, nil
		}
	}
}

// terminal gives a terminal's settings. It does not take Fd, which would make reading from it
// impossible to interrupt.
func terminal(f *os.File) (settings *unix.Termios, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) { settings, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	return settings, errors.Join(failed, err)
}

func setTerminal(f *os.File, settings *unix.Termios) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) { err = unix.IoctlSetTermios(int(fd), unix.TCSETSF, settings) })
	return errors.Join(failed, err)
}

// writeHash puts the hash where only its owner and group can read it. A file that is there keeps its
// owner: the gateway must be able to read it, too, when it is root who changes the password.
func writeHash(path, hash string) error {
	before, err := os.Stat(path)
	if err == nil {
		if err := os.Chmod(path, before.Mode().Perm()&^0o137); err != nil {
			return err
		}
	}
	if err := config.WriteAtomic(path, []byte(hash+"\n")); err != nil {
		return err
	}
	if owner, ok := ownerOf(before); ok && os.Geteuid() == 0 {
		return os.Chown(path, int(owner.Uid), int(owner.Gid))
	}
	return nil
}

func ownerOf(info os.FileInfo) (*syscall.Stat_t, bool) {
	if info == nil {
		return nil, false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return owner, ok
}
