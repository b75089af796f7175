// Command sluice is the gateway and its tools in one binary. Here are flags and exit codes, nothing
// else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes: 0 done, 1 it failed while doing, 2 it could not begin because what the user gave is
// wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

// version is set by build.sh.
var version = "unknown"

const usage = `Sluice brings every reading that a PLC or a meter gave up to the cloud, in order.

  sluice run --config FILE      run the gateway; SIGTERM stops it, SIGHUP applies the changed file
  sluice init --config FILE     write the configuration of a fresh gateway, to be set up on the page
  sluice check --config FILE    name every mistake in a configuration
  sluice uplink test NAME       say step by step whether an uplink of a configuration reaches its cloud
  sluice find serial PORT       look for devices on a serial line, at all usual settings
  sluice find net NETWORK       look for devices in a network such as 192.168.1.0/24
  sluice points TOOL            tables of points into a configuration, and a device's points into tables
  sluice get [NAME]             read from gateways that run: status, devices/press, config devices.press.interval …
  sluice set PATH=VALUE …       change the configuration of gateways that run
  sluice apply FILE             make a file the configuration of gateways that run
  sluice firmware TOOL          update the whole system of boxes with two slots for it
  sluice watch [WHAT]           print values, states or records of gateways that run as they change
  sluice demo                   simulated devices, a gateway and a cloud on this machine
  sluice simulate KIND          one simulated device or cloud: modbus, dlt645, cjt188, iec62056, sml, mbus, hj212, cloud
  sluice log TOOL DIR           look at, export or restore the log of a stopped gateway
  sluice passwd                 make the hash of a password, for an MQTT user's password_file
  sluice version                say which version this is

Each command explains its flags with -h.
`

// usageError is a mistake of the one who typed the command or wrote the configuration.
type usageError struct{ error }

func usageErrorf(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := command(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if _, mistaken := errors.AsType[usageError](err); mistaken {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return usageErrorf("which command?")
	}
	name, rest := args[0], args[1:]
	switch name {
	case "run":
		return run(ctx, rest)
	case "init":
		return initialise(rest)
	case "check":
		return check(rest)
	case "uplink":
		return uplink(ctx, rest)
	case "find":
		return find(ctx, rest)
	case "points":
		return points(ctx, rest)
	case "get":
		return get(ctx, rest)
	case "set":
		return set(ctx, rest)
	case "apply":
		return apply(ctx, rest)
	case "firmware":
		return updateBoxes(ctx, rest)
	case "watch":
		return watch(ctx, rest)
	case "demo":
		return runDemo(ctx, rest)
	case "simulate":
		return simulate(ctx, rest)
	case "log":
		return logTool(ctx, rest)
	case "passwd":
		return passwd(ctx, rest)
	case "version":
		fmt.Println("sluice", version)
		return nil
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	}
	fmt.Fprint(os.Stderr, usage)
	return usageErrorf("there is no command %q", name)
}
