package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice/bench/measure"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// window is what a line of a tool reports over: its last ten snapshots, one a second.
const window = 9 * time.Second

// tool is one of Apache's benchmark programs at work. They never end by themselves.
type tool struct {
	cmd    *exec.Cmd
	dir    string
	exited chan struct{}
	first  chan struct{} // closed with the first line, whatever it says

	mu    sync.Mutex // guards what follows
	lines []timed
	said  []string // other lines, for when it fails
	wrong error
}

type timed struct {
	line
	at time.Time
}

// toolHeap is large enough that a tool's collector is no part of what is measured.
var toolHeap = []string{"-Xms512m", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"}

// runTool starts a tool against a server. It reports every second from the tenth on.
func (p *plan) runTool(s *server, name string, args ...string) (*tool, error) {
	dir, err := os.MkdirTemp(p.work, "tool-")
	if err != nil {
		return nil, err
	}
	args = append([]string{"-n", s.nameServer, "-ri", "1000"}, args...)
	command, err := rocketmqtest.Benchmark(name, dir, toolHeap, args...)
	if err != nil {
		return nil, err
	}
	t := &tool{cmd: exec.Command(command[0], command[1:]...), dir: dir, exited: make(chan struct{}), first: make(chan struct{})}
	t.cmd.Dir = dir
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t.cmd.Stdout, t.cmd.Stderr = write, write
	err = t.cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go t.follow(read)
	return t, nil
}

func (t *tool) follow(out io.ReadCloser) {
	defer close(t.exited)
	defer out.Close()
	text := bufio.NewScanner(out)
	for began := false; text.Scan(); {
		l, ok, err := parseLine(text.Text())
		t.mu.Lock()
		switch {
		case err != nil:
			t.wrong = err
		case ok:
			t.lines = append(t.lines, timed{l, time.Now()})
		default:
			t.said = append(t.said[max(0, len(t.said)-9):], text.Text())
		}
		t.mu.Unlock()
		if !began {
			began = true
			close(t.first)
		}
	}
	_ = t.cmd.Wait() // it is killed
}

func (t *tool) pid() int { return t.cmd.Process.Pid }

func (t *tool) kill() {
	_ = t.cmd.Process.Kill() // it may have ended by itself
	<-t.exited
	_ = os.RemoveAll(t.dir) // so is the directory above, at the end
}

// latest is the last line, once there is one.
func (t *tool) latest() (l timed, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return l, false
	}
	return t.lines[len(t.lines)-1], true
}

// report waits until the tool has run for as long as was asked, and longer if it has nothing to say
// then; on a busy machine Java takes its time to start.
func (t *tool) report(ctx context.Context, s *server, length time.Duration) (timed, error) {
	for began := time.Now(); ; measure.Pause(ctx, 20*time.Millisecond) {
		l, ok := t.latest()
		// A line that was printed at the end of the length, not one of a second ago.
		if ok && time.Since(began) >= length && time.Since(l.at) < 900*time.Millisecond {
			return l, nil
		}
		if err := errors.Join(s.alive(), ctx.Err()); err != nil {
			return l, err
		}
		t.mu.Lock()
		said, wrong := strings.Join(t.said, "; "), t.wrong
		t.mu.Unlock()
		if wrong != nil {
			return l, wrong
		}
		select {
		case <-t.exited:
			return l, fmt.Errorf("the tool ended by itself: %s", said)
		default:
		}
		if time.Since(began) > length+time.Minute {
			return l, fmt.Errorf("the tool says nothing in %v: %s", length+time.Minute, said)
		}
	}
}

// producer is the command line of the synchronous producer.
func producer(topic string, threads, size int) []string {
	return []string{"-t", topic, "-w", strconv.Itoa(threads), "-s", strconv.Itoa(size)}
}
