package transport

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

const (
	requestMax    = 16 << 10 // bytes of an upgrade request
	webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// What may come inside of a WebSocket: the name of today, and that of MQTT 3.1.
var subprotocols = []string{"mqtt", "mqttv3.1"}

// refusedUpgrade is an answer other than 101.
type refusedUpgrade struct {
	status int
	why    string
}

func (e *refusedUpgrade) Error() string { return fmt.Sprintf("answered %d: %s", e.status, e.why) }

// upgrade reads a client's HTTP request and answers it, RFC 6455 section 4.2. It gives what came
// behind the request.
func (s *WebSocket) upgrade(stream net.Conn) (early []byte, err error) {
	in := bufio.NewReaderSize(io.LimitReader(stream, requestMax), 1<<10)
	request, err := http.ReadRequest(in)
	if err != nil {
		return nil, err
	}
	protocol, err := s.check(request)
	if refused, ok := errors.AsType[*refusedUpgrade](err); ok {
		_, _ = stream.Write(refused.response()) // what counts is the refusal, also if nobody hears it
	}
	if err != nil {
		return nil, err
	}
	var answer bytes.Buffer
	answer.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
	fmt.Fprintf(&answer, "Sec-WebSocket-Accept: %s\r\n", acceptKey(request.Header.Get("Sec-WebSocket-Key")))
	fmt.Fprintf(&answer, "Sec-WebSocket-Protocol: %s\r\n\r\n", protocol) // [MQTT-6.0.0-4]
	if _, err := stream.Write(answer.Bytes()); err != nil {
		return nil, err
	}
	early, err = in.Peek(in.Buffered())
	return bytes.Clone(early), err
}

func (s *WebSocket) check(r *http.Request) (protocol string, err error) {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	offered := tokens(r.Header, "Sec-WebSocket-Protocol")
	at := slices.IndexFunc(subprotocols, func(p string) bool { return slices.Contains(offered, p) })
	switch {
	case !s.serves(r.URL.Path):
		return "", &refusedUpgrade{http.StatusNotFound, "MQTT is served at " + s.paths()[0]}
	case r.Method != http.MethodGet, !hasToken(r.Header, "Connection", "upgrade"), !hasToken(r.Header, "Upgrade", "websocket"),
		r.Header.Get("Sec-WebSocket-Version") != "13":
		return "", &refusedUpgrade{http.StatusUpgradeRequired, "this is MQTT over WebSocket (version 13)"}
	case err != nil || len(key) != 16:
		return "", &refusedUpgrade{http.StatusBadRequest, "Sec-WebSocket-Key is missing or wrong"}
	case !s.welcomes(r.Header.Get("Origin"), r.Host):
		return "", &refusedUpgrade{http.StatusForbidden, "pages from this origin may not connect"}
	case at < 0:
		return "", &refusedUpgrade{http.StatusBadRequest, "Sec-WebSocket-Protocol does not offer mqtt"} // [MQTT-6.0.0-3]
	}
	return subprotocols[at], nil
}

func (s *WebSocket) paths() []string {
	if s.Path != "" {
		return []string{s.Path}
	}
	return []string{"/mqtt", "/"} // people use either
}

func (s *WebSocket) serves(path string) bool {
	trimmed := strings.TrimSuffix(path, "/")
	return slices.ContainsFunc(s.paths(), func(p string) bool { return strings.TrimSuffix(p, "/") == trimmed })
}

// welcomes says whether a page from origin may connect. Programs other than browsers send none.
//
// Browsers let any page in the world open a WebSocket to any address, the machine's own and those behind
// its firewall among them. Who asks for no password must therefore ask where the page comes from. A host
// name will not do: a page can have its own name lead to our address. An IP address cannot lie.
func (s *WebSocket) welcomes(origin, host string) bool {
	if origin == "" || slices.Contains(s.Origins, "*") {
		return true
	}
	if slices.ContainsFunc(s.Origins, func(o string) bool { return strings.EqualFold(o, origin) }) {
		return true
	}
	page, err := url.Parse(origin)
	if err != nil || page.Scheme != "http" && page.Scheme != "https" {
		return false
	}
	ours, err := url.Parse("//" + host)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(page.Hostname())
	return (err == nil || strings.EqualFold(page.Hostname(), "localhost")) && strings.EqualFold(page.Hostname(), ours.Hostname())
}

// tokens are the words of a header that is a list.
func tokens(h http.Header, name string) (all []string) {
	for _, line := range h.Values(name) {
		for word := range strings.SplitSeq(line, ",") {
			all = append(all, strings.TrimSpace(word))
		}
	}
	return all
}

func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(tokens(h, name), func(t string) bool { return strings.EqualFold(t, token) })
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + webSocketGUID)) // as RFC 6455 section 4.2.2 has it; it protects nothing
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (e *refusedUpgrade) response() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n",
		e.status, http.StatusText(e.status), len(e.why)+1)
	if e.status == http.StatusUpgradeRequired {
		b.WriteString("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
	}
	fmt.Fprintf(&b, "\r\n%s\n", e.why)
	return b.Bytes()
}
