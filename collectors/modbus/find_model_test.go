package modbus

import (
	"bytes"
	"context"
	"os/exec"
	"slices"
	"testing"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/modbus/modbussim"
)

// A unit is taken for what it says it is, and else for what its registers show.
func TestPymodbusSaysWhatItIs(t *testing.T) {
	requirePeer(t, python, "-c", "import pymodbus.server, pymodbus.device")
	port := freePort(t)
	start(t, exec.Command(python, "-c", `
import sys
from pymodbus.datastore import ModbusSlaveContext, ModbusServerContext, ModbusSequentialDataBlock
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.server import StartTcpServer
identity = ModbusDeviceIdentification()
identity.VendorName, identity.ProductCode, identity.MajorMinorRevision = "Schneider Electric", "METSEIEM3155", "1.4.2"
unit = ModbusSlaveContext(hr=ModbusSequentialDataBlock(0, [7] * 100), zero_mode=True)
StartTcpServer(context=ModbusServerContext(slaves=unit, single=True), identity=identity, address=("127.0.0.1", int(sys.argv[1])))
`, port))
	set := lines(t, nil)
	client, err := set.Client("tcp://127.0.0.1:"+port, "search")
	if err != nil {
		t.Fatal(err)
	}
	search := Search{Protocol: "modbus-tcp", Units: []byte{1}, Timeout: 5 * time.Second}
	var found []Found
	for range 100 { // until it listens
		if found, err = Find(t.Context(), client, search); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond) // it is another process
	}
	if err != nil || len(found) != 1 || found[0].Answer != "holding:0 = 7" {
		t.Fatalf("found %+v, %v", found, err)
	}
	seen, err := Recognise(t.Context(), client, search, 1, []Model{
		{Name: "other", Maker: "Siemens", Products: []string{"PAC3200"}},
		{Name: "iem", Maker: "Schneider Electric", Products: []string{"iEM3150", "iEM3155"}},
		{Name: "pm", Maker: "Schneider Electric", Products: []string{"PM5560"}},
	})
	client.Rest()
	if err != nil || seen.Calls != "Schneider Electric METSEIEM3155 1.4.2" || len(seen.Likely) != 1 || seen.Likely[0].Model != "iem" || seen.Likely[0].Score < 0.9 {
		t.Errorf("it is %+v, %v", seen, err)
	}
}

func recognised(t *testing.T, device *modbussim.Server, models ...Model) []string {
	t.Helper()
	rack := &modbussim.Rack{Dialect: modbussim.RTU, Devices: map[byte]*modbussim.Server{9: device}}
	_, set, _ := hall(t, "rtu", rack, bus.Settings{})
	client, err := set.Client("bus://hall", "search")
	if err != nil {
		t.Fatal(err)
	}
	seen, err := Recognise(t.Context(), client, Search{Protocol: "modbus-rtu", Timeout: time.Second}, 9, models)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range seen.Likely {
		names = append(names, l.Model)
		if l.Why == "" || l.Score <= 0 || l.Score > 1 {
			t.Errorf("%+v", l)
		}
	}
	return names
}

func float(name, at, unit string, low, high float64) Tell {
	return Tell{Point: Point{Name: name, Address: address(at), Type: "float32", Unit: unit}, Low: low, High: high, Idle: low <= 80}
}

func TestModelsAreToldApart(t *testing.T) {
	meter := Model{Name: "meter", Tells: []Tell{
		float("voltage", "holding:0", "V", 80, 300), float("frequency", "holding:10", "Hz", 45, 65), float("current", "holding:2", "A", -1000, 1000),
	}}
	meter.Tells[1].Idle = false
	swapped := Model{Name: "swapped", Tells: slices.Clone(meter.Tells)}
	for i := range swapped.Tells {
		swapped.Tells[i].Point.Order = "CDAB"
	}
	bigger := Model{Name: "bigger", Tells: meter.Tells, Others: []Point{{Name: "energy", Address: address("holding:40"), Type: "uint32"}}}
	marked := Model{Name: "marked", Tells: []Tell{{Point: Point{Name: "mark", Address: address("holding:50"), Type: "raw", Length: 8}, Exactly: "5375 6e53"}}}
	marked.Tells[0].Exactly = "53756e5300010041"

	plain := func() *modbussim.Server {
		device := &modbussim.Server{}
		device.Set(modbussim.Holdings, 0, 0x4366, 0x199A, 0x40A0, 0x0000) // 230.1 V, 5 A
		device.Set(modbussim.Holdings, 10, 0x4248, 0x147B)                // 50.02 Hz
		return device
	}
	if got := recognised(t, plain(), swapped, bigger, meter); !slices.Equal(got, []string{"bigger", "meter"}) {
		t.Errorf("it may be %q: a register that reads 0 says nothing", got)
	}
	with := plain()
	with.Set(modbussim.Holdings, 40, 0, 4711)
	if got := recognised(t, with, meter, bigger, swapped); !slices.Equal(got, []string{"bigger", "meter"}) {
		t.Errorf("with a register that only one model has it is %q", got)
	}
	without := plain()
	without.Remove(modbussim.Holdings, 40, 2)
	if got := recognised(t, without, bigger, meter, swapped); !slices.Equal(got, []string{"meter"}) {
		t.Errorf("without it, it is %q", got)
	}
	if got := recognised(t, &modbussim.Server{}, meter, swapped, bigger, marked); len(got) != 0 {
		t.Errorf("a device that is all zeros was taken for %q", got)
	}
	mark := &modbussim.Server{}
	mark.Set(modbussim.Holdings, 50, 0x5375, 0x6E53, 1, 0x41)
	if got := recognised(t, mark, meter, marked); !slices.Equal(got, []string{"marked"}) {
		t.Errorf("a mark was taken for %q", got)
	}
	mute := plain()
	mute.Always(modbussim.Fault{Kind: modbussim.Exception, Exception: 1})
	if got := recognised(t, mute, meter, bigger); len(got) != 0 || total(mute) > 4 {
		t.Errorf("a device without the function was taken for %q after %d questions", got, total(mute))
	}
}

func total(device *modbussim.Server) (n uint64) {
	for _, count := range device.Counts().Requests {
		n += count
	}
	return n
}

func TestIdentificationsInParts(t *testing.T) {
	said := identity{conformity: 1, more: true, next: 2, objects: []object{{0, "ACME "}, {1, "X\x00\xff1"}}}
	pdu := said.append(nil)
	got, err := decodeIdentity(pdu)
	if err != nil || !got.more || got.next != 2 || words(got.objects) != "ACME X1" {
		t.Errorf("%x is %+v, %v", pdu, got, err)
	}
	for cut := range pdu {
		if identityBytes(pdu[:cut]) != 0 {
			t.Errorf("%d of %d bytes are whole", cut, len(pdu))
		}
	}
}

func FuzzIdentification(f *testing.F) {
	f.Add([]byte{0x2B, 0x0E, 1, 1, 0, 0, 3, 0, 3, 'A', 'B', 'B', 1, 1, 'X', 2, 0})
	f.Add([]byte{0x2B, 0x0E, 1, 0x81, 0xFF, 2, 0})
	f.Add([]byte{0x2B, 0x0E, 1, 1, 0, 0, 255, 0, 200})
	f.Fuzz(func(t *testing.T, in []byte) {
		said, err := decodeIdentity(in)
		if err != nil {
			return
		}
		words(said.objects)
		again, err := decodeIdentity(said.append(nil))
		if err != nil || again.next != said.next || again.more != said.more || !slices.Equal(again.objects, said.objects) {
			t.Errorf("%x does not survive a round trip: %+v, %v", in, again, err)
		}
		frame := append([]byte{7}, in...)
		sum := crc(frame)
		frame = append(frame, byte(sum), byte(sum>>8))
		if got, ok := findRTUIdentity(7, append([]byte{7, 0x2B}, frame...)); !ok || !bytes.Equal(got, frame) {
			t.Errorf("%x is not found behind noise: %x", frame, got)
		}
	})
}

func TestRecognitionEndsWithItsContext(t *testing.T) {
	rack := &modbussim.Rack{Dialect: modbussim.RTU, Devices: map[byte]*modbussim.Server{}}
	_, set, _ := hall(t, "rtu", rack, bus.Settings{})
	client, err := set.Client("bus://hall", "search")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
	defer cancel()
	if _, err := Recognise(ctx, client, Search{Protocol: "modbus-rtu", Timeout: time.Minute}, 9, nil); err == nil {
		t.Error("it went on")
	}
}
