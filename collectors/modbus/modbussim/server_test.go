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
	if !slices.Equal(functions, []byte{5, 6, 15, 16}) || !slices.Equal(counts.Writes[3].Values, []uint16{10, 0x102}) {
		t.Errorf("writes %+v, want the four that were carried out", counts.Writes)
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

func FuzzReadFrame(f *testing.F) {
	f.Add(unhex(f, "0001 0000 0006 01 03 0000 0002"))
	f.Add(unhex(f, "0001 0000 00ff 01"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, err := readFrame(bytes.NewReader(wire))
		if err != nil {
			return
		}
		if again := appendFrame(nil, got.transaction, got.unit, got.pdu); !bytes.HasPrefix(wire, again) {
			t.Errorf("% x was read as % x", wire, again)
		}
	})
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
