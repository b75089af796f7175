package capture

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/collectors/bus"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func withCRC(b []byte) []byte { return append(b, checksum(b)...) }

// frames are a walk over all protocols.
func frames(t testing.TB) []Frame {
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)
	f := []Frame{
		{Outbound: true, Protocol: "modbus-rtu", Device: "meter", Bytes: withCRC(unhex(t, "01 03 0000 0002"))},
		{Protocol: "modbus-rtu", Device: "meter", Bytes: withCRC(unhex(t, "01 03 04 00010002")), Summary: "2 registers from 0"},
		{Protocol: "modbus-rtu", Device: "meter", Bytes: unhex(t, "01 03 04 00010002 0000"), Verdict: "the checksum is wrong"},
		{Protocol: "modbus-rtu", Device: "meter", Bytes: withCRC(unhex(t, "01 83 02")), Verdict: "it came too late"},
		{Outbound: true, Protocol: "modbus-tcp", Device: "plc", Bytes: unhex(t, "0007 0000 0006 01 03 0010 0001")},
		{Protocol: "modbus-tcp", Device: "plc", Bytes: unhex(t, "0007 0000 0005 01 03 02 002A")},
		{Outbound: true, Protocol: "dlt645", Device: "wall", Bytes: unhex(t, "68 610100000000 68 11 04 33333433 68 16")},
		{Protocol: "hj212", Device: "station", Bytes: []byte("##0028CN=9014;MN=1;Flag=4;CP=&&&&1234\r\n")},
		{Protocol: "sml", Device: "meter", Bytes: sml(t)},
		{Protocol: "something new", Bytes: []byte{1}},
	}
	for i := range f {
		f[i].At = at.Add(time.Duration(i) * 250 * time.Millisecond)
	}
	return f
}

// sml is a telegram of a real meter.
func sml(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Frame string `json:"frame"`
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) == 0 {
		t.Fatal("no telegram", err)
	}
	return unhex(t, all[0].Frame)
}

func written(t testing.TB, all []Frame) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, "bus1", "sluice")
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if err := w.Write(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// block is one block as a reader finds it.
type block struct {
	kind    uint32
	body    []byte
	options map[uint16][]string
}

// read takes a file apart by the format's rules alone.
func read(t testing.TB, file []byte) (all []block) {
	t.Helper()
	for len(file) > 0 {
		kind, length := binary.LittleEndian.Uint32(file), binary.LittleEndian.Uint32(file[4:])
		if length%4 != 0 || int(length) > len(file) || binary.LittleEndian.Uint32(file[length-4:]) != length {
			t.Fatalf("a block of %d bytes in %d", length, len(file))
		}
		b := block{kind: kind, body: file[8 : length-4], options: map[uint16][]string{}}
		at := map[uint32]int{sectionBlock: 16, interfaceBlock: 8}[kind]
		if kind == packetBlock {
			at = 20 + (int(binary.LittleEndian.Uint32(b.body[12:]))+3)&^3
		}
		for {
			code, n := binary.LittleEndian.Uint16(b.body[at:]), int(binary.LittleEndian.Uint16(b.body[at+2:]))
			if code == optionEnd {
				break
			}
			b.options[code] = append(b.options[code], string(b.body[at+4:at+4+n]))
			at += 4 + (n+3)&^3
		}
		if at+4 != len(b.body) {
			t.Fatalf("%d bytes behind the options", len(b.body)-at-4)
		}
		all = append(all, b)
		file = file[length:]
	}
	return all
}

func TestFileIsMadeOfBlocks(t *testing.T) {
	all := frames(t)
	blocks := read(t, written(t, all))
	if len(blocks) != 2+len(all) || blocks[0].kind != sectionBlock || blocks[1].kind != interfaceBlock {
		t.Fatalf("%d blocks", len(blocks))
	}
	if got := blocks[1].options[optionName]; len(got) != 1 || got[0] != "bus1" {
		t.Errorf("the interface is called %q", got)
	}
	for i, b := range blocks[2:] {
		f := all[i]
		at := uint64(binary.LittleEndian.Uint32(b.body[4:]))<<32 | uint64(binary.LittleEndian.Uint32(b.body[8:]))
		if at != uint64(f.At.UnixNano()) {
			t.Errorf("frame %d is of %d, want %d", i, at, f.At.UnixNano())
		}
		n := binary.LittleEndian.Uint32(b.body[12:])
		if data := b.body[20 : 20+n]; !bytes.HasSuffix(data, f.Bytes) {
			t.Errorf("frame %d is %x, want it to end in %x", i, data, f.Bytes)
		}
		flags := "\x01\x00\x00\x00"
		if f.Outbound {
			flags = "\x02\x00\x00\x00"
		}
		if got := b.options[optionFlags]; len(got) != 1 || got[0] != flags {
			t.Errorf("frame %d has the flags %q", i, got)
		}
		comments := strings.Join(b.options[optionComment], "|")
		if f.Verdict != "" && !strings.Contains(comments, "verdict: "+f.Verdict) || f.Device != "" && !strings.Contains(comments, "device: "+f.Device) {
			t.Errorf("frame %d has the comments %q", i, comments)
		}
	}
}

func TestDissectorIsNamedOnlyForWhatIsWhole(t *testing.T) {
	for i, want := range []string{"mbrtu", "mbrtu", "data", "mbrtu", "mbtcp", "mbtcp", "data", "data-text-lines", "tcp.port", "data"} {
		f := frames(t)[i]
		b := tags(&f)
		n := int(binary.BigEndian.Uint16(b[2:]))
		if got := strings.TrimRight(string(b[4:4+n]), "\x00"); got != want {
			t.Errorf("frame %d goes to %s, want %s", i, got, want)
		}
	}
}

func TestFrameWithoutEndIsCut(t *testing.T) {
	blocks := read(t, written(t, []Frame{{Bytes: make([]byte, 100<<10), Cut: 1 << 20, Device: strings.Repeat("x", 70_000)}}))
	body := blocks[2].body
	if captured, whole := binary.LittleEndian.Uint32(body[12:]), binary.LittleEndian.Uint32(body[16:]); captured > maxFrame+100 || whole < 100<<10+1<<20 {
		t.Errorf("%d of %d bytes are there", captured, whole)
	}
}

func TestFrameOfTheMonitor(t *testing.T) {
	at := time.Now()
	got := Of(&bus.Frame{At: at, Direction: bus.Out, Bytes: []byte{1}, Cut: 2, Device: "d", Protocol: "p", Verdict: "v"}, "s")
	want := Frame{At: at, Outbound: true, Bytes: got.Bytes, Cut: 2, Device: "d", Protocol: "p", Verdict: "v", Summary: "s"}
	if len(got.Bytes) != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if Of(&bus.Frame{Direction: bus.In}, "").Outbound {
		t.Error("what came in went out")
	}
}

// full is a disk without room for so many more writes.
type full int

func (f *full) Write(b []byte) (int, error) {
	if *f--; *f < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestWriteErrorsAreTold(t *testing.T) {
	for room := range 3 {
		to := full(room)
		w, err := NewWriter(&to, "b", "s")
		if err == nil {
			err = w.Write(&Frame{})
		}
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("room for %d writes: %v", room, err)
		}
	}
}

func FuzzWrite(f *testing.F) {
	f.Add([]byte{1, 3, 0}, "meter", "modbus-rtu", "late", true, int64(1795345665221))
	f.Fuzz(func(t *testing.T, b []byte, device, protocol, verdict string, out bool, at int64) {
		blocks := read(t, written(t, []Frame{{At: time.UnixMilli(at), Outbound: out, Bytes: b, Device: device, Protocol: protocol, Verdict: verdict}}))
		if len(blocks) != 3 {
			t.Errorf("%d blocks", len(blocks))
		}
	})
}
