package packet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

type recordedFrame struct {
	version byte
	sender  string
	raw     []byte
}

var recordedFrames []recordedFrame

// recorded reads what stock programs said to each other.
func recorded(tb testing.TB) []recordedFrame {
	tb.Helper()
	if recordedFrames != nil {
		return recordedFrames
	}
	text, err := os.ReadFile("testdata/recorded.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if line[0] == '#' {
			continue
		}
		raw, err := hex.DecodeString(fields[2])
		if err != nil {
			tb.Fatal(err)
		}
		recordedFrames = append(recordedFrames, recordedFrame{fields[0][0] - '0', fields[1], raw})
	}
	return recordedFrames
}

func TestRecordedFramesSurviveUnchanged(t *testing.T) {
	seen := map[Type]bool{}
	for _, r := range recorded(t) {
		frame := wholeFrame(t, r.raw)
		p := newPacket(frame.Type)
		if err := p.Decode(frame, r.version); err != nil {
			t.Errorf("%s from the %s (level %d) %x: %v", frame.Type, r.sender, r.version, r.raw, err)
			continue
		}
		if got := p.Append(nil, r.version); !bytes.Equal(got, r.raw) {
			t.Errorf("%s from the %s (level %d)\n got %x\nwant %x", frame.Type, r.sender, r.version, got, r.raw)
		}
		seen[frame.Type] = true
	}
	for kind := CONNECT; kind <= DISCONNECT; kind++ {
		if !seen[kind] {
			t.Errorf("no %s was recorded", kind)
		}
	}
}

// TestTruncatedFramesAreRefused cuts every recorded frame everywhere: none may panic, and what passes
// must be one of the forms that MQTT 5 allows to be short, or a payload.
func TestTruncatedFramesAreRefused(t *testing.T) {
	for _, r := range recorded(t) {
		frame := wholeFrame(t, r.raw)
		for n := range frame.Body {
			cut := Frame{Type: frame.Type, Flags: frame.Flags, Body: frame.Body[:n]}
			p := newPacket(frame.Type)
			err := p.Decode(cut, r.version)
			if err != nil || r.version == V5 || frame.Type == PUBLISH {
				continue
			}
			if wire := p.Append(nil, r.version); !bytes.Equal(wholeFrame(t, wire).Body, cut.Body) {
				t.Errorf("%s %x passes as %x", frame.Type, cut.Body, wire)
			}
		}
	}
}

var malformedPackets = []struct {
	name    string
	version byte
	hex     string
	code    Reason
	clause  string
}{
	{"CONNECT flags", V311, "110c00044d51545404020000" + "0000", MalformedPacket, "MQTT-2.1.3-1"},
	{"another protocol", V311, "100c00044d51545304020000" + "0000", UnsupportedProtocolVersion, "MQTT-3.1.2-1"},
	{"level 6", V311, "100c00044d51545406020000" + "0000", UnsupportedProtocolVersion, "MQTT-3.1.2-2"},
	{"3.1 name, 3.1.1 level", V311, "100e00064d5149736470" + "04020000" + "0000", UnsupportedProtocolVersion, "MQTT-3.1.2-2"},
	{"CONNECT reserved", V311, "100c00044d51545404030000" + "0000", MalformedPacket, "MQTT-3.1.2-3"},
	{"will QoS 3", V311, "101200044d515454041e0000" + "0000" + "000161" + "000162", MalformedPacket, "MQTT-3.1.2-12"},
	{"QoS without a will", V311, "100c00044d515454040a0000" + "0000", MalformedPacket, "MQTT-3.1.2-11"},
	{"retain without a will", V311, "100c00044d51545404220000" + "0000", MalformedPacket, "MQTT-3.1.2-13"},
	{"password without user", V311, "100f00044d51545404420000" + "0000" + "000170", MalformedPacket, "3.1.1 MQTT-3.1.2-22"},
	{"will topic with wildcard", V311, "101200044d51545404060000" + "0000" + "000123" + "000162", TopicNameInvalid, "MQTT-3.3.2-2"},
	{"bytes behind CONNECT", V311, "100d00044d51545404020000" + "0000" + "00", MalformedPacket, "MQTT-4.13.1-1"},
	{"no client id", V311, "100a00044d51545404020000", MalformedPacket, "MQTT-4.13.1-1"},
	{"receive maximum 0", V5, "101000044d51545405020000" + "03210000" + "0000", ProtocolError, "2.2.2.2"},
	{"data without method", V5, "101100044d51545405020000" + "0416000161" + "0000", ProtocolError, "3.1.2.11.10"},
	{"will delay outside a will", V5, "101200044d51545405020000" + "051800000001" + "0000", ProtocolError, "2.2.2.2"},
	{"CONNACK flags", V311, "20020200", MalformedPacket, "MQTT-3.2.2-1"},
	{"refusal with a session", V311, "20020105", ProtocolError, "MQTT-3.2.2-6"},
	{"return code 6", V311, "20020006", MalformedPacket, "3.1.1 3.2.2.3"},
	{"CONNACK reason", V5, "2003001000", ProtocolError, "MQTT-3.2.2-8"},
	{"maximum QoS 2", V5, "20050000022402", ProtocolError, "2.2.2.2"},
	{"QoS 3", V311, "3605000161" + "0001", MalformedPacket, "MQTT-3.3.1-4"},
	{"QoS 0 with DUP", V311, "3803000161", MalformedPacket, "MQTT-3.3.1-2"},
	{"id 0", V311, "3205000161" + "0000", ProtocolError, "MQTT-2.2.1-3"},
	{"no id", V311, "3203000161", MalformedPacket, "MQTT-4.13.1-1"},
	{"empty topic", V311, "30020000", ProtocolError, "MQTT-4.7.3-1"},
	{"plus in a topic", V311, "30030001" + "2b", TopicNameInvalid, "MQTT-3.3.2-2"},
	{"topic not UTF-8", V311, "30030001" + "ff", MalformedPacket, "MQTT-1.5.4-1"},
	{"surrogate", V311, "30050003" + "eda080", MalformedPacket, "MQTT-1.5.4-1"},
	{"U+0000", V311, "30030001" + "00", MalformedPacket, "MQTT-1.5.4-2"},
	{"topic alias 0", V5, "3007000161" + "03230000", TopicAliasInvalid, "MQTT-3.3.2-8"},
	{"topic alias twice", V5, "300a000161" + "06230001230002", ProtocolError, "2.2.2.2"},
	{"response topic with #", V5, "3008000161" + "04080001" + "23", ProtocolError, "MQTT-3.3.2-14"},
	{"payload format 2", V5, "3006000161" + "020102", ProtocolError, "2.2.2.2"},
	{"subscription id 0", V5, "3006000161" + "020b00", ProtocolError, "2.2.2.2"},
	{"property 4", V5, "3006000161" + "020401", MalformedPacket, "2.2.2.2"},
	{"property 257", V5, "3007000161" + "03810201", MalformedPacket, "2.2.2.2"},
	{"server keep alive in PUBLISH", V5, "3007000161" + "03130001", ProtocolError, "2.2.2.2"},
	{"padded property length", V5, "3005000161" + "8000", MalformedPacket, "MQTT-1.5.5-1"},
	{"property length too long", V5, "3004000161" + "05", MalformedPacket, "MQTT-4.13.1-1"},
	{"property cut short", V5, "3006000161" + "022300", MalformedPacket, "MQTT-4.13.1-1"},
	{"PUBACK flags", V311, "42020001", MalformedPacket, "MQTT-2.1.3-1"},
	{"PUBREL flags", V311, "60020001", MalformedPacket, "MQTT-2.1.3-1"},
	{"PUBACK id 0", V311, "40020000", ProtocolError, "MQTT-2.2.1-3"},
	{"long PUBACK", V311, "4003000100", MalformedPacket, "MQTT-4.13.1-1"},
	{"PUBACK reason", V5, "4003000192", ProtocolError, "MQTT-3.4.2-1"},
	{"PUBREL reason", V5, "6203000110", ProtocolError, "MQTT-3.6.2-1"},
	{"SUBSCRIBE flags", V311, "8006000100016100", MalformedPacket, "MQTT-3.8.1-1"},
	{"SUBSCRIBE without filters", V311, "82020001", ProtocolError, "MQTT-3.8.3-2"},
	{"SUBSCRIBE without QoS", V311, "82050001" + "000161", MalformedPacket, "MQTT-4.13.1-1"},
	{"SUBSCRIBE QoS 3", V311, "82060001" + "00016103", MalformedPacket, "3.1.1 MQTT-3-8.3-4"},
	{"SUBSCRIBE reserved, 3.1.1", V311, "82060001" + "00016104", MalformedPacket, "3.1.1 MQTT-3-8.3-4"},
	{"SUBSCRIBE reserved, 5", V5, "82070001" + "00" + "00016140", MalformedPacket, "MQTT-3.8.3-5"},
	{"retain handling 3", V5, "82070001" + "00" + "00016130", ProtocolError, "3.8.3.1"},
	{"no local when shared", V5, "82100001" + "00" + "000a2473686172652f672f61" + "04", ProtocolError, "MQTT-3.8.3-4"},
	{"empty filter", V311, "82050001" + "000000", TopicFilterInvalid, "MQTT-4.7.3-1"},
	{"SUBACK code 3", V311, "9003000103", MalformedPacket, "3.1.1 MQTT-3.9.3-2"},
	{"SUBACK without codes", V311, "90020001", MalformedPacket, "MQTT-3.9.3-1"},
	{"SUBACK reason", V5, "900400010010", ProtocolError, "MQTT-3.9.3-2"},
	{"UNSUBSCRIBE flags", V311, "a0050001000161", MalformedPacket, "MQTT-3.10.1-1"},
	{"UNSUBSCRIBE without filters", V311, "a2020001", ProtocolError, "MQTT-3.10.3-2"},
	{"UNSUBACK with codes", V311, "b003000100", MalformedPacket, "MQTT-4.13.1-1"},
	{"UNSUBACK reason", V5, "b00400010001", ProtocolError, "MQTT-3.11.3-2"},
	{"UNSUBACK without codes", V5, "b003000100", MalformedPacket, "MQTT-3.11.3-1"},
	{"PINGREQ flags", V311, "c100", MalformedPacket, "MQTT-2.1.3-1"},
	{"PINGREQ body", V311, "c00100", MalformedPacket, "MQTT-4.13.1-1"},
	{"DISCONNECT flags", V311, "e100", MalformedPacket, "MQTT-3.14.1-1"},
	{"DISCONNECT body", V311, "e00100", MalformedPacket, "MQTT-4.13.1-1"},
	{"DISCONNECT reason", V5, "e00101", ProtocolError, "MQTT-3.14.2-1"},
	{"AUTH before 5", V311, "f000", MalformedPacket, "3.1.1 2.2.1"},
	{"AUTH flags", V5, "f100", MalformedPacket, "MQTT-3.15.1-1"},
	{"AUTH reason", V5, "f0028000", ProtocolError, "MQTT-3.15.2-1"},
}

func TestMalformedPacketsAreRefusedWithTheirClause(t *testing.T) {
	for _, c := range malformedPackets {
		raw, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		frame := wholeFrame(t, raw)
		if len(raw) != 2+len(frame.Body) {
			t.Fatalf("%s: the case has a wrong length, %x", c.name, raw)
		}
		err = newPacket(frame.Type).Decode(frame, c.version)
		got, ok := errors.AsType[*Error](err)
		if !ok || got.Code != c.code || got.Clause != c.clause {
			t.Errorf("%s: %x gives %v, want %v [%s]", c.name, raw, err, c.code, c.clause)
		}
	}
}

// TestPropertiesStandWhereTheyMay tries every number as a property of every packet and counts what
// passes against table 2-4.
func TestPropertiesStandWhereTheyMay(t *testing.T) {
	want := map[Type]int{CONNECT: 9, CONNACK: 17, PUBLISH: 8, PUBACK: 2, PUBREC: 2, PUBREL: 2, PUBCOMP: 2,
		SUBSCRIBE: 2, SUBACK: 2, UNSUBSCRIBE: 1, UNSUBACK: 2, DISCONNECT: 4, AUTH: 4, inWill: 7}
	known := map[PropertyID]bool{}
	for kind := Type(0); kind <= AUTH; kind++ {
		passed := 0
		for id := range 256 {
			// One byte of 1 suits flags; a string of one byte, numbers and a pair begin alike.
			for _, value := range []string{"\x01", "\x00\x01", "\x00\x00\x00\x01", "\x00\x01a", "\x00\x01a\x00\x01b"} {
				list := append(appendVarint(nil, uint32(id)), value...)
				d := decoder{rest: append(appendVarint(nil, uint32(len(list))), list...)}
				p := d.properties(nil, kind, V5)
				if d.end() == nil && len(p) == 1 {
					passed++
					known[PropertyID(id)] = true
				}
			}
		}
		if passed != want[kind] {
			t.Errorf("%s takes %d properties, want %d", kind, passed, want[kind])
		}
	}
	if len(known) != 27 {
		t.Errorf("%d properties are known, want 27", len(known))
	}
}

func TestPropertiesAreBounded(t *testing.T) {
	p := Publish{Topic: []byte("a")}
	for range maxProperties + 1 {
		p.Properties = append(p.Properties, Property{ID: SubscriptionIdentifier, Number: 1})
	}
	err := new(Publish).Decode(wholeFrame(t, p.Append(nil, V5)), V5)
	if got, ok := errors.AsType[*Error](err); !ok || got.Code != ImplementationSpecificError {
		t.Errorf("%d properties give %v", maxProperties+1, err)
	}
}

func TestLengthsOfEverySizeAreWrittenAndRead(t *testing.T) {
	for _, n := range []int{0, 1, 100, 120, 127, 128, 200, 16_378, 16_383, 16_384, 2_097_151, 2_097_152} {
		publish := Publish{Topic: []byte("t"), Payload: bytes.Repeat([]byte{'p'}, n)}
		wire := publish.Append(nil, V311)
		var got Publish
		if err := got.Decode(wholeFrame(t, wire), V311); err != nil || !bytes.Equal(got.Payload, publish.Payload) {
			t.Errorf("PUBLISH of %d bytes came back with %d: %v", n, len(got.Payload), err)
		}
		suback := Suback{ID: 1, Codes: make([]Reason, n+1)}
		wire = suback.Append([]byte("before"), V311)[len("before"):]
		var back Suback
		if err := back.Decode(wholeFrame(t, wire), V311); err != nil || len(back.Codes) != n+1 {
			t.Errorf("SUBACK of %d codes came back with %d: %v", n+1, len(back.Codes), err)
		}
	}
}

func TestReaderTakesNoMoreThanItsLimit(t *testing.T) {
	publish := Publish{Topic: []byte("t"), Payload: make([]byte, 1000)}
	wire := publish.Append(nil, V311)
	if _, err := NewReader(bytes.NewReader(wire), len(wire)).Next(); err != nil {
		t.Errorf("a packet of exactly the limit: %v", err)
	}
	_, err := NewReader(bytes.NewReader(wire), len(wire)-1).Next()
	if got, ok := errors.AsType[*Error](err); !ok || got.Code != PacketTooLarge {
		t.Errorf("one byte more gives %v", err)
	}
}

func TestReaderGrowsOnlyAsBytesArrive(t *testing.T) {
	claim := []byte{0x30, 0xff, 0xff, 0xff, 0x7f} // 256 MiB
	r := NewReader(io.MultiReader(bytes.NewReader(claim), bytes.NewReader(make([]byte, 10_000))), MaxLength+5)
	if _, err := r.Next(); err != io.ErrUnexpectedEOF {
		t.Errorf("a stream that ends inside of a packet gives %v", err)
	}
	if len(r.buf) > 32<<10 {
		t.Errorf("a claim of 256 MiB with 10 kB behind it took %d bytes", len(r.buf))
	}
}

func TestReaderGivesLargeBuffersBack(t *testing.T) {
	large := Publish{Topic: []byte("t"), Payload: make([]byte, 1<<20)}
	small := Publish{Topic: []byte("t")}
	stream := large.Append(nil, V311)
	for range 600_000 {
		stream = small.Append(stream, V311)
	}
	r := NewReader(bytes.NewReader(stream), 2<<20)
	for range 500_000 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.buf) != largeBuffer {
		t.Errorf("a busy reader holds %d bytes, want %d", len(r.buf), largeBuffer)
	}
	r.from = &chopped{rest: stream[len(stream)-1000:], piece: 5}
	for {
		if _, err := r.Next(); err != nil {
			break
		}
	}
	if len(r.buf) != smallBuffer {
		t.Errorf("a quiet reader holds %d bytes, want %d", len(r.buf), smallBuffer)
	}
}

func TestReaderKnowsWhatIsReady(t *testing.T) {
	in, out := io.Pipe()
	go func() {
		out.Write([]byte{0xc0, 0, 0xc0, 0, 0xc0})
		out.Write([]byte{0})
		out.Close()
	}()
	r := NewReader(in, 100)
	for i, want := range []bool{true, false, false} {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if r.Ready() != want {
			t.Errorf("after packet %d Ready is %v", i+1, !want)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("the end gives %v", err)
	}
}

func TestPaddedLengthsAreForOlderVersionsOnly(t *testing.T) {
	padded := []byte{0xc0, 0x80, 0x00}
	if _, err := NewReader(bytes.NewReader(padded), 100).Next(); err != nil {
		t.Errorf("3.1.1 allows a padded length: %v", err)
	}
	r := NewReader(bytes.NewReader(padded), 100)
	r.RequireMinimal()
	if _, err := r.Next(); err == nil {
		t.Error("MQTT 5 does not allow a padded length")
	}
}

func TestMessagesCostNoAllocation(t *testing.T) {
	property := Properties{{ID: UserProperty, Name: []byte("unit"), Data: []byte("bar")}, {ID: TopicAlias, Number: 3}}
	publish := Publish{QoS: 1, ID: 7, Topic: []byte("readings/line-3/press"), Payload: make([]byte, 256), Properties: property}
	ack := Ack{Type: PUBACK, ID: 7, Code: NoMatchingSubscribers}
	for _, version := range []byte{V311, V5} {
		wire := ack.Append(publish.Append(nil, version), version)
		stream := &repeating{wire: wire}
		r := NewReader(stream, 1<<20)
		var p Publish
		var a Ack
		var out []byte
		allocs := testing.AllocsPerRun(2000, func() {
			frame, err := r.Next()
			if err == nil {
				err = p.Decode(frame, version)
			}
			if err != nil {
				t.Fatal(err)
			}
			out = p.Append(out[:0], version)
			if frame, err = r.Next(); err == nil {
				err = a.Decode(frame, version)
			}
			if err != nil {
				t.Fatal(err)
			}
			out = a.Append(out, version)
			if !bytes.Equal(out, wire) {
				t.Fatalf("got %x, want %x", out, wire)
			}
		})
		if allocs != 0 {
			t.Errorf("level %d: a PUBLISH and a PUBACK cost %v allocations", version, allocs)
		}
	}
}

// repeating is a stream without an end.
type repeating struct {
	wire []byte
	at   int
}

func (r *repeating) Read(b []byte) (n int, _ error) {
	for n < len(b) {
		c := copy(b[n:], r.wire[r.at:])
		n += c
		r.at = (r.at + c) % len(r.wire)
	}
	return n, nil
}

func BenchmarkPublish(b *testing.B) {
	publish := Publish{QoS: 1, ID: 7, Topic: []byte("readings/line-3/press"), Payload: make([]byte, 256)}
	wire := publish.Append(nil, V311)
	r := NewReader(&repeating{wire: wire}, 1<<20)
	var out []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		frame, _ := r.Next()
		_ = publish.Decode(frame, V311)
		out = publish.Append(out[:0], V311)
	}
}
