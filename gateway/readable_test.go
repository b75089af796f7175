package gateway

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sluice/bridge"
	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
	"sluice/web"
)

func deflated(t *testing.T, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// recordAt reads what the log has.
func recordAt(t *testing.T, g *Gateway, at message.Position) *message.Record {
	t.Helper()
	found, err := g.store.Read(nil, at, 1)
	if err != nil || len(found) == 0 {
		t.Fatalf("nothing at %d: %v", at, err)
	}
	return &found[0]
}

func TestCompressedBodiesAreReadableOutsideRocketMQ(t *testing.T) {
	g, c := withMessages(t)
	text := strings.Repeat("pressure 7 bar ", 500)
	for _, test := range []struct {
		name     string
		body     []byte
		flag     int32
		want     string
		encoding string
	}{
		{"plain", []byte("plain"), 0, "plain", ""},
		{"compressed", deflated(t, text), remoting.SysCompressed, text, ""},
		{"compressed, says 5.x", deflated(t, text), remoting.SysCompressed | 3<<8, text, ""},
		{"to nothing", deflated(t, ""), remoting.SysCompressed, "", ""},
		{"damaged", []byte("rubbish"), remoting.SysCompressed | 2<<8, "rubbish", "zstd"},
		{"of tomorrow", []byte("rubbish"), remoting.SysCompressed | 7<<8, "rubbish", "unknown"},
	} {
		at := sent(t, g, queue.Message{Topic: "orders", SysFlag: test.flag, Body: test.body}).Position
		for range 2 {
			got, encoding := g.readable.payload(recordAt(t, g, at))
			if string(got) != test.want || encoding != test.encoding {
				t.Errorf("%s: %.40q (%d bytes), encoding %q", test.name, got, len(got), encoding)
			}
		}
		shown := asked[web.Message](t, c, "GET", fmt.Sprint("/messages/", at), "")
		if shown.Text != test.want {
			t.Errorf("%s: the API shows %.40q", test.name, shown.Text)
		}
	}
	if got := g.readable.failed.Load(); got != 2 {
		t.Errorf("%d are counted as unreadable, want 2", got)
	}
}

func TestOneBombIsInflatedOnce(t *testing.T) {
	r := readable{log: slog.New(slog.DiscardHandler)}
	g, _ := withMessages(t)
	bomb := deflated(t, string(make([]byte, 64<<20)))
	at := sent(t, g, queue.Message{Topic: "orders", SysFlag: remoting.SysCompressed, Body: bomb}).Position
	m := recordAt(t, g, at)
	for range 1000 {
		if got, encoding := r.payload(m); len(got) != len(bomb) || encoding != "deflate" {
			t.Fatalf("%d bytes, %q", len(got), encoding)
		}
	}
	if r.failed.Load() != 1 || r.bytes > keptReadableBytes {
		t.Errorf("inflated %d times, %d bytes are kept", r.failed.Load(), r.bytes)
	}
}

func TestReadableBodiesAreKeptWithinABound(t *testing.T) {
	r := readable{log: slog.New(slog.DiscardHandler)}
	m := message.Record{Message: message.Message{Payload: deflated(t, string(make([]byte, 3<<20)))}}
	m.Properties = []message.Property{{Name: "\x00rocketmq", Value: fmt.Sprint("0 ", remoting.SysCompressed, " 0 0 0 ")}}
	var last []byte
	for at := range message.Position(100) {
		m.Position = at + 1
		if last, _ = r.payload(&m); len(last) != 3<<20 {
			t.Fatalf("%d bytes", len(last))
		}
	}
	again, _ := r.payload(&m)
	if &again[0] != &last[0] {
		t.Error("the last body was inflated twice")
	}
	if len(r.kept) != 1 || r.bytes != 3<<20 {
		t.Errorf("%d bodies are kept, of %d bytes", len(r.kept), r.bytes)
	}
	m.Payload = deflated(t, "small")
	for at := range message.Position(1000) {
		m.Position = 200 + at
		r.payload(&m)
	}
	if len(r.kept) != keptReadable || r.bytes != keptReadable*len("small") {
		t.Errorf("%d bodies are kept, of %d bytes", len(r.kept), r.bytes)
	}
}

// upper makes one message in capitals.
type upper struct{}

func (upper) Make(dst []bridge.Made, r *message.Record) ([]bridge.Made, error) {
	return append(dst, bridge.Made{Payload: bytes.ToUpper(r.Payload)}), nil
}

func TestCloudsGetReadablePayloads(t *testing.T) {
	r := readable{log: slog.New(slog.DiscardHandler)}
	m := message.Record{Position: 1, Message: message.Message{Payload: deflated(t, "hello"),
		Properties: []message.Property{{Name: "\x00rocketmq", Value: fmt.Sprint("0 ", remoting.SysCompressed, " 0 0 0 ")}}}}
	stored := m.Payload
	plain := message.Record{Message: message.Message{Payload: []byte("plain")}}
	for _, c := range []struct {
		then bridge.Maker
		of   *message.Record
		want string
	}{{nil, &m, "hello"}, {upper{}, &m, "HELLO"}, {nil, &plain, "plain"}, {upper{}, &plain, "PLAIN"}} {
		made, err := readableMaker{&r, c.then}.Make(nil, c.of)
		if err != nil || len(made) != 1 || string(made[0].Payload) != c.want {
			t.Errorf("the cloud gets %q, %v; want %q", made, err, c.want)
		}
	}
	if &m.Payload[0] != &stored[0] {
		t.Error("the record was changed, which others share")
	}
}
