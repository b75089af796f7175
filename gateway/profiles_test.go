package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/collectors"
	drivers "sluice/collectors/all"
	"sluice/collectors/bus"
	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/modbus/modbussim"
	"sluice/collectors/profiles"
	"sluice/collectors/simulated"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

func TestEveryProfileReadsItsGoldenReading(t *testing.T) {
	for _, name := range profiles.Names() {
		t.Run(name, func(t *testing.T) {
			p, err := profiles.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := drivers.Drivers(nil, nil)[p.Driver]; !ok {
				t.Skipf("the driver %s is not in this build", p.Driver)
			}
			var got message.Reading
			switch p.Driver {
			case "modbus":
				got = readModbus(t, p)
			case "dlt645", "dlt645-1997":
				got = readDLT645(t, p)
			case "mbus":
				got = readAnswers(t, p, answerMBus, func(frame []byte) string { return strconv.Itoa(int(frame[5])) })
			case "cjt188":
				got = readAnswers(t, p, answerCJT188, func(frame []byte) string {
					number := slices.Clone(frame[2:9]) // low byte first
					slices.Reverse(number)
					return fmt.Sprintf("%q", hex.EncodeToString(number))
				})
			case "simulated":
				got = readSimulated(t, p)
			default:
				t.Fatalf("nobody plays a device of the driver %s here", p.Driver)
			}
			compareReading(t, got, p.Golden.Values)
		})
	}
}

// readSimulated reads at a quarter past a minute, of which the golden values are.
func readSimulated(t *testing.T, p *profiles.Profile) (r message.Reading) {
	t.Helper()
	c, err := config.Parse("profile.yaml", fmt.Appendf(nil, "devices: [{name: it, profile: %s}]\n", p.Name), Kinds())
	if err != nil {
		t.Fatal(err)
	}
	driver := &simulated.Driver{Now: func() time.Time { return time.Unix(60*1000+15, 0) }}
	device, err := driver.Open("it", c.Devices[0].Options)
	if err != nil {
		t.Fatal(err)
	}
	if err := device.Read(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// openProfile opens a device that says nothing but its profile, its address and keys.
func openProfile(t *testing.T, p *profiles.Profile, keys string, buses *bus.Set) collectors.Device {
	t.Helper()
	text := fmt.Sprintf("buses: [{name: line, serial: /dev/null}]\ndevices: [{name: it, profile: %s, %s}]\n", p.Name, keys)
	c, err := config.Parse("profile.yaml", []byte(text), Kinds())
	if err != nil {
		t.Fatal(err)
	}
	d := c.Devices[0]
	device, err := drivers.Drivers(buses, nil)[d.Driver].Open(d.Name, d.Options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	return device
}

func newBuses(t *testing.T, lines map[string]bus.Settings) *bus.Set {
	t.Helper()
	buses, err := bus.NewSet(lines)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { buses.Close() })
	return buses
}

func readOnce(t *testing.T, device collectors.Device) (r message.Reading) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := device.Read(ctx, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// runSimulator runs one until the test ends.
func runSimulator(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx); err != nil {
			t.Errorf("simulator: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

var tables = map[string]modbussim.Table{
	"coil": modbussim.Coils, "discrete": modbussim.Discretes, "input": modbussim.Inputs, "holding": modbussim.Holdings,
}

func readModbus(t *testing.T, p *profiles.Profile) message.Reading {
	t.Helper()
	var sim modbussim.Server
	if err := sim.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	there := map[modbussim.Table]*[1 << 16]bool{}
	for _, table := range tables {
		there[table] = new([1 << 16]bool)
	}
	for at, words := range p.Golden.Registers {
		area, number, _ := strings.Cut(at, ":")
		table, known := tables[area]
		start, err := strconv.ParseUint(number, 10, 16)
		if !known || err != nil {
			t.Fatalf("golden register %q: %v", at, err)
		}
		for i, word := range strings.Fields(words) {
			v, err := strconv.ParseUint(word, 16, 16)
			if err != nil || len(word) != 4 {
				t.Fatalf("golden register %s: %q is not a word", at, word)
			}
			sim.Set(table, uint16(start)+uint16(i), uint16(v))
			there[table][int(start)+i] = true
		}
	}
	if gap, ok := p.Defaults["max_gap"].(uint64); ok && gap == 0 {
		removeTheRest(&sim, there) // what is not asked for must not be read along
	}
	runSimulator(t, sim.Run)
	return readOnce(t, openProfile(t, p, fmt.Sprintf("address: \"tcp://%s\"", sim.Addr()), newBuses(t, nil)))
}

func removeTheRest(sim *modbussim.Server, there map[modbussim.Table]*[1 << 16]bool) {
	for table, cells := range there {
		for start := 0; start < len(cells); {
			end := start
			for end < len(cells) && !cells[end] {
				end++
			}
			if end > start {
				sim.Remove(table, uint16(start), end-start)
			}
			for start = end; start < len(cells) && cells[start]; {
				start++
			}
		}
	}
}

func readDLT645(t *testing.T, p *profiles.Profile) message.Reading {
	t.Helper()
	line, err := dlt645sim.Open(dlt645sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for id, data := range p.Golden.Data {
		code, err := strconv.ParseUint(id, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		held, err := hex.DecodeString(strings.ReplaceAll(data, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		line.Set(uint32(code), held)
	}
	runSimulator(t, line.Run)
	buses := newBuses(t, map[string]bus.Settings{"line": {Serial: line.Path(), Silence: time.Millisecond}})
	return readOnce(t, openProfile(t, p, fmt.Sprintf("address: \"bus://line\", meter: %q", dlt645sim.DefaultMeter), buses))
}

// readAnswers lets the driver ask a meter behind a socket that has nothing but its answers. answer
// gives what it says to what it has received, if that is whole.
func readAnswers(t *testing.T, p *profiles.Profile, answer func(received, frame []byte) []byte, meter func(frame []byte) string) message.Reading {
	t.Helper()
	frame, err := hex.DecodeString(strings.ReplaceAll(p.Golden.Answers[0], " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	runSimulator(t, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { listener.Close() })()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return nil // closed
			}
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			converse(conn, frame, answer)
			stop()
			conn.Close()
		}
	})
	return readOnce(t, openProfile(t, p, fmt.Sprintf("address: \"tcp://%s\", meter: %s", listener.Addr(), meter(frame)), newBuses(t, nil)))
}

func converse(conn net.Conn, frame []byte, answer func(received, frame []byte) []byte) {
	var received []byte
	buffer := make([]byte, 512)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		received = append(received, buffer[:n]...)
		if said := answer(received, frame); said != nil {
			received = nil
			if _, err := conn.Write(said); err != nil {
				return
			}
		}
	}
}

// answerMBus acknowledges what sets a link up and answers what asks for data.
func answerMBus(received, frame []byte) []byte {
	switch {
	case len(received) >= 5 && received[0] == 0x10 && received[1]&0x0F == 0x0B:
		return frame
	case len(received) >= 5 && received[0] == 0x10, len(received) >= 9 && received[0] == 0x68:
		return []byte{0xE5}
	}
	return nil
}

func answerCJT188(received, frame []byte) []byte {
	if start := bytes.IndexByte(received, 0x68); start >= 0 && len(received) >= start+16 {
		return frame
	}
	return nil
}

func compareReading(t *testing.T, r message.Reading, want map[string]any) {
	t.Helper()
	if len(r.Points) != len(want) {
		t.Errorf("%d points, want %d", len(r.Points), len(want))
	}
	for _, p := range r.Points {
		expected, ok := want[p.Name]
		switch {
		case !ok:
			t.Errorf("%s has no golden value", p.Name)
		case p.Error != "":
			t.Errorf("%s: %s", p.Name, p.Error)
		case !sameValue(p.Value, expected):
			t.Errorf("%s is %v, want %v", p.Name, p.Value, expected)
		}
	}
}

// sameValue allows a number what a 32-bit float cannot hold of it.
func sameValue(got message.Value, want any) bool {
	switch want := want.(type) {
	case bool, string:
		return got.String() == fmt.Sprint(want) || got.String() == strconv.Quote(fmt.Sprint(want))
	default:
		number, err := strconv.ParseFloat(fmt.Sprint(want), 64)
		f, ok := got.Float()
		return err == nil && ok && math.Abs(f-number) <= 1e-6*max(1, math.Abs(number))
	}
}

func TestTheTableOfProfilesIsUpToDate(t *testing.T) {
	const name = "../docs/profiles.md"
	var want bytes.Buffer
	if err := profiles.WriteTable(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(name, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the profiles say; go test ./gateway -run Profiles -update writes it", name)
	}
}
