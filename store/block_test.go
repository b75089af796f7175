package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/gateway/message"
)

// made puts messages into one block.
func made(first message.Position, messages ...message.Message) (value []byte, g *group) {
	g = &group{first: first}
	for i := range messages {
		g.add(&messages[i], sampleBlockPlace(messages, i), recordBound(&messages[i]), nil, 0)
	}
	return appendBlock(nil, g.plain, g.chunks, g.first, g.base), g
}

// sampleBlockPlace counts the offsets of message i's queue, whatever its topic, from 100 times its
// number on.
func sampleBlockPlace(messages []message.Message, i int) queuePlace {
	place := queuePlace{messages[i].Queue, 100 * uint64(messages[i].Queue)}
	for _, m := range messages[:i] {
		if m.Queue == place.queue {
			place.offset++
		}
	}
	return place
}

func samples() []message.Message {
	list := []message.Message{
		{Topic: "a", Payload: []byte{}, Time: math.MinInt64},
		{Topic: "a", Payload: []byte{}, Queue: message.NoQueue},
		{Topic: "a", Payload: []byte{}, Queue: message.MaxQueues - 1},
		{Topic: "a/b", Payload: []byte("x"), Time: math.MaxInt64, QoS: 2, Retain: true},
		{Topic: strings.Repeat("t", 65535), Payload: bytes.Repeat([]byte("p"), 100<<10), Time: 5},
		{Topic: "c", Client: "phone-1", QoS: 1, Payload: []byte("z")},
		{Topic: "c", Payload: []byte("z"), Client: strings.Repeat("long", 100), Device: "press", Seq: 1, Properties: []message.Property{{Name: message.Expiry, Value: "9"}}},
		{Topic: "d", Payload: []byte("y"), Device: "press", Seq: math.MaxUint64, Properties: []message.Property{{Name: "k", Value: "v"}, {Name: "k"}, {}}},
	}
	for i := range 500 {
		list = append(list, message.Message{Topic: fmt.Sprint("topic/", i%7), Payload: fmt.Appendf(nil, "payload %d %d", i, i*i), Time: int64(i), Device: fmt.Sprint(i % 3), Seq: uint64(i), Queue: byte(i % 7 * i % 5)})
	}
	return list
}

func TestBlocksComeBackAsTheyWere(t *testing.T) {
	want := samples()
	value, g := made(7, want...)
	if len(g.chunks) < 3 {
		t.Errorf("%d chunks: the test wants several", len(g.chunks))
	}
	fromDisk, err := decodeBlock(value)
	if err != nil {
		t.Fatal(err)
	}
	opened := groupBlock(g)
	if err := opened.checkYoung(); err != nil {
		t.Fatal(err)
	}
	fromMemory := opened.appendTo(nil, 0, g.count, new(nameTable))
	helped, err := openBlock(value, true)
	if err != nil {
		t.Fatal(err)
	}
	together := helped.appendTo(nil, 0, g.count, new(nameTable))
	for i := range want {
		for _, got := range []message.Record{fromDisk[i], fromMemory[i], together[i]} {
			if got.Position != message.Position(7+i) || !reflect.DeepEqual(got.Message, want[i]) ||
				want[i].Queue != message.NoQueue && got.QueueOffset != sampleBlockPlace(want, i).offset {
				t.Errorf("message %d: got %.200v, want %.200v", i, got, want[i])
			}
		}
	}
}

// TestReadingFromAnyRecord compares what is made from the middle of a block with what was put in, and
// the keys that are found in its bytes with those of the records.
func TestReadingFromAnyRecord(t *testing.T) {
	want := samples()
	for i := range want[4:] {
		m := &want[4+i]
		m.Properties = []message.Property{{Name: "n", Value: "v"}, {Name: propertyKeys, Value: fmt.Sprint(" a", i, "  b ", i)}, {Name: propertyUnique, Value: fmt.Sprint(i)}}
	}
	_, g := made(7, want...)
	b := groupBlock(g)
	if err := b.checkYoung(); err != nil {
		t.Fatal(err)
	}
	names := new(nameTable)
	for from := range want {
		n := min(40, len(want)-from)
		got := b.appendTo(make([]message.Record, 1, 5), uint32(from), uint32(n), names)[1:]
		for i, r := range got {
			if r.Position != message.Position(7+from+i) || !reflect.DeepEqual(r.Message, want[from+i]) ||
				r.Queue != message.NoQueue && r.QueueOffset != sampleBlockPlace(want, from+i).offset {
				t.Fatalf("record %d from %d on: got %.200v, want %.200v", i, from, r.Message, want[from+i])
			}
		}
		if len(got) != n {
			t.Fatalf("%d records from %d on, want %d", len(got), from, n)
		}
	}
	for r := b.from(0); r.step(); {
		var raw, plain []string
		if r.raw.flags&flagProperties != 0 {
			eachRawKey(r.raw.properties.of(b.plain[r.start:]), func(key []byte) { raw = append(raw, string(key)) })
		}
		eachKey(want[r.record].Properties, func(key string) bool { plain = append(plain, key); return true })
		if !slices.Equal(raw, plain) {
			t.Errorf("message %d has the keys %q, its bytes give %q", r.record, plain, raw)
		}
	}
}

// TestNamesAreMadeOnce reads a block again and again and counts what that allocates.
func TestNamesAreMadeOnce(t *testing.T) {
	list := make([]message.Message, 1000)
	for i := range list {
		list[i] = reading(i)
	}
	_, g := made(1, list...)
	b := groupBlock(g)
	if err := b.checkYoung(); err != nil {
		t.Fatal(err)
	}
	names := new(nameTable)
	dst := b.appendTo(nil, 0, b.count, names)
	// Names may share a set of the table, of which the seed decides; nearly always it is 0.
	if n := testing.AllocsPerRun(10, func() { b.appendTo(dst[:0], 0, b.count, names) }); n > float64(len(list)/2) {
		t.Errorf("reading %d records allocates %v times, their names alone are %d", len(list), n, 2*len(list))
	}
}

func TestBoundIsNeverLessThanTheRecord(t *testing.T) {
	for _, m := range samples() {
		if size, bound := len(appendRecord(nil, &m, math.MaxInt64, queueRef{queuePlace{1, math.MaxUint64}, 0})), recordBound(&m); size > bound {
			t.Errorf("%.100v takes %d bytes, bound %d", m, size, bound)
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	value, _ := made(1, samples()[3:9]...)
	for i := range value {
		value[i] ^= 0x10
		if _, err := decodeBlock(value); err == nil {
			t.Errorf("byte %d was changed and nobody noticed", i)
		}
		value[i] ^= 0x10
	}
	header := header{first: 3, count: 2, bytes: 9, time: 1, clock: 2}
	key := headerKey(header.last())
	sealed := header.value(key)
	for i := range sealed {
		sealed[i] ^= 0x10
		if _, err := decodeHeader(key, sealed); err == nil {
			t.Errorf("byte %d of a header was changed and nobody noticed", i)
		}
		sealed[i] ^= 0x10
	}
	if _, err := decodeHeader(headerKey(9), sealed); err == nil {
		t.Error("a header was believed under the key of another")
	}
}

func TestGroupsStayWithinATransaction(t *testing.T) {
	g := &group{first: 1}
	n := 0
	for {
		m := message.Message{Topic: "t", Device: fmt.Sprintf("%0*d", maxName, n), Seq: 1}
		if !g.fits(&m, recordBound(&m)) {
			break
		}
		g.add(&m, nowhere, recordBound(&m), nil, 0)
		n++
	}
	short := &group{first: 1}
	for i := range 1000 {
		m := message.Message{Topic: "t", Device: fmt.Sprint(i), Seq: 1}
		if !short.fits(&m, recordBound(&m)) {
			break
		}
		short.add(&m, nowhere, recordBound(&m), nil, 0)
	}
	if len(g.devices) == 0 || g.nameSize > groupDeviceBytes || len(short.devices) != groupDevices {
		t.Errorf("%d devices with long names in %d bytes, %d with short ones", len(g.devices), g.nameSize, len(short.devices))
	}
}

// FuzzBlock feeds what a damaged disk may hold. The checksum is put right, else nothing behind it
// would ever be reached.
func FuzzBlock(f *testing.F) {
	for _, n := range []int{1, 2, 4, 10, 40} {
		value, _ := made(1, samples()[5:5+n]...)
		f.Add(value)
	}
	chunks, _ := made(1, samples()...)
	f.Add(chunks)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > blockTail {
			body := in[:len(in)-blockTail]
			in = appendSum(bytes.Clone(body))
		}
		records, err := decodeBlock(in)
		if helped, trouble := openBlock(in, true); (trouble == nil) != (err == nil) {
			t.Errorf("with help the error is %v, without it %v", trouble, err)
		} else if err == nil && !reflect.DeepEqual(helped.appendTo(nil, 0, helped.count, new(nameTable)), records) {
			t.Error("with help the records are others")
		}
		if err != nil {
			return
		}
		g := &group{first: records[0].Position}
		for i := range records {
			r := &records[i]
			if r.Position != records[0].Position+message.Position(i) {
				t.Errorf("record %d has position %d", i, r.Position)
			}
			g.add(&r.Message, placeOf(r), recordBound(&r.Message), nil, 0)
		}
		again := appendBlock(nil, g.plain, g.chunks, g.first, g.base)
		if got, err := decodeBlock(again); err != nil || !reflect.DeepEqual(got, records) {
			t.Errorf("does not survive a round trip: %v", err)
		}
	})
}

// FuzzSmallValues runs every decoder of keys and small values.
func FuzzSmallValues(f *testing.F) {
	h := header{first: 3, count: 2, bytes: 9, time: 1, clock: 2}
	f.Add(headerKey(4), h.value(headerKey(4)))
	f.Add(stateKey, state{1, 2, 3, 4, 5}.value())
	f.Add(cursorKey("c"), cursorMark{at: 5, used: 6, idle: 7}.value(cursorKey("c"), absent))
	f.Add(cursorKey("c"), cursorMark{at: 5, done: []Range{{7, 9}, {11, 11}}}.value(cursorKey("c"), present))
	f.Add(cursorKey("c"), sealWords(cursorKey("c"), present, 5))
	f.Add(deviceKey("d"), deviceMark{1, 2}.value(deviceKey("d")))
	f.Add(gapKey(3), hole{3, 9}.value())
	f.Add([]byte("x"), moved{7, entry{cursorKey("c"), cursorMark{at: 5}.value(cursorKey("c"), present)}}.intent())
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if at, name, c, ok := decodeIntent(value); ok {
			again := moved{at, entry{cursorKey(name), c.value(cursorKey(name), present)}}.intent()
			if at2, name2, c2, ok := decodeIntent(again); !ok || at2 != at || name2 != name || c2.at != c.at || !slices.Equal(c2.done, c.done) {
				t.Errorf("the move of %q at %d to %+v does not survive a round trip", name, at, c)
			}
		}
		for _, value := range [][]byte{value, appendKeySum(key, value)} {
			if h, err := decodeHeader(key, value); err == nil && !bytes.Equal(zeroFlag(h.value(key)), zeroFlag(value)) {
				t.Errorf("header %+v", h)
			}
			if s, err := decodeState(value); err == nil && !bytes.Equal(zeroFlag(s.value()), zeroFlag(value)) {
				t.Errorf("state %+v", s)
			}
			if c, mark, err := decodeCursor(key, value); err == nil && len(value) > 14 && !bytes.Equal(c.value(key, mark), value) {
				t.Errorf("cursor %+v %d", c, mark)
			}
			if d, err := decodeDevice(key, value); err == nil && !bytes.Equal(zeroFlag(d.value(key)), zeroFlag(value)) {
				t.Errorf("device %+v", d)
			}
			if h, err := decodeHole(key, value); err == nil && (h.last < h.first || positionKey(key[0], h.first) == nil) {
				t.Errorf("hole %+v", h)
			}
			var user User
			_ = decodeJSON(key, value, &user) // refusing is fine, panicking is not
		}
	})
}

// zeroFlag leaves out what most values do not use, and the checksum over it.
func zeroFlag(value []byte) []byte {
	c := bytes.Clone(value[:len(value)-4])
	c[1] = 0
	return c
}

func appendSum(body []byte) []byte {
	return binary.BigEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

func appendKeySum(key, value []byte) []byte {
	if len(value) < 4 {
		return value
	}
	return seal(key, bytes.Clone(value[:len(value)-4]))
}
