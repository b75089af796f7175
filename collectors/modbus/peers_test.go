package modbus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/message"
)

const python = "/usr/bin/python3"

// pymodbusServer holds the plant's registers at count 7 as another implementation encodes them, and
// has nothing beyond register 120.
const pymodbusServer = `
import sys
from pymodbus.constants import Endian
from pymodbus.payload import BinaryPayloadBuilder
from pymodbus.datastore import ModbusSlaveContext, ModbusServerContext, ModbusSequentialDataBlock
from pymodbus.server import StartTcpServer

values = [float(v) for v in sys.argv[2].split(",")]
b = BinaryPayloadBuilder(byteorder=Endian.Big, wordorder=Endian.Big)
b.add_32bit_uint(int(values[0]))
b.add_32bit_float(values[1])
swapped = BinaryPayloadBuilder(byteorder=Endian.Big, wordorder=Endian.Little)
swapped.add_32bit_float(values[2])
rest = BinaryPayloadBuilder(byteorder=Endian.Big, wordorder=Endian.Big)
rest.add_16bit_int(int(values[3]))
rest.add_16bit_uint(4 if values[4] else 0)
rest.add_64bit_int(int(values[5]))
rest.add_64bit_float(values[6])
rest.add_string("PRESS-7 LINE-3\0\0")
registers = b.to_registers() + swapped.to_registers() + rest.to_registers()
registers += [0] * (100 - len(registers)) + [40] + [0] * 20
slave = ModbusSlaveContext(
    di=ModbusSequentialDataBlock(0, [0, 1] * 10), co=ModbusSequentialDataBlock(0, [1, 0] * 10),
    ir=ModbusSequentialDataBlock(0, list(range(20))), hr=ModbusSequentialDataBlock(0, registers),
    zero_mode=True)
StartTcpServer(context=ModbusServerContext(slaves=slave, single=True), address=("127.0.0.1", int(sys.argv[1])))
`

func TestForeignServerIsRead(t *testing.T) {
	requirePeer(t, python, "-c", "import pymodbus.server, pymodbus.payload")
	v := modbussim.ValuesAt(7)
	running := 0
	if v.Running {
		running = 1
	}
	port := freePort(t)
	start(t, exec.Command(python, "-c", pymodbusServer, port,
		fmt.Sprintf("%d,%v,%v,%d,%d,%d,%v", v.Counter, v.Temperature, v.Pressure, v.Level, running, v.Total, v.Ratio)))
	waitForPort(t, port)

	points := append(plantPoints(),
		Point{Name: "coil", Address: address("coil:2")}, Point{Name: "discrete", Address: address("discrete:2")},
		Point{Name: "input", Address: address("30011")}, Point{Name: "missing", Address: address("holding:121")})
	d := open(t, options("tcp://127.0.0.1:"+port, points...))
	want := append(plantReading(7),
		message.Point{Name: "coil", Value: message.Bool(true)}, message.Point{Name: "discrete", Value: message.Bool(false)},
		message.Point{Name: "input", Value: message.Uint(10)},
		message.Point{Name: "missing", Error: "exception 2: illegal data address"})
	for range 100 {
		got, err := read(t, d)
		if err != nil {
			t.Fatal(err)
		}
		if problem := samePoints(got, want); problem != nil {
			t.Fatal(problem)
		}
	}
	for _, value := range []string{"42", "65535"} {
		back, err := d.Write(t.Context(), "setpoint", json.RawMessage(value))
		if err != nil || back.String() != value {
			t.Errorf("setpoint = %s: got %v, %v", value, back, err)
		}
	}
}

func TestForeignClientReadsTheSimulator(t *testing.T) {
	requirePeer(t, "mbpoll", "-V")
	server := &modbussim.Server{}
	plant := newPlant(server)
	for range 6 {
		plant.Step()
	}
	server.Set(modbussim.Coils, 3, 1)
	server.Set(modbussim.Inputs, 10, 1234)
	server.Remove(modbussim.Holdings, 500, 1)
	_, port, err := net.SplitHostPort(serve(t, server))
	if err != nil {
		t.Fatal(err)
	}
	v := modbussim.ValuesAt(7)
	for _, test := range []struct{ arguments, want string }{
		{"-t 4:int -B -r 0 -c 1", fmt.Sprintf("[0]: \t%d", v.Counter)},
		{"-t 4:float -B -r 2 -c 1", fmt.Sprintf("[2]: \t%g", v.Temperature)},
		{"-t 4:float -r 4 -c 1", fmt.Sprintf("[4]: \t%g", v.Pressure)},
		{"-t 4 -r 6 -c 1", fmt.Sprintf("[6]: \t%d (%d)", uint16(v.Level), v.Level)},
		{"-t 4 -r 100 -c 1", "[100]: \t40"},
		{"-t 3 -r 10 -c 1", "[10]: \t1234"},
		{"-t 0 -r 2 -c 3", "[2]: \t0\n[3]: \t1\n[4]: \t0"},
		{"-t 4 -r 500 -c 1", "Illegal data address"},
		{"-t 4 -r 65535 -c 2", "Illegal data address"},
	} {
		out := mbpoll(t, port, strings.Fields(test.arguments+" -1")...)
		if !strings.Contains(out, test.want) {
			t.Errorf("mbpoll %s printed\n%s\nwant %q", test.arguments, out, test.want)
		}
	}
	mbpoll(t, port, "-t", "4", "-r", "100", "127.0.0.1", "--", "42", "43")
	mbpoll(t, port, "-t", "0", "-r", "7", "127.0.0.1", "1")
	if got := []uint16{server.Value(modbussim.Holdings, 100), server.Value(modbussim.Holdings, 101), server.Value(modbussim.Coils, 7)}; got[0] != 42 || got[1] != 43 || got[2] != 1 {
		t.Errorf("mbpoll wrote %v, want 42 43 1", got)
	}
	if n := len(server.Counts().Writes); n != 2 {
		t.Errorf("%d writes counted, want 2", n)
	}
}

// mbpoll runs the libmodbus client; the host comes last unless the arguments have it.
func mbpoll(t *testing.T, port string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	all := append([]string{"-m", "tcp", "-0", "-p", port, "-a", "1"}, arguments...)
	if !strings.Contains(strings.Join(arguments, " "), "127.0.0.1") {
		all = append(all, "127.0.0.1")
	}
	out, err := exec.CommandContext(ctx, "mbpoll", all...).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("mbpoll %v hung: %v\n%s", all, err, out)
	}
	return string(out)
}

// start runs a program until the test ends.
func start(t *testing.T, command *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			t.Logf("%s printed:\n%s", command.Path, out.String())
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// waitForPort waits for a foreign process, whose time cannot be simulated.
func waitForPort(t *testing.T, port string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens on %s: %v", port, err)
		}
	}
}
