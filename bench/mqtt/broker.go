package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// contestant is one broker in one configuration.
type contestant struct {
	name string
	// command writes what configuration the broker needs into dir and says how it is started, to
	// listen on a port of 127.0.0.1.
	command func(dir string, port int) ([]string, error)
}

// running is a broker's process.
type running struct {
	contestant
	dir    string
	port   int
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	wrong  error // how it ended, once exited is closed
}

func (r *running) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }
func (r *running) pid() int        { return r.cmd.Process.Pid }

// start runs a broker on an empty directory and returns once it lets clients in.
func (c contestant) start(ctx context.Context, dir string) (*running, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	r := &running{contestant: c, dir: dir, port: port, log: filepath.Join(dir, "log")}
	return r, r.again(ctx)
}

// again starts it on the directory and port that it had.
func (r *running) again(ctx context.Context) error {
	args, err := r.command(r.dir, r.port)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, r.dir
	cmd.Env = append(os.Environ(), "SLUICE_ADMIN_PASSWORD=bench-password")
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", r.name, err)
	}
	r.cmd, r.exited = cmd, make(chan struct{})
	go func() {
		defer close(r.exited)
		r.wrong = cmd.Wait()
	}()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := greet(r.address())
		if err == nil {
			return nil
		}
		if dead := r.alive(); dead != nil {
			return dead
		}
		if time.Since(began) > 30*time.Second {
			r.kill()
			return fmt.Errorf("%s lets nobody in: %w", r.name, err)
		}
	}
}

// alive says how the broker ended, with the end of what it wrote, if it has.
func (r *running) alive() error {
	select {
	case <-r.exited:
		text, _ := os.ReadFile(r.log)
		return fmt.Errorf("%s ended by itself: %w: …%s", r.name, errors.Join(r.wrong), text[max(0, len(text)-500):])
	default:
		return nil
	}
}

// kill is kill -9.
func (r *running) kill() {
	_ = r.cmd.Process.Kill() // it may have ended by itself
	<-r.exited
}

// greet connects as a client does.
func greet(address string) error {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	hello := []byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04ping")
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	var answer [4]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if answer[0] != 0x20 || answer[3] != 0 {
		return fmt.Errorf("CONNECT was answered with % x", answer)
	}
	_, err = conn.Write([]byte{0xe0, 0})
	return err
}

// freePort is below the ports that outgoing connections take, so that nobody is on it when a broker
// comes back.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
