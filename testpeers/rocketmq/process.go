package rocketmqtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// process is one Java virtual machine.
type process struct {
	name   string
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
	wrong  error // how it ended, once exited is closed
}

// What a Java of today must be told for RocketMQ to unmap its files and to reach into Netty's buffers.
var opened = []string{
	"--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "--add-opens=java.base/java.nio=ALL-UNNAMED",
	"--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED", "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
	"--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED",
}

// machine is the start of a command line that keeps a program's files in dir.
func machine(java, dir string) []string {
	line := append([]string{java}, opened...)
	return append(line, "-Duser.home="+dir, "-Drocketmq.home.dir="+dir, "-Drocketmq.client.logRoot="+dir,
		"-Djava.io.tmpdir="+dir, "-XX:-UsePerfData")
}

// start runs a server; what it prints goes to a file named after it.
func (r *Real) start(name string, line []string) (*process, error) {
	out, err := os.OpenFile(filepath.Join(r.Dir, name+".out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.Dir, out, out
	// Not even a test that panics leaves a JVM behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := r.in(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, dir: r.Dir, cmd: cmd, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		p.wrong = cmd.Wait()
	}()
	return p, nil
}

// alive says how the process ended, if it has.
func (p *process) alive() error {
	select {
	case <-p.exited:
		return fmt.Errorf("the %s ended by itself: %w", p.name, errors.Join(p.wrong, errors.New("see "+p.name+".out")))
	default:
		return nil
	}
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
}

// logs is the end of what servers complained about.
func logs(dir string) string {
	var text []byte
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || (filepath.Ext(path) != ".log" && filepath.Ext(path) != ".out") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		var lines []string
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, "ERROR") || strings.Contains(line, "Exception") || strings.Contains(line, "OutOfMemory") {
				lines = append(lines, line[:min(len(line), 400)])
			}
		}
		if len(lines) > 0 {
			text = fmt.Appendf(text, "== %s\n%s", path, strings.Join(lines[max(0, len(lines)-10):], ""))
		}
		return nil
	})
	return string(text)
}
