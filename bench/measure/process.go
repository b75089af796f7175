package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a program that was started. It does not outlive the one that started it.
type Process struct {
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	wrong  error // how it ended, once exited is closed
}

// Start runs a program in dir, with what it says behind what is in the file log already.
func Start(name, dir, log string, env []string, args ...string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &Process{name: name, cmd: exec.Command(args[0], args[1:]...), log: log, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = out, out, dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.exited)
		p.wrong = p.cmd.Wait()
	}()
	return p, nil
}

// PID is its number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Alive says how it ended, with the end of what it wrote, if it has.
func (p *Process) Alive() error {
	select {
	case <-p.exited:
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s ended by itself: %w: …%s", p.name, errors.Join(p.wrong, errors.New("see its log")), text[max(0, len(text)-500):])
	default:
		return nil
	}
}

// Kill is kill -9; it returns when the process is gone, also one that ended by itself.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// Until waits for greet to succeed, for 30 s at most, and kills the process that does not get there.
func (p *Process) Until(ctx context.Context, greet func() error) error {
	for began := time.Now(); ; Pause(ctx, 5*time.Millisecond) {
		err := greet()
		if err == nil {
			return nil
		}
		if dead := errors.Join(p.Alive(), ctx.Err()); dead != nil {
			p.Kill()
			return dead
		}
		if time.Since(began) > 30*time.Second {
			p.Kill()
			return fmt.Errorf("%s lets nobody in: %w", p.name, err)
		}
	}
}

// FreeAddress is on 127.0.0.1, below the ports that outgoing connections take, so that nobody is on it when a server
// comes back.
func FreeAddress() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}

// Pause ends early with ctx.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Machine is one line about what is measured on.
func Machine() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	cpus, _ := os.ReadFile("/proc/cpuinfo")
	before, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%s, %d cores, kernel %s, load %s", time.Now().Format(time.DateOnly),
		strings.Count(string(cpus), "processor\t:"), strings.TrimSpace(string(kernel)), before)
}

// Say tells whoever waits how far it is.
func Say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
