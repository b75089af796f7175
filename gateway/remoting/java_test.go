package remoting

import (
	"bytes"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
)

// javaWrote is what Apache RocketMQ's own libraries wrote.
func javaWrote(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile("testdata/java/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestCommandsOfJava(t *testing.T) {
	for name, want := range map[string]Command{
		"command-json-5.5.0":   {Version: 479},
		"command-json-4.9.8":   {Version: 409},
		"command-binary-5.5.0": {Version: 479, Binary: true},
	} {
		want.Code, want.Opaque, want.Remark, want.Body = SendMessageV2, 17, "é \"x\"\v\x00", []byte(`{"temperature":21.5}`)
		want.Ext = Fields{{"a", "g"}, {"b", "readings"}, {"e", "-1"}, {"i", "TAGS\x01press\x02KEYS\x01line-3\x02WAIT\x01true\x02"}, {"k", "false"}}
		in := javaWrote(t, name)
		got, err := read(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, *got, want)
		}
		out, err := got.Append(nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !got.Binary { // only that the header says of itself what it is, which nobody reads, is not ours
			in = bytes.Replace(in, []byte(`,"serializeTypeCurrentRPC":"JSON"`), nil, 1)
			in = bytes.Replace(in, []byte(`\u000B`), []byte(`\u000b`), 1)
			in, out = in[8:], out[8:]
		}
		if !bytes.Equal(out, in) {
			t.Errorf("%s written again:\ngot  %q\nwant %q", name, out, in)
		}
	}
}

func TestStoredMessageOfJava(t *testing.T) {
	in := javaWrote(t, "stored-5.5.0")
	got, rest, err := ParseStored(append(bytes.Clone(in), "rest"...))
	if err != nil || string(rest) != "rest" {
		t.Fatalf("rest %q, error %v", rest, err)
	}
	want := Stored{
		QueueID: 3, Flag: 9, QueueOffset: 1234567890123, PhysicalOffset: 987654321,
		BornTime: 1795345665221, BornHost: netip.MustParseAddrPort("192.168.1.7:50001"),
		StoreTime: 1795345665333, StoreHost: netip.MustParseAddrPort("192.168.1.2:10911"),
		Reconsumed: 2, Prepared: 77, Body: []byte(`{"seq":42}`), Topic: "readings",
		Properties: "device\x01press\x02TAGS\x01MQTT_COMMON\x02",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if out, err := AppendStored(nil, &want); err != nil || !bytes.Equal(out, in) {
		t.Errorf("written again: %v\ngot  %x\nwant %x", err, out, in)
	}
}

func TestBatchOfJava(t *testing.T) {
	in := javaWrote(t, "batch-5.5.0")
	got, err := ParseBatch(in, 3)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for i, n := range []string{"0", "1", "2"} {
		want := Part{Flag: int32(i), Body: []byte("reading " + n), Properties: "KEYS\x01k" + n + "\x02WAIT\x01true\x02TAGS\x01press\x02"}
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("message %d: got %+v, want %+v", i, got[i], want)
		}
		if out, err = AppendPart(out, got[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out, in) {
		t.Errorf("written again: %x\nwant %x", out, in)
	}
}

func TestInflateTakesWhatJavaCompressed(t *testing.T) {
	want := strings.Repeat("temperature 21.5;", 20)
	for name, sysFlags := range map[string][]int32{
		"zlib-5.5.0": {SysCompressed, SysCompressed | 3<<8},
		"lz4-5.5.0":  {SysCompressed | 1<<8 | SysMultiTags},
		"zstd-5.5.0": {SysCompressed | 2<<8},
	} {
		for _, sysFlag := range sysFlags {
			for _, most := range []int{len(want), 4 << 20} {
				if got, err := Inflate(javaWrote(t, name), sysFlag, most); err != nil || string(got) != want {
					t.Errorf("%s, sysFlag %#x, at most %d bytes: %q, %v", name, sysFlag, most, got, err)
				}
			}
		}
	}
}

func TestMapsOfJava(t *testing.T) {
	queues := []QueueEntry{
		{MessageQueue{Topic: `a"b`, BrokerName: "sluice", QueueID: 1}, []byte("6")},
		{MessageQueue{Topic: "readings", BrokerName: "sluice", QueueID: 0}, []byte("5")},
	}
	in := javaWrote(t, "queuemap-5.5.0")
	if got, err := ParseQueueMap(in); err != nil || !reflect.DeepEqual(got, queues) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, queues)
	}
	if got := AppendQueueMap(nil, queues); !bytes.Equal(got, in) {
		t.Errorf("got  %s\nwant %s", got, in)
	}
	brokers := []IntEntry{{0, []byte(`"10.0.0.1:10911"`)}, {1, []byte(`"x"`)}}
	in = javaWrote(t, "intmap-5.5.0")
	if got, err := ParseIntMap(in); err != nil || !reflect.DeepEqual(got, brokers) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, brokers)
	}
	if got := AppendIntMap(nil, brokers, false); !bytes.Equal(got, in) {
		t.Errorf("got  %s\nwant %s", got, in)
	}
}
