package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// As HAProxy 2.6 and nginx 1.22 write them, and the examples of the specification.
var proxyHeaders = []struct {
	name, header string // in hex when it begins with 0d
	from         string // empty: the proxy's own; "!": refused
}{
	{"TCP4", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324"},
	{"TCP6", "PROXY TCP6 2001:db8::5 2001:db8::1 4124 1883\r\n", "[2001:db8::5]:4124"},
	{"longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"UNKNOWN", "PROXY UNKNOWN\r\n", ""},
	{"UNKNOWN with addresses", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""},
	{"wrong family", "PROXY TCP4 2001:db8::5 2001:db8::1 4124 1883\r\n", "!"},
	{"zone", "PROXY TCP6 fe80::1%eth0 2001:db8::1 4124 1883\r\n", "!"},
	{"port too large", "PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n", "!"},
	{"UDP", "PROXY UDP4 192.168.0.1 192.168.0.11 1 443\r\n", "!"},
	{"endless", "PROXY TCP4 " + strings.Repeat("1", 200), "!"},
	{"CONNECT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "!"},
	{"short", "PROXY TCP4 192", "!"},
	{"v2 TCP4", "0d0a0d0a000d0a515549540a 21 11 000c c0a80001 c0a8000b dc04 01bb", "192.168.0.1:56324"},
	{"v2 TCP6", "0d0a0d0a000d0a515549540a 21 21 0024 20010db8000000000000000000000005 20010db8000000000000000000000001 101c 075b", "[2001:db8::5]:4124"},
	{"v2 mapped", "0d0a0d0a000d0a515549540a 21 21 0024 00000000000000000000ffffc0a80001 20010db8000000000000000000000001 101c 075b", "192.168.0.1:4124"},
	{"v2 with TLVs", "0d0a0d0a000d0a515549540a 21 11 0013 7f000001 7f000001 dc04 075b 030004 a1b2c3d4", "127.0.0.1:56324"},
	{"v2 LOCAL", "0d0a0d0a000d0a515549540a 20 00 0000", ""},
	{"v2 LOCAL with an address", "0d0a0d0a000d0a515549540a 20 11 000c c0a80001 c0a8000b dc04 01bb", ""},
	{"v2 unspecified", "0d0a0d0a000d0a515549540a 21 00 0003 040000", ""},
	{"v2 too few bytes", "0d0a0d0a000d0a515549540a 21 11 000b c0a80001 c0a8000b dc04 01", "!"},
	{"v2 version 1", "0d0a0d0a000d0a515549540a 11 11 000c c0a80001 c0a8000b dc04 01bb", "!"},
	{"v2 command 2", "0d0a0d0a000d0a515549540a 22 11 000c c0a80001 c0a8000b dc04 01bb", "!"},
	{"v2 endless", "0d0a0d0a000d0a515549540a 21 11 ffff", "!"},
}

func headerBytes(t testing.TB, text string) []byte {
	t.Helper()
	if !strings.HasPrefix(text, "0d") {
		return []byte(text)
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestProxyHeadersAreUnderstood(t *testing.T) {
	for _, test := range proxyHeaders {
		in := bytes.NewReader(append(headerBytes(t, test.header), "behind"...))
		from, err := readProxyHeader(in)
		if (err != nil) != (test.from == "!") {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := from.String(); err == nil && got != test.from && (test.from != "" || from.IsValid()) {
			t.Errorf("%s: from %s, want %q", test.name, got, test.from)
		}
		if rest, _ := io.ReadAll(in); err == nil && string(rest) != "behind" {
			t.Errorf("%s: %q is left for MQTT", test.name, rest)
		}
	}
}

// appendProxy writes the header of either version that says from.
func appendProxy(version int, from netip.AddrPort) []byte {
	address, family, word := from.Addr(), byte(0x11), "TCP4"
	if address.Is6() {
		family, word = 0x21, "TCP6"
	}
	if version == 1 {
		return fmt.Appendf(nil, "PROXY %s %s %s %d 1883\r\n", word, address, address, from.Port())
	}
	b := append([]byte(proxyV2Signature), 0x21, family)
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(address.AsSlice())+4))
	b = append(append(b, address.AsSlice()...), address.AsSlice()...)
	return append(binary.BigEndian.AppendUint16(b, from.Port()), 7, 91)
}

func FuzzProxyHeader(f *testing.F) {
	for _, test := range proxyHeaders {
		f.Add(headerBytes(f, test.header))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		from, err := readProxyHeader(bytes.NewReader(in))
		if err != nil || !from.IsValid() {
			return
		}
		for version := 1; version <= 2; version++ {
			if again, err := readProxyHeader(bytes.NewReader(appendProxy(version, from))); err != nil || again != from {
				t.Errorf("%q says %s, version %d of it says %s (%v)", in, from, version, again, err)
			}
		}
	})
}

func TestBehindAProxyTheClientHasItsOwnAddress(t *testing.T) {
	ca := newAuthority(t, "plant")
	for _, spec := range []Spec{{}, {TLS: serverTLS(t, newFolder(t), ca, nil)}, {WebSocket: &WebSocket{}}} {
		spec.ProxyProtocol = true
		for _, test := range proxyHeaders {
			s := serve(t, spec)
			conn := dial(t, s)
			header := headerBytes(t, test.header)
			if test.from == "!" {
				if test.name == "short" || test.name == "v2 endless" {
					continue // wait for more
				}
				conn.Write(header)
				if err := <-s.fails; !strings.Contains(err.Error(), "PROXY header") {
					t.Errorf("%s: %v", test.name, err)
				}
				continue
			}
			conn.Write(header)
			conn = overTop(t, conn, spec, ca)
			if err := ping(conn); err != nil {
				t.Fatalf("%s over %s: %v", test.name, spec.Kind(), err)
			}
			want := test.from
			if want == "" {
				want = conn.LocalAddr().String()
			}
			if got := (<-s.conns).RemoteAddr().String(); got != want {
				t.Errorf("%s over %s: the client is %s, want %s", test.name, spec.Kind(), got, want)
			}
		}
	}
	s := serve(t, Spec{ProxyProtocol: true})
	conn := dial(t, s)
	conn.Write([]byte("hello, I come without a proxy"))
	if err := <-s.fails; !strings.Contains(err.Error(), "only a proxy") {
		t.Errorf("got %v", err)
	}
	if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
		t.Error("the connection stays")
	}
}
