package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"sluice/bench/measure"
)

// contestant is one broker in one configuration.
type contestant struct {
	name string
	// command writes what configuration the broker needs into dir and says how it is started, to
	// listen on an address.
	command func(dir, address string) ([]string, error)
}

// running is a broker's process.
type running struct {
	*measure.Process
	contestant
	dir, address string
}

// start runs a broker on an empty directory and returns once it lets clients in.
func (c contestant) start(ctx context.Context, dir string) (*running, error) {
	address, err := measure.FreeAddress()
	if err != nil {
		return nil, err
	}
	r := &running{contestant: c, dir: dir, address: address}
	return r, r.again(ctx)
}

// again starts it on the directory and address that it had.
func (r *running) again(ctx context.Context) error {
	args, err := r.command(r.dir, r.address)
	if err != nil {
		return err
	}
	process, err := measure.Start(r.name, r.dir, filepath.Join(r.dir, "log"), []string{"SLUICE_ADMIN_PASSWORD=bench-password"}, args...)
	if err != nil {
		return err
	}
	r.Process = process
	return r.Until(ctx, func() error { return greet(r.address) })
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
