package modbussim

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of MODBUS Application Protocol V1.1b3, chapter 6, and what must be refused.
func TestAnswers(t *testing.T) {
	s := &Server{}
	s.Set(Coils, 0x13, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1)
	s.Set(Discretes, 0xC4, 0, 0, 1, 1, 0, 1, 0, 1)
	s.Set(Holdings, 0x6B, 0x022B, 0, 0x64)
	s.Set(Inputs, 8, 10)
	s.Remove(Holdings, 200, 2)
	for _, test := range []struct{ name, request, want string }{
		{"read coils", "01 0013 0013", "01 03 cd6b05"},
		{"read discrete inputs", "02 00c4 0008", "02 01 ac"},
		{"read holding registers", "03 006b 0003", "03 06 022b00000064"},
		{"read input registers", "04 0008 0001", "04 02 000a"},
		{"write a coil", "05 00ac ff00", "05 00ac ff00"},
		{"write a register", "06 0001 0003", "06 0001 0003"},
		{"write coils", "0f 0013 000a 02 cd01", "0f 0013 000a"},
		{"write registers", "10 0001 0002 04 000a0102", "10 0001 0002"},
		{"other function", "2b 0e 01 00", "ab 01"},
		{"function alone", "03", "83 03"},
		{"no registers", "03 0000 0000", "83 03"},
		{"126 registers", "03 0000 007e", "83 03"},
		{"2001 coils", "01 0000 07d1", "81 03"},
		{"too long", "03 0000 0001 00", "83 03"},
		{"beyond the last", "03 ffff 0002", "83 02"},
		{"the last", "03 ffff 0001", "03 02 0000"},
		{"a removed one", "03 00c7 0002", "83 02"},
		{"before the removed ones", "03 00c7 0001", "03 02 0000"},
		{"after the removed ones", "03 00ca 0001", "03 02 0000"},
		{"write to a removed one", "06 00c8 0001", "86 02"},
		{"half a coil", "05 0000 1234", "85 03"},
		{"byte count of another length", "10 0001 0002 03 000a0102", "90 03"},
		{"values missing", "10 0001 0002 04 000a", "90 03"},
		{"mask", "16 0002 00f2 0025", "16 0002 00f2 0025"},
		{"half a mask", "16 0002 00f2", "96 03"},
		{"write, then read", "17 0002 0002 0003 0001 02 00ff", "17 04 0007 00ff"},
		{"swap of another length", "17 0002 0002 0003 0002 02 00ff", "97 03"},
		{"swap that reads too much", "17 0002 007e 0003 0001 02 00ff", "97 03"},
		{"swap into a removed one", "17 0002 0002 00c8 0001 02 00ff", "97 02"},
	} {
		got := s.answer(frame{pdu: unhex(t, test.request)})
		if want := unhex(t, test.want); !bytes.Equal(got, want) {
			t.Errorf("%s: got % x, want % x", test.name, got, want)
		}
	}
	if got := s.Value(Coils, 0xAC); got != 1 {
		t.Errorf("the coil written is %d", got)
	}
	counts := s.Counts()
	functions := []byte{}
	for _, w := range counts.Writes {
		functions = append(functions, w.Function)
	}
	if !slices.Equal(functions, []byte{5, 6, 15, 16, 22, 23}) || !slices.Equal(counts.Writes[3].Values, []uint16{10, 0x102}) {
		t.Errorf("writes %+v, want the six that were carried out", counts.Writes)
	}
	if w := counts.Writes[4]; w.Address != 2 || !slices.Equal(w.Values, []uint16{0x0007}) {
		t.Errorf("the masked write is %+v, want 0102 AND 00f2 OR 0025 without 00f2, which is 0007", w)
	}
	if w := counts.Writes[5]; w.Address != 3 || !slices.Equal(w.Values, []uint16{0xFF}) {
		t.Errorf("the swap wrote %+v, want 00ff at 3", w)
	}
	if counts.Requests[3] != 10 {
		t.Errorf("requests %v, want 10 of function 3", counts.Requests)
	}
}

// FuzzRequest sends anything as a request. The answer fits a frame, belongs to the function, and a
// write that was carried out is found in memory.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{"0100130013", "03006b0003", "0500acff00", "0f0013000a02cd01", "100001000204000a0102", "2b0e0100", "03"} {
		f.Add(unhex(f, seed))
	}
	s := &Server{}
	f.Fuzz(func(t *testing.T, pdu []byte) {
		if len(pdu) == 0 || len(pdu) > maxPDU {
			return // readFrame lets none through
		}
		answer := s.answer(frame{pdu: pdu})
		if len(answer) < 2 || len(answer) > maxPDU || answer[0]&0x7f != pdu[0]&0x7f {
			t.Fatalf("% x was answered with % x", pdu, answer)
		}
		r, exception := parseRequest(pdu)
		if exception != 0 || answer[0] != pdu[0] {
			return
		}
		for i, v := range r.values {
			if got := s.Value(r.table, r.address+uint16(i)); got != v {
				t.Fatalf("% x: value %d is %d, want %d", pdu, i, got, v)
			}
		}
	})
}

// FuzzReader sends anything in every dialect. What is taken for a request is what was sent.
func FuzzReader(f *testing.F) {
	for i, d := range []Dialect{TCP, RTU, ASCII} {
		request := wrap(d, 1, 1, unhex(f, "03 0000 0002"))
		f.Add(byte(i), request)
		f.Add(byte(i), append([]byte{0x3a, 1, 3}, request...))
		f.Add(byte(i), wrap(d, 1, 1, unhex(f, "17 0002 0002 0003 0001 02 00ff")))
		f.Add(byte(i), request[:4])
	}
	f.Fuzz(func(t *testing.T, dialect byte, wire []byte) {
		d := []Dialect{TCP, RTU, ASCII}[dialect%3]
		r := reader{from: bytes.NewReader(wire), dialect: d}
		for {
			got, err := r.next()
			if err != nil {
				return
			}
			again := wrap(d, got.transaction, got.unit, got.pdu)
			there, sent := got.wire, wire
			if d == ASCII {
				there, sent = bytes.ToUpper(there), bytes.ToUpper(sent)
				again, there = bytes.TrimSpace(again), bytes.TrimSpace(there)
			}
			if !bytes.Equal(again, there) || !bytes.Contains(sent, there) {
				t.Errorf("% x was read as % x", wire, again)
			}
		}
	})
}

func TestRequestsAreFoundInNoise(t *testing.T) {
	for _, d := range []Dialect{RTU, ASCII} {
		first, second := wrap(d, 0, 1, unhex(t, "03 0000 0002")), wrap(d, 0, 2, unhex(t, "10 0001 0002 04 000a 0102"))
		noise := []byte{0xFF, 0, 1, 3, 0x3a, 0x30}
		r := reader{from: bytes.NewReader(slices.Concat(noise, first, noise, noise, second)), dialect: d}
		for _, unit := range []byte{1, 2} {
			if got, err := r.next(); err != nil || got.unit != unit {
				t.Errorf("%s: got %+v, %v, want the request to unit %d", d, got, err, unit)
			}
		}
	}
}

// talk asks over a pipe in each dialect and gives what comes back within a second.
func talk(t *testing.T, s interface {
	Serve(context.Context, io.ReadWriter)
}, d Dialect, unit byte, pdu string) []byte {
	t.Helper()
	near, far := net.Pipe()
	var serving sync.WaitGroup
	defer serving.Wait()
	defer near.Close()
	serving.Go(func() { s.Serve(t.Context(), far) })
	near.SetDeadline(time.Now().Add(time.Second))
	near.Write(wrap(d, 7, unit, unhex(t, pdu)))
	answer := make([]byte, 1024)
	n, _ := near.Read(answer)
	return answer[:n]
}

func TestEveryDialectIsSpoken(t *testing.T) {
	for _, d := range []Dialect{TCP, RTU, ASCII} {
		synctest.Test(t, func(t *testing.T) {
			s := &Server{Dialect: d}
			s.Set(Holdings, 0, 42)
			want := wrap(d, 7, 3, unhex(t, "03 02 002a"))
			if got := talk(t, s, d, 3, "03 0000 0001"); !bytes.Equal(got, want) {
				t.Errorf("%s: got % x, want % x", d, got, want)
			}
			s.Speak(RTU)
			want = wrap(RTU, 0, 3, unhex(t, "03 02 002a"))
			if got := talk(t, s, d, 3, "03 0000 0001"); !bytes.Equal(got, want) {
				t.Errorf("%s, speaking RTU: got % x, want % x", d, got, want)
			}
		})
	}
}

func TestRackAnswersForItsDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &Server{}, &Server{}
		a.Set(Holdings, 0, 1)
		b.Set(Holdings, 0, 2)
		r := &Rack{Devices: map[byte]*Server{5: a, 6: b}}
		for unit, want := range map[byte]string{5: "0007 0000 0005 05 03 02 0001", 6: "0007 0000 0005 06 03 02 0002", 7: ""} {
			if got := talk(t, r, TCP, unit, "03 0000 0001"); !bytes.Equal(got, unhex(t, want)) {
				t.Errorf("unit %d: got % x, want %s", unit, got, want)
			}
		}
		r.Gateway = true
		if got := talk(t, r, TCP, 7, "03 0000 0001"); !bytes.Equal(got, unhex(t, "0007 0000 0003 07 83 0b")) {
			t.Errorf("unit 7 behind a gateway: got % x, want exception 11", got)
		}
	})
}

func TestTrapSpoilsTheNextAnswer(t *testing.T) {
	s := &Server{}
	s.Set(Holdings, 0, 42)
	s.Trap(Holdings, 10, 1)
	for _, test := range []struct{ request, want string }{
		{"03 0000 0001", "03 02 002a"}, {"03 0009 0002", "83 02"}, {"03 0000 0001", "03 02 ffd5"}, {"03 0000 0001", "03 02 002a"},
	} {
		if got := s.answer(frame{pdu: unhex(t, test.request)}); !bytes.Equal(got, unhex(t, test.want)) {
			t.Errorf("%s: got % x, want %s", test.request, got, test.want)
		}
	}
}

func TestFunctionsMayBeRefused(t *testing.T) {
	s := &Server{}
	s.Refuse(6)
	if got := s.answer(frame{pdu: unhex(t, "06 0000 0001")}); !bytes.Equal(got, unhex(t, "86 01")) || s.Value(Holdings, 0) != 0 {
		t.Errorf("got % x, want exception 1 and nothing written", got)
	}
	s.Refuse()
	if got := s.answer(frame{pdu: unhex(t, "06 0000 0001")}); !bytes.Equal(got, unhex(t, "06 0000 0001")) {
		t.Errorf("got % x, want the echo", got)
	}
}

// Every fault changes what goes out, but for those that are about time and connections.
func TestFaultsAreNotTheRightAnswer(t *testing.T) {
	for _, d := range []Dialect{TCP, RTU, ASCII} {
		f := frame{dialect: d, transaction: 7, unit: 1, pdu: unhex(t, "03 0000 0002")}
		f.wire = wrap(d, 7, 1, f.pdu)
		pdu := unhex(t, "03 04 0001 0002")
		right := wrap(d, 7, 1, pdu)
		for _, kind := range Kinds() {
			switch kind {
			case Silence, Close, Slow, CloseAfter:
				continue
			case WrongTransaction, OldTransaction:
				if d != TCP {
					continue // there is none
				}
			}
			if got := (Fault{Kind: kind, Exception: 4}).wire(d, f, bytes.Clone(pdu)); bytes.Equal(got, right) || len(got) == 0 {
				t.Errorf("%s in %s gives % x", kind, d, got)
			}
		}
	}
}

func TestServerEndsWithOpenConnections(t *testing.T) {
	s := &Server{}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(unhex(t, "0001 0000 0006 01 03 0000 0001")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 11)
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "0001 0000 0005 01 03 02 0000"); !bytes.Equal(answer, want) {
		t.Errorf("got % x, want % x", answer, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run returned %v", err)
	}
	if _, err := conn.Read(answer); err == nil {
		t.Error("the connection is still open")
	}
}

func TestPortInUseIsAnError(t *testing.T) {
	first, second := &Server{}, &Server{}
	if err := first.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer first.listener.Close()
	if err := second.Listen(first.Addr()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, want address in use", err)
	}
}

func TestOtherUnitsAreNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Unit: 5}
		near, far := net.Pipe()
		go s.Serve(t.Context(), far)
		defer near.Close()
		near.SetDeadline(time.Now().Add(time.Second))
		near.Write(unhex(t, "0001 0000 0006 04 03 0000 0001"))
		near.Write(unhex(t, "0002 0000 0006 05 03 0000 0001"))
		answer := make([]byte, 11)
		if _, err := io.ReadFull(near, answer); err != nil || answer[1] != 2 {
			t.Errorf("got % x, %v, want the answer to unit 5 alone", answer, err)
		}
	})
}

func TestFaultsAreWrittenAndRead(t *testing.T) {
	for written, want := range map[string]Fault{
		"silence": {Kind: Silence}, "exception:6": {Kind: Exception, Exception: 6},
		"slow:500ms": {Kind: Slow, Delay: 500 * time.Millisecond}, "wrong-unit": {Kind: WrongUnit},
	} {
		if got, err := ParseFault(written); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", written, got, err, want)
		}
	}
	for _, written := range []string{"", "nonsense", "exception", "exception:256", "slow", "slow:x", "silence:1"} {
		if got, err := ParseFault(written); err == nil {
			t.Errorf("%q was read as %+v", written, got)
		}
	}
}

func TestPlantMovesAndAgreesWithItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		p := &Plant{Server: s}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		seen := make(map[PlantValues]bool)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			registers := s.answer(frame{pdu: unhex(t, "03 0000 0018")})[2:]
			n := binary.BigEndian.Uint32(registers)
			want := ValuesAt(n)
			if total := int64(binary.BigEndian.Uint64(registers[16:])); total != want.Total {
				t.Errorf("count %d: total %d, want %d", n, total, want.Total)
			}
			if running := registers[15]&4 != 0; running != want.Running {
				t.Errorf("count %d: running %v", n, running)
			}
			seen[want] = true
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(seen) != 100 || s.Value(Holdings, 100) != plantSetpoint {
			t.Errorf("%d different counts in 10 s, setpoint %d", len(seen), s.Value(Holdings, 100))
		}
	})
}
