package modbus

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/collectors/bus"
	"sluice/collectors/modbus/modbussim"
)

// Wireshark's dissectors see in our frames what we meant, and nothing malformed.
func TestTsharkDecodesOurFrames(t *testing.T) {
	requirePeer(t, "tshark", "--version")
	for _, way := range []struct {
		scheme, dissector string
		spoken            modbussim.Dialect
	}{{"tcp", "mbtcp", modbussim.TCP}, {"rtu+tcp", "mbrtu", modbussim.RTU}} {
		t.Run(way.scheme, func(t *testing.T) {
			server := &modbussim.Server{Dialect: way.spoken}
			newPlant(server)
			set := lines(t, nil)
			o := options(way.scheme+"://"+serve(t, server), append(plantPoints(),
				Point{Name: "valve", Address: address("coil:3"), Access: "rw"}, Point{Name: "bit", Address: address("holding:100.3"), Access: "rw"})...)
			d := openWith(t, &Driver{Buses: set}, o)
			if _, err := read(t, d); err != nil {
				t.Fatal(err)
			}
			for point, value := range map[string]string{"setpoint": "42", "valve": "true", "bit": "true"} {
				if _, err := d.Write(t.Context(), point, json.RawMessage(value)); err != nil {
					t.Fatal(err)
				}
			}
			var frames []bus.Frame
			for _, port := range set.Ports() {
				frames = append(frames, port.Recent(0)...)
			}
			path := filepath.Join(t.TempDir(), "frames.pcap")
			if err := os.WriteFile(path, capture(frames), 0o600); err != nil {
				t.Fatal(err)
			}
			out := run(t, "tshark", "-r", path, "-V", "-o", "mbrtu.crc_verification:TRUE", "-d", "tcp.port==502,"+way.dissector)
			for _, want := range []string{
				"Read Holding Registers (3)", "Read Coils (1)", "Write Single Register (6)", "Write Single Coil (5)", "Mask Write Register (22)",
				"Reference Number: 100", "Word Count: 24",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("tshark says nothing of %q", want)
				}
			}
			for _, bad := range []string{"Malformed", "CRC16: Incorrect", "incorrect, should be"} {
				if strings.Contains(out, bad) {
					t.Errorf("tshark says %q", bad)
				}
			}
			if t.Failed() {
				t.Logf("%d frames:\n%s", len(frames), out)
			}
		})
	}
}

// capture is a pcap file of one connection to port 502 with these frames as its segments.
func capture(frames []bus.Frame) []byte {
	le := binary.LittleEndian
	out := le.AppendUint32(nil, 0xA1B2C3D4)
	out = append(out, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	out = le.AppendUint32(out, 65535)
	out = le.AppendUint32(out, 101) // raw IP
	seq := map[bus.Direction]uint32{bus.Out: 1, bus.In: 1}
	for _, f := range frames {
		segment := segmentOf(f, seq[f.Direction], seq[!f.Direction])
		seq[f.Direction] += uint32(len(f.Bytes))
		out = le.AppendUint32(out, uint32(f.At.Unix()))
		out = le.AppendUint32(out, uint32(f.At.Nanosecond()/1000))
		out = le.AppendUint32(out, uint32(len(segment)))
		out = le.AppendUint32(out, uint32(len(segment)))
		out = append(out, segment...)
	}
	return out
}

func segmentOf(f bus.Frame, seq, ack uint32) []byte {
	be := binary.BigEndian
	near, far := []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}
	from, to := uint16(40000), uint16(502)
	if f.Direction == bus.In {
		near, far, from, to = far, near, to, from
	}
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0}
	be.PutUint16(ip[2:], uint16(40+len(f.Bytes)))
	ip = append(append(ip, near...), far...)
	tcp := be.AppendUint16(nil, from)
	tcp = be.AppendUint16(tcp, to)
	tcp = be.AppendUint32(tcp, seq)
	tcp = be.AppendUint32(tcp, ack)
	tcp = append(tcp, 5<<4, 0x18, 0xFF, 0xFF, 0, 0, 0, 0)
	return append(append(ip, tcp...), f.Bytes...)
}
