//go:build linux

package nighttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// lacking ends a test that this machine cannot run: a failure where peers are required, so that CI
// never passes by having run nothing.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s, and SLUICE_REQUIRE_PEERS=1", what)
	}
	t.Skip(what)
}

// need skips the test unless all the commands are there.
func need(t *testing.T, commands ...string) {
	t.Helper()
	for _, command := range commands {
		if _, err := exec.LookPath(command); err != nil {
			lacking(t, command+" is not installed (.ci/peers installs it)")
		}
	}
}

// process is one running command. It ends with the test, whatever happens.
type process struct {
	name   string
	output string // the file that holds what it wrote to stdout and stderr
	cmd    *exec.Cmd
	ended  chan struct{} // closed once it has ended; err is valid then
	err    error
}

// start runs a command. Its environment is ours with env added.
func (s site) start(t *testing.T, name string, env []string, command ...string) *process {
	t.Helper()
	output, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	p := &process{name: name, output: output.Name(), cmd: exec.Command(command[0], command[1:]...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = output, output
	// Pdeathsig: not even a test binary that panics leaves processes behind.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.do(p.cmd.Start); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, tail(p.output, 40))
		}
	})
	return p
}

// kill ends the process and all its children with SIGKILL and waits for it.
func (p *process) kill() {
	select {
	case <-p.ended:
		return
	default:
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// terminate sends SIGTERM and tells how long the process took to end with which exit code, -1 for
// a signal. One that does not end within limit is killed.
func (p *process) terminate(limit time.Duration) (code int, took time.Duration, err error) {
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return -1, 0, fmt.Errorf("%s had ended before SIGTERM: %w", p.name, errors.Join(err, p.err))
	}
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), time.Since(begin), nil
	case <-time.After(limit):
		p.kill()
		return -1, limit, fmt.Errorf("%s did not end within %v of SIGTERM", p.name, limit)
	}
}

// alive fails the test when the process has ended by itself.
func (p *process) alive(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
		t.Fatalf("%s has ended by itself: %v\n%s", p.name, p.err, tail(p.output, 40))
	default:
	}
}

// until waits for something that must come about, and names it when it does not. The limit is
// there to end a hopeless wait, not to judge speed.
func until(t *testing.T, limit time.Duration, what string, come func() bool) {
	t.Helper()
	for begin := time.Now(); !come(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > limit {
			t.Fatalf("waited %v in vain for %s", limit, what)
		}
	}
}

func tail(path string, lines int) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	all := bytes.SplitAfter(content, []byte("\n"))
	return bytes.Join(all[max(0, len(all)-lines-1):], nil)
}

func TestKillReachesTheWholeProcessGroup(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "alive")
	p := site{}.start(t, "shell", nil, "sh", "-c", `sh -c 'while :; do touch `+marker+`; sleep 0.05; done' & wait`)
	until(t, 10*time.Second, "the child's mark", func() bool { _, err := os.Stat(marker); return err == nil })
	p.kill()
	os.Remove(marker)
	time.Sleep(300 * time.Millisecond)
	if _, err := os.Stat(marker); err == nil {
		t.Error("the killed shell's child still runs")
	}
}
