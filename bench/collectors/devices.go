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

	"sluice/collectors/modbus/modbussim"
)

// devices is this program as simulated Modbus TCP devices in a process of their own: it prints an address for each and
// then, for every line it reads, how many requests they have answered in all. It ends with its input.
func devices(args []string) error {
	if len(args) != 1 {
		return errors.New("devices wants their number")
	}
	count, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	servers := make([]*modbussim.Server, count)
	for i := range servers {
		s := &modbussim.Server{}
		if err := s.Listen("127.0.0.1:0"); err != nil {
			return err
		}
		values := make([]uint16, 10_000)
		for j := range values {
			values[j] = uint16(j)
		}
		s.Set(modbussim.Holdings, 0, values...)
		running.Go(func() { _ = s.Run(ctx) }) // it says only that it has ended
		servers[i] = s
		fmt.Fprintln(os.Stdout, s.Addr())
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var all uint64
		for _, s := range servers {
			for _, n := range s.Counts().Requests {
				all += n
			}
		}
		fmt.Fprintln(os.Stdout, all)
	}
	return nil
}

// park is the simulated devices as the benchmark sees them.
type park struct {
	cmd       *exec.Cmd
	ask       io.WriteCloser
	said      *bufio.Scanner
	addresses []string
}

func startDevices(count int) (*park, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	k := &park{cmd: exec.Command(own, "devices", strconv.Itoa(count))}
	k.cmd.Stderr = os.Stderr
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if k.ask, err = k.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := k.cmd.Start(); err != nil {
		return nil, err
	}
	k.said = bufio.NewScanner(out)
	for range count {
		if !k.said.Scan() {
			k.close()
			return nil, errors.New("the simulated devices ended")
		}
		k.addresses = append(k.addresses, k.said.Text())
	}
	return k, nil
}

// requests is how many have been answered so far.
func (k *park) requests() (uint64, error) {
	if _, err := io.WriteString(k.ask, "\n"); err != nil {
		return 0, err
	}
	if !k.said.Scan() {
		return 0, errors.New("the simulated devices ended")
	}
	return strconv.ParseUint(strings.TrimSpace(k.said.Text()), 10, 64)
}

// answered gives what is an error until the devices have answered so many requests.
func (k *park) answered(n int) func() error {
	return func() error {
		got, err := k.requests()
		if err == nil && got < uint64(n) {
			err = fmt.Errorf("the devices have answered %d requests of %d", got, n)
		}
		return err
	}
}

func (k *park) close() {
	k.ask.Close()
	_ = k.cmd.Wait() // it ends with its input
}
