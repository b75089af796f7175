package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"sluice/bridge/cloudsim"
	"sluice/collectors/dlt645/dlt645sim"
)

func simulate(ctx context.Context, args []string) error {
	kinds := map[string]func(context.Context, []string) error{
		"modbus":   simulateModbus,
		"dlt645":   simulateDLT645,
		"cjt188":   simulateCJT188,
		"iec62056": simulateIEC62056,
		"sml":      simulateSML,
		"mbus":     simulateMBus,
		"hj212":    simulateHJ212,
		"cloud":    simulateCloud,
	}
	names := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	if len(args) == 0 {
		return usageErrorf("simulate what? There are %s", names)
	}
	run, known := kinds[args[0]]
	if !known {
		return usageErrorf("there is no simulator %q; there are %s", args[0], names)
	}
	return run(ctx, args[1:])
}

func simulateDLT645(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sluice simulate dlt645", flag.ContinueOnError)
	meters := flags.String("meters", dlt645sim.DefaultMeter, "meter numbers on the line, comma separated")
	link := flags.String("link", "", "a symbolic link to the serial port, which changes its name with every start")
	delay := flags.Duration("delay", 20*time.Millisecond, "from a request to its answer")
	fault := flags.String("fault", "", fmt.Sprintf("misbehave on every request: %v", dlt645sim.Faults()))
	if err := parse(flags, args); err != nil {
		return err
	}
	line, err := dlt645sim.Open(dlt645sim.Options{Meters: strings.Split(*meters, ","), Link: *link, Delay: *delay, Preamble: 4})
	if err != nil {
		return err
	}
	if *fault != "" {
		line.Misbehave(dlt645sim.Fault(*fault))
	}
	fmt.Printf("DL/T 645-2007 meters %s on %s\n", *meters, line.Path())
	err = line.Run(ctx)
	fmt.Printf("saw %+v\n", line.Seen())
	return err
}

func simulateCloud(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sluice simulate cloud", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:1884", "address of the simulated MQTT broker")
	record := flags.String("record", "", "file that every payload is appended to, and synced, before it is acknowledged")
	topics := flags.Bool("topics", false, "record the topic before each payload")
	delay := flags.Duration("ack-delay", 0, "time from a message to its acknowledgement")
	silent := flags.Bool("silent", false, "accept connections and never answer")
	dropAt := flags.Int("drop-at", 0, "cut every connection at its n-th message")
	if err := parse(flags, args); err != nil {
		return err
	}
	checker := &cloudsim.Checker{}
	server, err := cloudsim.Listen(*listen, cloudsim.Options{Record: *record, Topics: *topics, Checker: checker})
	if err != nil {
		return err
	}
	server.SetFaults(cloudsim.Faults{AckDelay: *delay, Silent: *silent, DropAt: *dropAt})
	fmt.Printf("an MQTT broker on %s\n", server.Addr())
	err = server.Run(ctx)
	report := checker.Report()
	fmt.Fprintf(os.Stdout, "received %d readings, %d gaps, %d duplicates, %d reordered\n",
		report.Received, report.Gaps, report.Duplicates, report.Reordered)
	return err
}
