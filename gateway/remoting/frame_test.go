package remoting

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// jsonFrame frames a header written by hand.
func jsonFrame(header, body string) []byte {
	n, h := 4+len(header)+len(body), len(header)
	frame := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 0, byte(h >> 16), byte(h >> 8), byte(h)}
	return append(append(frame, header...), body...)
}

func read(in []byte) (*Command, error) {
	c := new(Command)
	return c, Read(bufio.NewReader(bytes.NewReader(in)), MaxFrame, c)
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// javaSend is the header of a SEND_MESSAGE_V2 as fastjson writes it.
const javaSend = `{"code":310,"extFields":{"a":"please_rename_unique_group_name","b":"readings","c":"TBW102","d":"4","e":"2","f":"0",` +
	`"g":"1795345665221","h":"0","i":"TAGS\u0001press\u0002KEYS\u0001line-3\u0002UNIQ_KEY\u00017F0000010B5C18B4AAC2396D3B2A0001\u0002WAIT\u0001true",` +
	`"j":"0","k":"false","m":"false","n":"sluice"},"flag":0,"language":"JAVA","opaque":17,"serializeTypeCurrentRPC":"JSON","version":479}`

func javaSendCommand() Command {
	return Command{
		Code: SendMessageV2, Language: LanguageJava, Version: 479, Opaque: 17, Body: []byte(`{"temperature":21.5}`),
		Ext: Fields{
			{"a", "please_rename_unique_group_name"}, {"b", "readings"}, {"c", "TBW102"}, {"d", "4"}, {"e", "2"}, {"f", "0"},
			{"g", "1795345665221"}, {"h", "0"},
			{"i", "TAGS\x01press\x02KEYS\x01line-3\x02UNIQ_KEY\x017F0000010B5C18B4AAC2396D3B2A0001\x02WAIT\x01true"},
			{"j", "0"}, {"k", "false"}, {"m", "false"}, {"n", "sluice"},
		},
	}
}

func TestReadTakesAFrameOfAJavaProducer(t *testing.T) {
	got, err := read(jsonFrame(javaSend, `{"temperature":21.5}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := javaSendCommand(); !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

func TestReadTakesWhatHeadersOfOtherClientsHold(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   Command
	}{
		"nothing":                 {`{}`, Command{}},
		"white space":             {" { \"code\" : 34 ,\n\t\"opaque\" : -5 }\r\n", Command{Code: HeartBeat, Opaque: -5}},
		"names without quotes":    {`{code:105,language:"GO",extFields:{topic:"t"},version:317}`, Command{Code: GetRouteInfoByTopic, Language: LanguageGo, Version: 317, Ext: Fields{{"topic", "t"}}}},
		"raw control characters":  {"{\"extFields\":{\"i\":\"TAGS\x01a\x02\"}}", Command{Ext: Fields{{"i", "TAGS\x01a\x02"}}}},
		"escapes":                 {`{"remark":"\"\\\/\b\f\n\r\t\v\u00e9\u20AC\ud83d\ude00\ud83dx\u0000"}`, Command{Remark: "\"\\/\b\f\n\r\t\vé€😀\uFFFDx\x00"}},
		"no remark, no fields":    {`{"remark":null,"extFields":null}`, Command{}},
		"fields that are not set": {`{"extFields":{"a":null,"b":""}}`, Command{Ext: Fields{{"b", ""}}}},
		"numbers as fields":       {`{"extFields":{"queueId":0,"order":true,"x":-1.5e3}}`, Command{Ext: Fields{{"queueId", "0"}, {"order", "true"}, {"x", "-1.5e3"}}}},
		"numbers in quotes":       {`{"code":"11","flag":"2"}`, Command{Code: PullMessage, Flag: FlagOneway}},
		"unknown names":           {`{"a":{"b":[1,{"c":"}\"]"}],{"topic":"t"}:2},"d":[],"e":{},"f":null,"code":10}`, Command{Code: SendMessage}},
		"an unknown language":     {`{"language":"ZIG"}`, Command{Language: LanguageOther}},
	} {
		got, err := read(jsonFrame(c.header, ""))
		if err != nil {
			t.Errorf("%s: %s: %v", name, c.header, err)
		} else if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: %s\ngot  %+v\nwant %+v", name, c.header, *got, c.want)
		}
	}
}

func TestReadRefusesLies(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"a negative length":            {unhex(t, "ffffffff 00000000"), ErrFrame},
		"a length without a header":    {unhex(t, "00000003 00000000"), ErrFrame},
		"a header beyond the frame":    {unhex(t, "00000006 00000003 7b7d"), ErrFrame},
		"an unknown serialisation":     {unhex(t, "00000006 02000002 7b7d"), ErrFrame},
		"a frame beyond the limit":     {unhex(t, "01000001 00000002 7b7d"), ErrTooLarge},
		"a header beyond the limit":    {unhex(t, "00200000 00100001 7b7d"), ErrTooLarge},
		"the end inside of the length": {unhex(t, "000000"), io.ErrUnexpectedEOF},
		"the end inside of the header": {unhex(t, "00000006 00000002 7b"), io.ErrUnexpectedEOF},
		"the end inside of the body":   {unhex(t, "00000007 00000002 7b7d"), io.ErrUnexpectedEOF},
		"the end":                      {nil, io.EOF},
		"an empty header":              {jsonFrame("", ""), ErrFrame},
		"no object":                    {jsonFrame("[]", ""), ErrFrame},
		"something after the header":   {jsonFrame("{}{}", ""), ErrFrame},
		"a lost comma":                 {jsonFrame(`{"code":1 "flag":1}`, ""), ErrFrame},
		"a lost colon":                 {jsonFrame(`{"code" 1}`, ""), ErrFrame},
		"a comma too many":             {jsonFrame(`{"code":1,}`, ""), ErrFrame},
		"a code that is a text":        {jsonFrame(`{"code":"x"}`, ""), ErrFrame},
		"a code of 33 bits":            {jsonFrame(`{"code":2147483648}`, ""), ErrFrame},
		"a broken code":                {jsonFrame(`{"code":1.5}`, ""), ErrFrame},
		"a string without an end":      {jsonFrame(`{"remark":"x`, ""), ErrFrame},
		"an escape without an end":     {jsonFrame(`{"remark":"\u12"}`, ""), ErrFrame},
		"an unknown escape":            {jsonFrame(`{"remark":"\q"}`, ""), ErrFrame},
		"fields that are a list":       {jsonFrame(`{"extFields":[]}`, ""), ErrFrame},
		"a field that is an object":    {jsonFrame(`{"extFields":{"a":{}}}`, ""), ErrFrame},
		"deep nesting":                 {jsonFrame(`{"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`, ""), ErrFrame},
		"a short binary header":        {unhex(t, "00000005 01000001 00"), ErrFrame},
		"a remark beyond the header":   {unhex(t, "00000019 01000015 0022 00 01df 00000001 00000000 00000001 00000000"), ErrFrame},
		"a negative remark":            {unhex(t, "00000019 01000015 0022 00 01df 00000001 00000000 ffffffff 00000000"), ErrFrame},
		"bytes after the fields":       {unhex(t, "0000001a 01000016 0022 00 01df 00000001 00000000 00000000 00000000 00"), ErrFrame},
		"a key beyond the fields":      {unhex(t, "0000001c 01000018 0022 00 01df 00000001 00000000 00000000 00000003 000261"), ErrFrame},
		"a negative key":               {unhex(t, "0000001c 01000018 0022 00 01df 00000001 00000000 00000000 00000003 ffff61"), ErrFrame},
	} {
		if got, err := read(c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, error %v, want %v", name, got, err, c.want)
		}
	}
}

// The frame was written by hand from the tables of the protocol.
const binaryPull = "00000041 01000039" +
	" 000b 09 013d 00000007 00000000" + // PULL_MESSAGE, GO, 317, opaque 7
	" 00000002 6f6b" + // remark ok
	" 00000022" +
	" 0005 746f706963 00000008 72656164696e6773" + // topic=readings
	" 0007 71756575654964 00000002 2d31" + // queueId=-1
	" 62696e32" // body bin2

func TestReadTakesABinaryFrame(t *testing.T) {
	in := unhex(t, binaryPull)
	got, err := read(in)
	if err != nil {
		t.Fatal(err)
	}
	want := Command{
		Code: PullMessage, Language: LanguageGo, Version: 317, Opaque: 7, Remark: "ok", Binary: true,
		Ext: Fields{{"topic", "readings"}, {"queueId", "-1"}}, Body: []byte("bin2"),
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	if again, err := got.Append(nil); err != nil || !bytes.Equal(again, in) {
		t.Errorf("written again: %x, %v\nwant %x", again, err, in)
	}
}

func TestBinaryHeadersCarryThePopCodes(t *testing.T) {
	for real, short := range map[int]uint16{200050: 3442, 200051: 3443, 200052: 3444, 200053: 3445, 200054: 3446, 200055: 3447, 200056: 3448, 200151: 3543} {
		b, err := (&Command{Code: real, Binary: true}).Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := uint16(b[8])<<8 | uint16(b[9]); got != short {
			t.Errorf("code %d travels as %d, want %d", real, got, short)
		}
		if got, err := read(b); err != nil || got.Code != real {
			t.Errorf("code %d arrives as %d, %v", real, got.Code, err)
		}
	}
	for _, c := range []Command{{Code: 70000, Binary: true}, {Code: PopMessage, Flag: FlagResponse, Binary: true}} {
		if b, err := c.Append(nil); err == nil {
			t.Errorf("code %d, flag %d became %x", c.Code, c.Flag, b)
		}
	}
}

func TestAppendWritesCompactJSON(t *testing.T) {
	c := Command{
		Code: SystemBusy, Language: LanguageJava, Version: 479, Opaque: -1, Flag: FlagResponse, Remark: "[broker \"busy\"]\n",
		Ext: Fields{{"msgId", "00"}, {"i", "a\x01b\x02\\é"}}, Body: []byte("x"),
	}
	header := `{"code":2,"extFields":{"msgId":"00","i":"a\u0001b\u0002\\é"},"flag":1,"language":"JAVA","opaque":-1,` +
		`"remark":"[broker \"busy\"]\u000a","version":479}`
	got, err := c.Append([]byte("before"))
	if want := append([]byte("before"), jsonFrame(header, "x")...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got  %q, %v\nwant %q", got, err, want)
	}
}

func TestReadReadsFrameAfterFrame(t *testing.T) {
	var stream []byte
	for i := range 20 {
		c := javaSendCommand()
		c.Opaque, c.Binary = int32(i), i%2 == 1
		c.Body = bytes.Repeat([]byte{byte(i)}, i*i*i*40) // up to 274 KB, in pieces
		var err error
		if stream, err = c.Append(stream); err != nil {
			t.Fatal(err)
		}
	}
	r, c := bufio.NewReader(bytes.NewReader(stream)), new(Command)
	for i := range 20 {
		if err := Read(r, MaxFrame, c); err != nil {
			t.Fatal(err)
		}
		if want := bytes.Repeat([]byte{byte(i)}, i*i*i*40); c.Opaque != int32(i) || !bytes.Equal(c.Body, want) || c.Ext.Get("n") != "sluice" {
			t.Errorf("frame %d: opaque %d, %d bytes of body, fields %v", i, c.Opaque, len(c.Body), c.Ext)
		}
	}
	if err := Read(r, MaxFrame, c); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v", err)
	}
}

func TestReadGivesNoMemoryForAPromise(t *testing.T) {
	in := append(unhex(t, "00ffffff 00000002 7b7d"), "start"...) // 16 MB announced, 5 bytes sent
	got := allocated(func() {
		if _, err := read(in); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
	if got > 2*largestAhead {
		t.Errorf("%d bytes allocated for 13 received", got)
	}
}

// allocated is how many bytes do asks for.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestFields(t *testing.T) {
	f := Fields{{"a", "1"}, {"b", "2"}, {"a", "3"}}
	f.Set("b", "4")
	f.Set("c", "")
	if got, want := f, (Fields{{"a", "1"}, {"b", "4"}, {"a", "3"}, {"c", ""}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := f.Get("a"); got != "3" {
		t.Errorf("the last a counts: got %q", got)
	}
	if _, ok := f.Lookup("c"); !ok {
		t.Error("c is there and empty")
	}
	if _, ok := f.Lookup("d"); ok {
		t.Error("d is not there")
	}
}

func TestNames(t *testing.T) {
	for code, want := range map[int]string{SendMessageV2: "SEND_MESSAGE_V2", PopMessage: "POP_MESSAGE", 9999: "9999"} {
		if got := RequestName(code); got != want {
			t.Errorf("request %d is %s, want %s", code, got, want)
		}
	}
	for code, want := range map[int]string{Success: "SUCCESS", GoAway: "GO_AWAY", -7: "-7"} {
		if got := ResponseName(code); got != want {
			t.Errorf("response %d is %s, want %s", code, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(jsonFrame(javaSend, "body"))
	f.Add(unhex(f, binaryPull))
	f.Add(jsonFrame(`{code:1,"x":{"y":["\""],{"topic":"t"}:1},extFields:{a:"\ud83d\ude00\u0001",b:null,c:1}}`, ""))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := read(in)
		if err != nil {
			return
		}
		b, err := c.Append(nil)
		if err != nil {
			if errors.Is(err, ErrTooLarge) {
				return // escaping made the header larger than it came
			}
			t.Fatalf("%x cannot be written: %v", in, err)
		}
		again, err := read(b)
		if err != nil || !same(c, again) {
			t.Errorf("%q does not survive a round trip: %v\nfirst %+v\nthen  %+v", in, err, c, again)
		}
		if c.Binary && len(b) <= len(in) && !bytes.Equal(b, in[:len(b)]) {
			t.Errorf("binary frame changed\nfrom %x\nto   %x", in, b)
		}
	})
}

// same compares what the wire can tell: neither empty fields from missing ones nor the name of a language that has none.
func same(a, b *Command) bool {
	x, y := *a, *b
	if len(x.Ext) == 0 && len(y.Ext) == 0 {
		x.Ext, y.Ext = nil, nil
	}
	return reflect.DeepEqual(x, y)
}

func benchmarkCommands(b *testing.B, run func(b *testing.B, c Command)) {
	for _, binary := range []bool{false, true} {
		c := javaSendCommand()
		c.Binary = binary
		b.Run("binary="+strconv.FormatBool(binary), func(b *testing.B) { run(b, c) })
	}
}

func BenchmarkReadSend(b *testing.B) {
	benchmarkCommands(b, func(b *testing.B, c Command) {
		frame, err := c.Append(nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.SetBytes(int64(len(frame)))
		from := bytes.NewReader(frame)
		r, got := bufio.NewReader(from), new(Command)
		for b.Loop() {
			from.Reset(frame)
			r.Reset(from)
			if err := Read(r, MaxFrame, got); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendSend(b *testing.B) {
	benchmarkCommands(b, func(b *testing.B, c Command) {
		buf, err := c.Append(nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			if buf, err = c.Append(buf[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
