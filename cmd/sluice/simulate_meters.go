package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"sluice/collectors/bus/pty"
	"sluice/collectors/cjt188/cjt188sim"
	"sluice/collectors/hj212/hj212sim"
	"sluice/collectors/iec62056/iec62056sim"
	"sluice/collectors/mbus/mbussim"
	"sluice/collectors/sml/smlsim"
)

// meterFlags are the flags that every simulated meter on a serial line has.
func meterFlags(kind string, faults any) (flags *flag.FlagSet, link, fault *string) {
	flags = flag.NewFlagSet("sluice simulate "+kind, flag.ContinueOnError)
	link = flags.String("link", "", "a symbolic link to the serial port, which changes its name with every start")
	fault = flags.String("fault", "", fmt.Sprintf("misbehave on every request: %v", faults))
	return flags, link, fault
}

func simulateCJT188(ctx context.Context, args []string) error {
	flags, link, fault := meterFlags("cjt188", cjt188sim.Faults())
	if err := parse(flags, args); err != nil {
		return err
	}
	line, err := cjt188sim.New(cjt188sim.Options{Preamble: 3, Delay: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	line.Misbehave(cjt188sim.Fault(*fault))
	wire, err := openWire(*link)
	if err != nil {
		return err
	}
	for _, m := range cjt188sim.DefaultMeters() {
		fmt.Printf("a CJ/T 188 meter %s of type %02X on %s\n", m.Number, m.Type, wire.Path())
	}
	err = line.Serve(ctx, wire)
	fmt.Printf("saw %+v\n", line.Seen())
	return err
}

func openWire(link string) (*pty.Line, error) {
	if link != "" {
		return pty.OpenAt(link)
	}
	return pty.Open()
}

func simulateIEC62056(ctx context.Context, args []string) error {
	flags, link, fault := meterFlags("iec62056", iec62056sim.Faults())
	mode := flags.String("mode", "c", "a, b, c or d of IEC 62056-21, or p1 for the port of Dutch meters")
	if err := parse(flags, args); err != nil {
		return err
	}
	line, err := iec62056sim.Open(iec62056sim.Options{Mode: *mode, Link: *link})
	if err != nil {
		return usageError{err}
	}
	line.Misbehave(iec62056sim.Fault(*fault))
	fmt.Printf("an IEC 62056-21 meter in mode %s on %s\n", *mode, line.Path())
	err = errors.Join(line.Run(ctx), line.Close())
	fmt.Printf("saw %+v\n", line.Seen())
	return err
}

func simulateSML(ctx context.Context, args []string) error {
	flags, link, fault := meterFlags("sml", smlsim.Faults())
	every := flags.Duration("every", time.Second, "time between two telegrams")
	if err := parse(flags, args); err != nil {
		return err
	}
	line, err := smlsim.Open(smlsim.Options{Every: *every, Link: *link})
	if err != nil {
		return err
	}
	line.Misbehave(smlsim.Fault(*fault))
	fmt.Printf("an SML meter, 9600 8N1, on %s\n", line.Path())
	err = errors.Join(line.Run(ctx), line.Close())
	fmt.Printf("did %+v\n", line.Seen())
	return err
}

func simulateMBus(ctx context.Context, args []string) error {
	flags, link, fault := meterFlags("mbus", mbussim.Faults())
	if err := parse(flags, args); err != nil {
		return err
	}
	line, err := mbussim.Open(mbussim.Options{Link: *link, Delay: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	line.Misbehave(mbussim.Fault(*fault))
	fmt.Printf("an M-Bus heat meter, primary address 1, on %s\n", line.Path())
	err = errors.Join(line.Run(ctx), line.Close())
	fmt.Printf("saw %+v\n", line.Seen())
	return err
}

func simulateHJ212(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sluice simulate hj212", flag.ContinueOnError)
	to := flags.String("to", "127.0.0.1:9212", "where the gateway listens for data loggers")
	mn := flags.String("mn", hj212sim.DefaultMN, "the logger's number")
	every := flags.Duration("every", 10*time.Second, "time between two reports")
	fault := flags.String("fault", "", fmt.Sprintf("misbehave: %v", hj212sim.Faults()))
	if err := parse(flags, args); err != nil {
		return err
	}
	logger := hj212sim.New(hj212sim.Options{Address: *to, MN: *mn, Password: hj212sim.DefaultPassword, Interval: *every})
	logger.Misbehave(hj212sim.Fault(*fault))
	fmt.Printf("an HJ 212 data logger %s that reports to %s\n", *mn, *to)
	err := logger.Run(ctx)
	fmt.Printf("saw %+v\n", logger.Seen())
	return err
}
