package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"sluice/collectors/modbus/modbussim"
)

func TestDevicesAreFoundFromTheCommandLine(t *testing.T) {
	device := &modbussim.Server{}
	if err := device.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- device.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	_, port, _ := strings.Cut(device.Addr(), ":")
	out, code := tool(t, "find", "net", "127.0.0.1/32", "--ports", port)
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) != 3 || !strings.HasPrefix(lines[0], "PLACE") || !strings.Contains(lines[1], "127.0.0.1:"+port) || !strings.Contains(lines[1], "holding:0 = 0") {
		t.Errorf("left with %d and printed\n%s", code, out)
	}
	out, code = tool(t, "find", "net", "--ports", port, "--units", "7-8", "--json", "127.0.0.1/32")
	var units []string
	for line := range strings.Lines(out) {
		var d struct {
			Unit string `json:"unit"`
			YAML string `json:"yaml"`
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil || !strings.Contains(d.YAML, "unit: "+d.Unit) {
			t.Errorf("%s: %v", line, err)
		}
		units = append(units, d.Unit)
	}
	if code != 0 || strings.Join(units, " ") != "7 8" {
		t.Errorf("left with %d and printed\n%s", code, out)
	}
	if out, code := tool(t, "find", "net", "127.0.0.1/32", "--ports", port, "--yaml"); code != 0 || !strings.Contains(out, "devices:\n") {
		t.Errorf("left with %d and printed\n%s", code, out)
	}
	for _, args := range [][]string{
		{}, {"bus"}, {"net"}, {"net", "here"}, {"net", "10.0.0.0/8"}, {"net", "127.0.0.1/32", "--ports", "x"}, {"net", "127.0.0.1/32", "--ports", "70000"},
		{"serial"}, {"serial", "ttyS1"}, {"serial", "/dev/null", "--bauds", "9601"}, {"serial", "/dev/null", "--parities", "some"},
		{"serial", "/dev/null", "--protocols", "modbus-tcp"}, {"serial", "/dev/null", "--units", "300"}, {"serial", "/dev/null", "more"},
	} {
		if _, code := tool(t, append([]string{"find"}, args...)...); code != exitUsage {
			t.Errorf("%q left with %d, want %d", args, code, exitUsage)
		}
	}
	if out, code := tool(t, "find", "serial", "/dev/nothing-here"); code != exitFailed || !strings.Contains(out, "nothing was found") {
		t.Errorf("a port that is not there: left with %d and printed %s", code, out)
	}
}
