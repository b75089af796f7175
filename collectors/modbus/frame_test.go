package modbus

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goburrow/modbus"
)

// withSum ends an RTU frame with its checksum.
func withSum(t testing.TB, written string) []byte {
	t.Helper()
	b := unhex(t, written)
	sum := crc(b)
	return append(b, byte(sum), byte(sum>>8))
}

func newFramer(d dialect, unit byte) framer {
	return target{dialect: d}.framer(unit, new(atomic.Uint32))
}

// encode makes the frame for a written PDU.
func encode(t testing.TB, f framer, pdu string) []byte {
	t.Helper()
	b := unhex(t, pdu)
	frame, err := f.Encode(&modbus.ProtocolDataUnit{FunctionCode: b[0], Data: b[1:]})
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// The frames of the specifications: MODBUS over serial line V1.02 gives the checksum of 02 07, Modbus
// TCP's implementation guide the header of appendix B.
func TestFramesAreThoseOfTheSpecifications(t *testing.T) {
	if got, want := withSum(t, "02 07"), unhex(t, "02 07 41 12"); !bytes.Equal(got, want) {
		t.Errorf("RTU: got % x, want % x", got, want)
	}
	for _, test := range []struct {
		dialect dialect
		unit    byte
		pdu     string
		want    string
	}{
		{overTCP, 0x11, "03 006b 0003", "\x00\x01\x00\x00\x00\x06\x11\x03\x00\x6b\x00\x03"},
		{overRTU, 0x11, "03 006b 0003", "\x11\x03\x00\x6b\x00\x03\x76\x87"},
		{overRTU, 0x01, "10 0001 0002 04 000a 0102", "\x01\x10\x00\x01\x00\x02\x04\x00\x0a\x01\x02\x92\x30"},
		{overASCII, 0x11, "03 006b 0003", ":1103006B00037E\r\n"},
	} {
		got := encode(t, newFramer(test.dialect, test.unit), test.pdu)
		if string(got) != test.want {
			t.Errorf("%s: got % x, want % x", spoken[test.dialect], got, test.want)
		}
	}
}

func TestVerifyAcceptsOnlyTheAnswer(t *testing.T) {
	const read3 = "03 0000 0002"
	const read1 = "01 0000 000a"
	const write6 = "06 0064 002a"
	const write16 = "10 0064 0002 04 0001 0002"
	const mask = "16 0004 00f2 0025"
	const swap = "17 0003 0002 000e 0001 02 00ff"
	for _, test := range []struct{ name, request, answer, want string }{
		{"registers", read3, "03 04 0001 0002", ""},
		{"coils", read1, "01 02 ff03", ""},
		{"write", write6, write6, ""},
		{"write a coil", "05 0064 ff00", "05 0064 ff00", ""},
		{"write many", write16, "10 0064 0002", ""},
		{"write coils", "0f 0013 000a 02 cd01", "0f 0013 000a", ""},
		{"mask", mask, mask, ""},
		{"write and read", swap, "17 04 00fe 0acd", ""},
		{"exception", read3, "83 02", ""},
		{"function alone", read3, "03", "too short"},
		{"function", read3, "04 04 0001 0002", "function 4, the request had 3"},
		{"exception to another function", read3, "84 02", "function 132"},
		{"long exception", read3, "83 02 00", "exception has 3 bytes"},
		{"one register less", read3, "03 02 0001", "announces 2 bytes of data and has 2, the request was for 4"},
		{"one register more", read3, "03 06 0001 0002 0003", "announces 6"},
		{"byte count too great", read3, "03 06 0001 0002", "announces 6 bytes of data and has 4"},
		{"one coil byte less", read1, "01 01 ff", "announces 1"},
		{"one register less of a swap", swap, "17 02 00fe", "announces 2"},
		{"echo of another value", write6, "06 0064 002b", "want its echo"},
		{"echo of another address", write6, "06 0065 002a", "want its echo"},
		{"short echo", write16, "10 0064 00", "want its echo"},
		{"echo of another mask", mask, "16 0004 00f2 0026", "want its echo"},
		{"function never asked", "2b 0000 0001", "2b 00", "not one that is asked for"},
	} {
		for _, d := range []dialect{overTCP, overRTU, overASCII} {
			f := newFramer(d, 1)
			request := bytes.Clone(encode(t, f, test.request))
			answer := otherEnd(d, 1, 1, unhex(t, test.answer))
			err := f.Verify(request, answer)
			want := test.want
			if d != overTCP && test.name == "function alone" {
				want = "" // too short for a frame at all: any refusal is right
				if err != nil {
					continue
				}
				t.Errorf("%s in %s was taken", test.name, spoken[d])
			}
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s in %s: got %v, want %q", test.name, spoken[d], err, want)
			}
		}
	}
}

// otherEnd wraps an answer as a device does, written apart from the framers.
func otherEnd(d dialect, transaction uint16, unit byte, pdu []byte) []byte {
	body := append([]byte{unit}, pdu...)
	switch d {
	case overRTU:
		sum := crc(body)
		return append(body, byte(sum), byte(sum>>8))
	case overASCII:
		return fmt.Appendf(nil, ":%X%02X\r\n", body, lrc(body))
	}
	head := []byte{byte(transaction >> 8), byte(transaction), 0, 0, 0, byte(len(body))}
	return append(head, body...)
}

func TestVerifyOfTCPComparesTheHeader(t *testing.T) {
	for _, test := range []struct{ name, response, want string }{
		{"right", "0001 0000 0007 01 03 04 0001 0002", ""},
		{"empty", "", "too short"},
		{"header only", "0001 0000 0001 01", "too short"},
		{"transaction id", "0008 0000 0007 01 03 04 0001 0002", "transaction id 8, the request had 1"},
		{"protocol id", "0001 0001 0007 01 03 04 0001 0002", "not Modbus TCP"},
		{"length", "0001 0000 0008 01 03 04 0001 0002", "says that 8 bytes follow, 7 do"},
		{"unit", "0001 0000 0007 02 03 04 0001 0002", "unit 2"},
	} {
		f := newFramer(overTCP, 1)
		err := f.Verify(encode(t, f, "03 0000 0002"), unhex(t, test.response))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestAnswerIsFoundAmongOtherBytes(t *testing.T) {
	right := unhex(t, "03 04 0001 0002")
	for _, d := range []dialect{overTCP, overRTU, overASCII} {
		answer := otherEnd(d, 1, 7, right)
		other := otherEnd(d, 0xFFFF, 8, unhex(t, "03 04 0009 0009"))
		late := otherEnd(d, 0, 7, unhex(t, "03 02 0009"))
		refusal := otherEnd(d, 1, 7, unhex(t, "83 02"))
		for _, test := range []struct {
			name           string
			before, behind []byte
			want           []byte
		}{
			{"alone", nil, answer, answer},
			{"exception", nil, refusal, refusal},
			{"behind another's", other, answer, answer},
			{"behind a late one", late, answer, answer},
			{"behind both", append(bytes.Clone(late), other...), answer, answer},
			{"behind noise", []byte{0, 0xFF, 7, 3, 4, 7}, answer, answer},
			{"another's alone", nil, other, nil},
			{"a late one alone", nil, late, nil},
			{"half", nil, answer[:len(answer)-1], nil},
			{"nothing", nil, nil, nil},
		} {
			f := newFramer(d, 7)
			request := encode(t, f, "03 0000 0002")
			received := append(bytes.Clone(test.before), test.behind...)
			got, found := f.find(request, received)
			if found != (test.want != nil) || !bytes.Equal(got, test.want) {
				t.Errorf("%s in %s: got % x, %v, want % x", test.name, spoken[d], got, found, test.want)
			}
			for n := range received { // it comes in pieces
				if early, found := f.find(request, received[:n]); found && !bytes.Equal(early, test.want) {
					t.Errorf("%s in %s: after %d bytes % x was taken", test.name, spoken[d], n, early)
				}
			}
		}
	}
}

func TestWhatCameInsteadIsExplained(t *testing.T) {
	for _, test := range []struct {
		dialect  dialect
		received string
		want     string
	}{
		{overTCP, "0000 0000 0005 01 03 02 0009", "the last had transaction id 0, the request has 1"},
		{overTCP, "0001 0000 0007 01 03", "the answer stopped after 8 of 13 bytes"},
		{overTCP, "0001 00", "the answer stopped after 3 bytes"},
		{overTCP, "485454502f312e3120343030", "what came is not Modbus TCP, it begins with 48 54 54 50"},
		{overRTU, "01 03 04 0001 0002 0000", "the checksum of the answer is wrong"},
		{overRTU, "01 03 04 0001", "the answer stopped after 5 of 9 bytes"},
		{overRTU, "ff 00 ff 00 ff", "what came is not Modbus RTU"},
		{overRTU, "02 83 02 30 f1", "the answer is from unit 2, the request was for 1"},
		{overRTU, "01 03 0000 0002 c40b", "only the request itself came back"},
		{overASCII, "3a303130", "the answer stopped after 4 characters"},
		{overASCII, "ffff", "what came is not Modbus ASCII"},
		{overASCII, "3a30313033303430303031303030323030" + "0d0a", "the checksum of the answer is wrong"},
		{overASCII, "3a30320d0a", "which is not a frame"},
	} {
		f := newFramer(test.dialect, 1)
		request := encode(t, f, "03 0000 0002")
		if got := f.explain(request, unhex(t, test.received)).text; !strings.Contains(got, test.want) {
			t.Errorf("%s, %s: got %q, want %q", spoken[test.dialect], test.received, got, test.want)
		}
	}
}

func TestRequestThatDoesNotFitIsRefused(t *testing.T) {
	for _, d := range []dialect{overTCP, overRTU, overASCII} {
		f := newFramer(d, 1)
		if _, err := f.Encode(&modbus.ProtocolDataUnit{FunctionCode: 16, Data: make([]byte, maxPDUBytes)}); err == nil {
			t.Errorf("%s: a PDU of %d bytes was framed", spoken[d], maxPDUBytes+1)
		}
		frame, err := f.Encode(&modbus.ProtocolDataUnit{FunctionCode: 16, Data: make([]byte, maxPDUBytes-1)})
		if err != nil {
			t.Errorf("%s: a PDU of %d bytes: %v", spoken[d], maxPDUBytes, err)
		}
		if unit, pdu := f.question(frame); unit != 1 || len(pdu) != maxPDUBytes {
			t.Errorf("%s: the frame of %d bytes has unit %d and a PDU of %d", spoken[d], len(frame), unit, len(pdu))
		}
	}
}

// fuzzFramer lets a device send anything. Whatever is taken for the answer stood in what was sent,
// passes every check, and is what comes out when its PDU is wrapped again.
func fuzzFramer(f *testing.F, d dialect) {
	for _, written := range []string{
		"03 0000 0002", "01 0000 000a", "06 0064 002a", "10 0064 0002 04 0001 0002", "16 0004 00f2 0025", "17 0003 0002 000e 0001 02 00ff",
	} {
		pdu := unhex(f, written)
		right := map[byte]string{
			3: "03 04 0001 0002", 1: "01 02 ff03", 6: "06 0064 002a", 16: "10 0064 0002", 22: "16 0004 00f2 0025", 23: "17 04 0001 0002",
		}[pdu[0]]
		answer := otherEnd(d, 1, 1, unhex(f, right))
		f.Add(pdu, answer)
		f.Add(pdu, append([]byte{1, pdu[0], 0x3a, 0}, answer...))
		f.Add(pdu, otherEnd(d, 1, 1, []byte{pdu[0] | 0x80, 2}))
		f.Add(pdu, answer[:len(answer)-1])
	}
	f.Fuzz(func(t *testing.T, pdu, received []byte) {
		if len(pdu) < 5 || len(pdu) > maxPDUBytes {
			return // goburrow's client makes none
		}
		framer := newFramer(d, 1)
		request, err := framer.Encode(&modbus.ProtocolDataUnit{FunctionCode: pdu[0], Data: pdu[1:]})
		if err != nil {
			t.Fatal(err)
		}
		if unit, asked := framer.question(request); unit != 1 || !bytes.Equal(asked, pdu) {
			t.Fatalf("% x is a request of unit %d for % x, want % x", request, unit, asked, pdu)
		}
		frame, found := framer.find(request, received)
		if !found {
			if len(received) > 0 && framer.explain(request, received).text == "" {
				t.Errorf("nothing is said about % x", received)
			}
			return
		}
		if !bytes.Contains(received, frame) {
			t.Fatalf("% x was taken from % x", frame, received)
		}
		if err := framer.Verify(request, frame); err != nil {
			if d != overTCP {
				t.Errorf("% x was found, but %v", frame, err)
			}
			return
		}
		answer, err := framer.Decode(frame)
		if err != nil {
			t.Fatalf("% x was verified, but %v", frame, err)
		}
		again := otherEnd(d, 1, 1, append([]byte{answer.FunctionCode}, answer.Data...))
		if d == overASCII {
			frame, again = bytes.ToUpper(bytes.TrimRight(frame, "\r\n")), bytes.TrimRight(again, "\r\n")
		}
		if !bytes.Equal(frame, again) {
			t.Errorf("% x does not survive a round trip: % x", frame, again)
		}
	})
}

func FuzzAnswerTCP(f *testing.F)   { fuzzFramer(f, overTCP) }
func FuzzAnswerRTU(f *testing.F)   { fuzzFramer(f, overRTU) }
func FuzzAnswerASCII(f *testing.F) { fuzzFramer(f, overASCII) }
