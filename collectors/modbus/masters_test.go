package modbus

import (
	"context"
	"encoding/binary"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/bus/pty"
	"sluice/collectors/diagnosis"
	"sluice/collectors/modbus/modbussim"
)

// wires is a serial line with a second master on it: its devices hear both masters, and the gateway hears
// the other master and what it is answered.
type wires struct {
	*pty.Line
	heard chan []byte // by the devices
	left  []byte
}

// Read is for the devices.
func (w *wires) Read(b []byte) (int, error) {
	if len(w.left) == 0 {
		heard, open := <-w.heard
		if !open {
			return 0, io.EOF
		}
		w.left = heard
	}
	n := copy(b, w.left)
	w.left = w.left[n:]
	return n, nil
}

// ask puts a request of the other master on the line.
func (w *wires) ask(request []byte) {
	if _, err := w.Write(request); err == nil {
		w.heard <- request
	}
}

// serveWires runs a rack on a line with room for a second master.
func serveWires(t *testing.T, rack *modbussim.Rack) *wires {
	t.Helper()
	line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := &wires{Line: line, heard: make(chan []byte, 64)}
	ctx, cancel := context.WithCancel(context.Background())
	var gateway, devices sync.WaitGroup
	gateway.Go(func() {
		b := make([]byte, 512)
		for {
			n, err := line.Read(b)
			if err != nil {
				return
			}
			w.heard <- slices.Clone(b[:n])
		}
	})
	devices.Go(func() { rack.Serve(ctx, w) })
	t.Cleanup(func() {
		cancel()
		line.Close()
		gateway.Wait()
		close(w.heard)
		devices.Wait()
	})
	return w
}

func requestRTU(unit, function byte, start, count uint16) []byte {
	b := []byte{unit, function}
	b = binary.BigEndian.AppendUint16(b, start)
	b = binary.BigEndian.AppendUint16(b, count)
	return binary.LittleEndian.AppendUint16(b, crc(b))
}

// Another master asks on the same line, the same units too and now and then as much as the gateway does, so
// that its answers look like the gateway's. What is read is right or missing, the line says what is wrong,
// and when the other master has gone all is read again.
func TestTwoMastersOnOneLine(t *testing.T) {
	rack, plants := twoPlants(modbussim.RTU)
	w := serveWires(t, rack)
	set := lines(t, map[string]bus.Settings{"hall": {Serial: w.Path(), Character: bus.Character{Baud: 115200}, Gap: 10 * time.Millisecond}})
	port, err := set.Port("hall")
	if err != nil {
		t.Fatal(err)
	}
	var devices []*device
	for _, unit := range []int{1, 2} {
		o := options("rtu://hall", plantPoints()...)
		o.Unit, o.Timeout = unit, 200*time.Millisecond
		devices = append(devices, openWith(t, &Driver{Buses: set}, o))
	}
	for _, d := range devices {
		good(t, d, plantReading(1))
	}
	count := uint16(0)
	for _, f := range port.Recent(0) {
		if f.Direction == bus.Out && f.Bytes[1] == 3 {
			count = max(count, binary.BigEndian.Uint16(f.Bytes[4:]))
		}
	}
	stop := make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(3+i%11) * time.Millisecond): // a real line knows no simulated time
			}
			switch i % 4 {
			case 0:
				w.ask(requestRTU(2, 3, 100, 1))
			case 1:
				w.ask(requestRTU(1, 4, 0, 4))
			case 2:
				w.ask(requestRTU(9, 3, 0, 10)) // nobody
			default:
				w.ask(requestRTU(byte(1+i/4%2), 3, 3, count)) // what the gateway asks, three registers further on
			}
		}
	})
	values, missing := 0, 0
	for n, end := uint32(1), time.Now().Add(long(4*time.Second, 5*time.Minute)); time.Now().Before(end); n++ {
		for i, d := range devices {
			lost := notWrong(t, d, plantReading(n))
			values, missing = values+len(plantPoints())-lost, missing+lost
			plants[i].Step()
		}
	}
	close(stop)
	other.Wait()
	t.Logf("%d values right, %d missing", values, missing)
	if values == 0 {
		t.Error("nothing was read beside the other master")
	}
	now := port.Stats()
	evidence := diagnosis.Between(&bus.Stats{}, &now)
	if findings := diagnosis.Diagnose(&evidence); !slices.ContainsFunc(findings, func(f diagnosis.Finding) bool { return f.Row == "two-masters" }) {
		t.Errorf("of %+v nobody says that there are two masters: %+v", evidence, findings)
	}
	for i, d := range devices {
		plants[i].Set(7)
		notWrong(t, d, plantReading(7))
		good(t, d, plantReading(7))
	}
}

// finds says what is wrong with a line by what it has counted since before.
func finds(port *bus.Port, before bus.Stats) (rows []string) {
	now := port.Stats()
	evidence := diagnosis.Between(&before, &now)
	for _, f := range diagnosis.Diagnose(&evidence) {
		rows = append(rows, f.Row)
	}
	return rows
}

// A converter goes over from Modbus TCP to passing RTU through, or the other way round, while the gateway
// asks on. Nothing is misread, the line says what has happened, and once it has gone back all is read
// within two polls.
func TestConverterSwitchesInOperation(t *testing.T) {
	for _, test := range []struct {
		scheme       string
		asked, turns modbussim.Dialect
		row          string
	}{
		{"tcp", modbussim.TCP, modbussim.RTU, "speaks-rtu"},
		{"rtu+tcp", modbussim.RTU, modbussim.TCP, "speaks-tcp"},
		{"ascii+tcp", modbussim.ASCII, modbussim.RTU, "speaks-rtu"},
		{"rtu+tcp", modbussim.RTU, modbussim.ASCII, "speaks-ascii"},
	} {
		t.Run(test.scheme+" "+string(test.turns), func(t *testing.T) {
			server := &modbussim.Server{Dialect: test.asked}
			plant := newPlant(server)
			set := lines(t, nil)
			o := options(test.scheme+"://"+serve(t, server), plantPoints()...)
			o.Timeout = 300 * time.Millisecond
			d := openWith(t, &Driver{Buses: set}, o)
			good(t, d, plantReading(1))
			port := set.Ports()[0]
			for round := range uint32(2) {
				before := port.Stats()
				if rows := finds(port, before); len(rows) != 0 {
					t.Errorf("a line that is well has %q", rows)
				}
				server.Speak(test.turns)
				plant.Step()
				for range 3 {
					if got, err := read(t, d); err == nil {
						t.Errorf("read %v in another dialect", got)
					}
				}
				if rows := finds(port, before); !slices.Equal(rows, []string{test.row}) {
					t.Errorf("found %q, want %s", rows, test.row)
				}
				server.Speak("")
				plant.Step()
				notWrong(t, d, plantReading(3+2*round))
				good(t, d, plantReading(3+2*round))
			}
		})
	}
}
