package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/collectors/modbus/modbussim"
)

// dialects are those that --dialect knows, each with what is spoken and whether a serial line carries it.
var dialects = map[string]struct {
	speaks modbussim.Dialect
	serial bool
}{
	"tcp":            {modbussim.TCP, false},
	"rtu":            {modbussim.RTU, true},
	"ascii":          {modbussim.ASCII, true},
	"rtu-over-tcp":   {modbussim.RTU, false},
	"ascii-over-tcp": {modbussim.ASCII, false},
}

func simulateModbus(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sluice simulate modbus", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:5020", "address of the simulated device")
	unit := flags.Uint("unit", 0, "the only unit id that is answered; 0: every one")
	every := flags.Duration("every", 100*time.Millisecond, "time between two changes of its values")
	fault := flags.String("fault", "", "misbehave on every request, for example silence, slow:500ms, exception:6, garbage")
	dialect := flags.String("dialect", "", "what it speaks: "+strings.Join(slices.Sorted(maps.Keys(dialects)), ", ")+"; default: tcp, and on a serial line rtu")
	path := flags.String("serial", "", "speak on this serial port in place of a socket; where there is none, a pseudo-terminal of that name is made; pty: one without a name of yours")
	baud := flags.Int("baud", 9600, "baud rate of the serial line; 0: on a pseudo-terminal characters take no time")
	parity := flags.String("parity", "none", "parity of the serial line: none, even or odd")
	stop := flags.Int("stop-bits", 1, "stop bits of the serial line")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *unit > 255 {
		return usageErrorf("a unit id is 0 to 255, not %d", *unit)
	}
	if *dialect == "" {
		*dialect = "tcp"
		if *path != "" {
			*dialect = "rtu"
		}
	}
	speaks, known := dialects[*dialect]
	switch {
	case !known:
		return usageErrorf("there is no dialect %q; there are %s", *dialect, strings.Join(slices.Sorted(maps.Keys(dialects)), ", "))
	case speaks.serial && *path == "":
		return usageErrorf("%s is spoken on a serial line: name one with --serial, or choose --dialect %s-over-tcp", *dialect, *dialect)
	case !speaks.serial && *path != "":
		return usageErrorf("%s is not spoken on a serial line; choose --dialect rtu or ascii", *dialect)
	}
	server := &modbussim.Server{Unit: byte(*unit), Dialect: speaks.speaks}
	if *fault != "" {
		f, err := modbussim.ParseFault(*fault)
		if err != nil {
			return usageError{err}
		}
		server.Always(f)
	}
	run := server.Run
	if *path == "" {
		if err := server.Listen(*listen); err != nil {
			return err
		}
		fmt.Printf("a Modbus device that speaks %s on %s\n", *dialect, server.Addr())
	} else {
		line, name, err := openSerial(modbussim.Serial{Path: *path, Baud: *baud, Parity: *parity, Stop: *stop})
		if err != nil {
			return err
		}
		fmt.Printf("a Modbus device that speaks %s on %s\n", *dialect, name)
		run = func(ctx context.Context) error { return speakOn(ctx, server, line, name) }
	}
	plant := &modbussim.Plant{Server: server, Every: *every}
	var stopped error
	var moving sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	moving.Go(func() { stopped = plant.Run(ctx) })
	err := run(ctx)
	cancel()
	moving.Wait()
	err = errors.Join(err, stopped)
	seen := server.Counts()
	fmt.Printf("saw %d connections, requests by function %v, %d writes\n", seen.Connections, seen.Requests, len(seen.Writes))
	return err
}

func openSerial(s modbussim.Serial) (io.ReadWriteCloser, string, error) {
	if s.Path == "pty" {
		s.Path = ""
	}
	return s.Open()
}

// speakOn serves a serial line until ctx ends. That the line goes away before is an error.
func speakOn(ctx context.Context, server *modbussim.Server, line io.ReadWriteCloser, name string) error {
	var closed error
	hangUp := sync.OnceFunc(func() { closed = line.Close() })
	stop := context.AfterFunc(ctx, hangUp)
	defer stop()
	server.Serve(ctx, struct{ io.ReadWriter }{line}) // a fault that closes connections has none to close here
	hangUp()
	if ctx.Err() == nil {
		return errors.Join(fmt.Errorf("%s has gone", name), closed)
	}
	return closed
}
