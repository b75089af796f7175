package rocketmqgrpc

import (
	"bytes"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"sluice/gateway/queue"
)

func FuzzAuthorization(f *testing.F) {
	f.Add("MQv2-HMAC-SHA1 Credential=key//Rocketmq, SignedHeaders=x-mq-date-time, Signature=0A1b")
	f.Add("mqv2-hmac-sha1 signature=, credential=a=b/c")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, header string) {
		key, signature := parseAuthorization(header)
		if strings.ContainsAny(key, "/,") {
			t.Errorf("%q has the key %q", header, key)
		}
		if key == "" || len(signature) == 0 || strings.TrimSpace(key) != key {
			return
		}
		again := "MQv2-HMAC-SHA1 Credential=" + key + "/r/Rocketmq, SignedHeaders=x-mq-date-time, Signature=" + hex.EncodeToString(signature)
		if k, s := parseAuthorization(again); len(again) <= maxAuthorization && (k != key || !bytes.Equal(s, signature)) {
			t.Errorf("%q does not survive a round trip: %q, %x", header, k, s)
		}
	})
}

func FuzzEndpoints(f *testing.F) {
	for _, one := range []string{"127.0.0.1:8081", "[::1]:8081", "edge.example.com", "", ":", "a:b", "[fe80::1%eth0]:1", "x:99999"} {
		f.Add(one)
	}
	f.Fuzz(func(t *testing.T, authority string) {
		at := endpoints(authority)
		if len(at.GetAddresses()) != 1 || at.GetAddresses()[0].GetPort() < 0 || at.GetAddresses()[0].GetPort() > 65535 {
			t.Errorf("%q is %v", authority, at)
		}
	})
}

func FuzzReceiptHandle(f *testing.F) {
	f.Add("0 1700000000000 30000 0 0 broker-a 2 5")
	f.Add("0 1700000000000 30000 999 1 broker-a 2 5 77")
	f.Add("-1 x   ")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := queue.ParseHandle(text)
		if err != nil {
			return
		}
		if again, err := queue.ParseHandle(h.String()); err != nil || again != h {
			t.Errorf("%q does not survive a round trip: %+v, %v", text, again, err)
		}
	})
}

func FuzzRecallHandle(f *testing.F) {
	f.Add(queue.RecallHandle{Topic: "orders", Broker: "broker-a", DeliverAt: 1700000000000, Key: "01AB"}.String())
	f.Add("djEgYSBiIDEgYw==")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := queue.ParseRecallHandle(text)
		if err != nil {
			return
		}
		if again, err := queue.ParseRecallHandle(h.String()); err != nil || again != h {
			t.Errorf("%q does not survive a round trip: %+v, %v", text, again, err)
		}
	})
}

func FuzzTransactionID(f *testing.F) {
	f.Add("1F-2")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := parseTransactionID(text)
		if err != nil {
			return
		}
		if again, err := parseTransactionID(id.String()); err != nil || again != id {
			t.Errorf("%q does not survive a round trip: %+v, %v", text, again, err)
		}
	})
}

// FuzzNewerFields reads requests both as one with fields that the stubs do not know, and as a raw one.
func FuzzNewerFields(f *testing.F) {
	wait, _ := proto.Marshal(durationpb.New(7 * time.Second))
	b := protowire.AppendBytes(protowire.AppendTag(nil, longPollingField, protowire.BytesType), wait)
	f.Add(protowire.AppendString(protowire.AppendTag(b, attemptField, protowire.BytesType), "attempt"))
	f.Add(protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 1<<63))
	f.Add([]byte{0x3a, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		var number int64
		var wait time.Duration
		var text string
		group, of := new(v2.Resource), new(v2.MessageQueue)
		raw(in).read(map[protowire.Number]any{1: group, 2: of, 3: &number, 6: &wait, 8: &text}) //nolint:errcheck // refusing is fine
		r := new(v2.ReceiveMessageRequest)
		if proto.Unmarshal(in, r) != nil {
			return
		}
		if d := longPolling(r); d < 0 || d > 25*time.Hour {
			t.Errorf("a wait of %v", d)
		}
		if id := attemptID(r); len(id) > maxAttempt {
			t.Errorf("an attempt of %d bytes", len(id))
		}
	})
}

// FuzzBody changes bodies from gzip's clothes into zlib's and back.
func FuzzBody(f *testing.F) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Comment, z.Name = "c", "n"
	io.WriteString(z, strings.Repeat("what is said ", 100)) //nolint:errcheck // into memory
	z.Close()
	f.Add(packed.Bytes())
	f.Add(append(packed.Bytes(), packed.Bytes()...))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		gzipOf(in) //nolint:errcheck // refusing is fine
		dressed, err := zlibOf(in)
		if err != nil {
			return
		}
		was, err := gzip.NewReader(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		was.Multistream(false)
		text, err := io.ReadAll(was)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := zlib.NewReader(bytes.NewReader(dressed))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(inner); err != nil || !bytes.Equal(got, text) {
			t.Errorf("zlib has %d bytes, want %d: %v", len(got), len(text), err)
		}
		back, err := gzipOf(dressed)
		if err != nil {
			t.Fatal(err)
		}
		outer, err := gzip.NewReader(bytes.NewReader(back))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(outer); err != nil || !bytes.Equal(got, text) {
			t.Errorf("gzip has %d bytes, want %d: %v", len(got), len(text), err)
		}
	})
}
