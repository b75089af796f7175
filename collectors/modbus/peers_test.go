package modbus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/collectors/bus"
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
from pymodbus.server import StartTcpServer, StartSerialServer
from pymodbus.transaction import ModbusSocketFramer, ModbusRtuFramer, ModbusAsciiFramer

framers = {"tcp": ModbusSocketFramer, "rtu": ModbusRtuFramer, "ascii": ModbusAsciiFramer}
framer, place = framers[sys.argv[1]], sys.argv[2]
values = [float(v) for v in sys.argv[3].split(",")]
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
context = ModbusServerContext(slaves=slave, single=True)
if place.startswith("/"):
    StartSerialServer(context=context, framer=framer, port=place, baudrate=115200, timeout=0.01)
else:
    StartTcpServer(context=context, framer=framer, address=("127.0.0.1", int(place)))
`

// startPymodbus runs the server on a port of the loopback or on a serial line.
func startPymodbus(t *testing.T, framer, place string) {
	t.Helper()
	v := modbussim.ValuesAt(7)
	running := 0
	if v.Running {
		running = 1
	}
	start(t, exec.Command(python, "-c", pymodbusServer, framer, place,
		fmt.Sprintf("%d,%v,%v,%d,%d,%d,%v", v.Counter, v.Temperature, v.Pressure, v.Level, running, v.Total, v.Ratio)))
}

func TestForeignServerIsRead(t *testing.T) {
	requirePeer(t, python, "-c", "import pymodbus.server, pymodbus.payload")
	for _, framer := range []string{"tcp", "rtu", "ascii"} {
		t.Run(framer, func(t *testing.T) {
			port := freePort(t)
			startPymodbus(t, framer, port)
			scheme := framer + "+tcp"
			if framer == "tcp" {
				scheme = "tcp"
			}
			d := open(t, foreignOptions(scheme+"://127.0.0.1:"+port))
			awaitForeign(t, d)
			readForeign(t, d, 100)
		})
	}
}

func TestForeignServerOnASerialLineIsRead(t *testing.T) {
	requirePeer(t, python, "-c", "import pymodbus.server, pymodbus.payload, serial")
	requirePeer(t, "socat", "-V")
	for _, framer := range []string{"rtu", "ascii"} {
		t.Run(framer, func(t *testing.T) {
			near, far := cable(t)
			startPymodbus(t, framer, far)
			set := lines(t, map[string]bus.Settings{"hall": {Serial: near, Character: bus.Character{Baud: 115200}}})
			d := openWith(t, &Driver{Buses: set}, foreignOptions(framer+"://hall"))
			awaitForeign(t, d)
			readForeign(t, d, 20)
		})
	}
}

// cable is a pair of serial ports that are connected to each other.
func cable(t *testing.T) (near, far string) {
	t.Helper()
	folder := t.TempDir()
	near, far = filepath.Join(folder, "near"), filepath.Join(folder, "far")
	start(t, exec.Command("socat", "pty,raw,echo=0,link="+near, "pty,raw,echo=0,link="+far))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, a := os.Stat(near)
		_, b := os.Stat(far)
		if a == nil && b == nil {
			return near, far
		}
		if time.Now().After(deadline) {
			t.Fatalf("socat makes no ports: %v, %v", a, b)
		}
	}
}

func foreignOptions(written string) *Options {
	return options(written, append(plantPoints(),
		Point{Name: "coil", Address: address("coil:2")}, Point{Name: "discrete", Address: address("discrete:2")},
		Point{Name: "input", Address: address("30011")}, Point{Name: "missing", Address: address("holding:121")})...)
}

func readForeign(t *testing.T, d *device, polls int) {
	t.Helper()
	want := append(plantReading(7),
		message.Point{Name: "coil", Value: message.Bool(true)}, message.Point{Name: "discrete", Value: message.Bool(false)},
		message.Point{Name: "input", Value: message.Uint(10)},
		message.Point{Name: "missing", Error: "exception 2: illegal data address"})
	for range 3 { // where it ends is learned
		notWrong(t, d, want)
	}
	for range polls {
		good(t, d, want)
	}
	for _, value := range []string{"42", "65535"} {
		back, err := d.Write(t.Context(), "setpoint", json.RawMessage(value))
		if err != nil || back.String() != value {
			t.Errorf("setpoint = %s: got %v, %v", value, back, err)
		}
	}
}

// pymodbusClient reads and writes with every function and prints what it gets.
const pymodbusClient = `
import sys
from pymodbus.client import ModbusTcpClient, ModbusSerialClient
from pymodbus.transaction import ModbusSocketFramer, ModbusRtuFramer, ModbusAsciiFramer

framers = {"tcp": ModbusSocketFramer, "rtu": ModbusRtuFramer, "ascii": ModbusAsciiFramer}
framer, place = framers[sys.argv[1]], sys.argv[2]
if place.startswith("/"):
    c = ModbusSerialClient(port=place, framer=framer, baudrate=115200, timeout=5)
else:
    c = ModbusTcpClient("127.0.0.1", port=int(place), framer=framer, timeout=5)
assert c.connect()
def show(name, answer, field=None):
    if answer.isError():
        print(name, "error", getattr(answer, "exception_code", answer))
    else:
        print(name, getattr(answer, field) if field else "done")
show("holding", c.read_holding_registers(100, 1, slave=1), "registers")
show("input", c.read_input_registers(10, 2, slave=1), "registers")
coils = c.read_coils(2, 3, slave=1); coils.bits = coils.bits[:3]; show("coils", coils, "bits")
show("register", c.write_register(200, 7, slave=1))
show("registers", c.write_registers(201, [8, 9], slave=1))
show("coil", c.write_coil(20, True, slave=1))
show("some coils", c.write_coils(21, [True, False, True], slave=1))
show("mask", c.mask_write_register(200, 0xFFEF, 0x0010, unit=1))
show("swap", c.readwrite_registers(read_address=200, read_count=3, write_address=203, write_registers=[10], unit=1), "registers")
show("hole", c.read_holding_registers(500, 1, slave=1))
c.close()
`

const pymodbusSees = `holding [40]
input [1234, 0]
coils [False, True, False]
register done
registers done
coil done
some coils done
mask done
swap [23, 8, 9]
hole error 2
`

func TestForeignClientUsesEveryFunctionOfTheSimulator(t *testing.T) {
	requirePeer(t, python, "-c", "import pymodbus.client, serial")
	for _, place := range []string{"socket", "serial"} {
		for _, spoken := range []modbussim.Dialect{modbussim.TCP, modbussim.RTU, modbussim.ASCII} {
			if place == "serial" && spoken == modbussim.TCP {
				continue
			}
			t.Run(place+" "+string(spoken), func(t *testing.T) {
				server := &modbussim.Server{Dialect: spoken}
				newPlant(server)
				server.Set(modbussim.Coils, 3, 1)
				server.Set(modbussim.Inputs, 10, 1234)
				server.Remove(modbussim.Holdings, 500, 1)
				var at string
				if place == "serial" {
					at = serveLine(t, server).Path()
				} else {
					_, at, _ = net.SplitHostPort(serve(t, server))
				}
				if out := run(t, python, "-c", pymodbusClient, string(spoken), at); out != pymodbusSees {
					t.Errorf("pymodbus saw\n%s\nwant\n%s", out, pymodbusSees)
				}
				if got := functionsOf(server); !slices.Equal(got, []byte{5, 6, 15, 16, 22, 23}) {
					t.Errorf("functions %v, want each one once", got)
				}
			})
		}
	}
}

// run gives what a program prints.
func run(t *testing.T, path string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, arguments...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return string(out)
}

// modbus-serial is the client and server of Node-RED and of many gateways.
const modbusSerial = "testdata/modbus-serial"

func requireModbusSerial(t *testing.T) {
	t.Helper()
	requirePeer(t, "node", "-e", "require('./"+modbusSerial+"/node_modules/modbus-serial'); require('./"+modbusSerial+"/node_modules/serialport')")
}

func TestModbusSerialReadsTheSimulator(t *testing.T) {
	requireModbusSerial(t)
	for _, way := range []struct {
		mode   string
		spoken modbussim.Dialect
		serial bool
	}{{"tcp", modbussim.TCP, false}, {"rtu+tcp", modbussim.RTU, false}, {"rtu", modbussim.RTU, true}, {"ascii", modbussim.ASCII, true}} {
		t.Run(way.mode, func(t *testing.T) {
			server := &modbussim.Server{Dialect: way.spoken}
			newPlant(server)
			server.Set(modbussim.Coils, 3, 1)
			server.Remove(modbussim.Holdings, 500, 1)
			at := ""
			if way.serial {
				at = serveLine(t, server).Path()
			} else {
				_, at, _ = net.SplitHostPort(serve(t, server))
			}
			want := "setpoint 40\ncoils false,true,false\nwrote 77\nwrote 78,79\nread 77,78,79\nhole Modbus exception 2"
			if out := run(t, "node", modbusSerial+"/client.cjs", way.mode, at); !strings.HasPrefix(out, want) {
				t.Errorf("modbus-serial printed\n%s\nwant\n%s", out, want)
			}
		})
	}
}

func TestModbusSerialServerIsRead(t *testing.T) {
	requireModbusSerial(t)
	points := []Point{
		{Name: "a", Address: address("holding:0"), Access: "rw"}, {Name: "b", Address: address("holding:1")},
		{Name: "in", Address: address("input:5")}, {Name: "on", Address: address("coil:1")},
	}
	check := func(t *testing.T, d *device) {
		t.Helper()
		want := []message.Point{{Name: "a", Value: message.Uint(1000)}, {Name: "b", Value: message.Uint(1001)}, {Name: "in", Value: message.Uint(5)}, {Name: "on", Value: message.Bool(true)}}
		for range 10 {
			good(t, d, want)
		}
		if got, err := d.Write(t.Context(), "a", json.RawMessage("4711")); err != nil || got.String() != "4711" {
			t.Errorf("wrote 4711, got %v, %v", got, err)
		}
	}
	t.Run("tcp", func(t *testing.T) {
		port := freePort(t)
		start(t, exec.Command("node", modbusSerial+"/server.cjs", "tcp", port))
		d := open(t, options("tcp://127.0.0.1:"+port, points...))
		awaitForeign(t, d)
		check(t, d)
	})
	t.Run("rtu", func(t *testing.T) {
		requirePeer(t, "socat", "-V")
		near, far := cable(t)
		start(t, exec.Command("node", modbusSerial+"/server.cjs", "rtu", far))
		set := lines(t, map[string]bus.Settings{"hall": {Serial: near, Character: bus.Character{Baud: 115200}}})
		d := openWith(t, &Driver{Buses: set}, options("rtu://hall", points...))
		awaitForeign(t, d)
		check(t, d)
	})
}

func TestLibmodbusReadsTheSimulatorOnASerialLine(t *testing.T) {
	requirePeer(t, "mbpoll", "-V")
	server := &modbussim.Server{Dialect: modbussim.RTU}
	newPlant(server)
	server.Remove(modbussim.Holdings, 500, 1)
	path := serveLine(t, server).Path()
	rtu := func(arguments ...string) string {
		return run(t, "mbpoll", append([]string{"-m", "rtu", "-b", "115200", "-P", "none", "-0", "-a", "1", "-1"}, arguments...)...)
	}
	if out := rtu("-t", "4", "-r", "100", "-c", "1", path); !strings.Contains(out, "[100]: \t40") {
		t.Errorf("mbpoll printed\n%s\nwant the setpoint", out)
	}
	rtu("-t", "4", "-r", "100", path, "--", "42", "43")
	if got := server.Value(modbussim.Holdings, 101); got != 43 {
		t.Errorf("mbpoll wrote %d, want 43", got)
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

// awaitForeign waits for a foreign process, whose time cannot be simulated.
func awaitForeign(t *testing.T, d *device) {
	t.Helper()
	var r message.Reading
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := d.Read(t.Context(), &r)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come up: %v", err)
		}
	}
}
