package dial

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer is how long the head of a proxy's answer to CONNECT may be.
const maxAnswer = 16 << 10

var errAnswerTooLong = fmt.Errorf("the proxy's answer is longer than %d bytes", maxAnswer)

// throughProxy asks the proxy at the other end of conn to go on to address. Not a byte beyond the
// proxy's answer is read: what follows belongs to what is spoken through it.
func (o *Options) throughProxy(ctx context.Context, conn net.Conn, proxy *url.URL, address string) error {
	password, err := o.Proxy.password()
	if err != nil {
		return err
	}
	from := time.Now()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	if proxy.Scheme == "socks5" {
		err = socks5(conn, address, o.Proxy.Username, password)
	} else {
		err = httpConnect(conn, address, o.Proxy.Username, password)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if timedOut(ctx, err) {
		return &Error{Text: fmt.Sprintf("no answer from the proxy %s within %s", proxy.Host, spent(from)),
			Hint: "is it a " + proxyKind(proxy) + " proxy, and does it reach " + address + "?", Cause: err}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Text: "the proxy has closed the connection", Hint: "is it a " + proxyKind(proxy) + " proxy?", Cause: err}
	}
	return err
}

func proxyKind(proxy *url.URL) string {
	if proxy.Scheme == "socks5" {
		return "SOCKS5"
	}
	return "HTTP"
}

// httpConnect speaks RFC 9110 section 9.3.6.
func httpConnect(conn io.ReadWriter, address, username, password string) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if username != "" {
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	head, err := readHead(conn)
	if err != nil {
		return err
	}
	return judgeConnect(head, username != "")
}

// readHead reads up to the empty line, byte by byte: some hundred small reads at a connection's begin.
func readHead(in io.Reader) ([]byte, error) {
	var head []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) && !bytes.HasSuffix(head, []byte("\n\n")) {
		if len(head) == maxAnswer {
			return nil, errAnswerTooLong
		}
		if _, err := io.ReadFull(in, one); err != nil {
			return nil, err
		}
		head = append(head, one[0])
	}
	return head, nil
}

// judgeConnect says what a proxy's answer means.
func judgeConnect(head []byte, named bool) error {
	// To a CONNECT no body belongs, whatever the header says.
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return &Error{Text: "the proxy does not speak HTTP", Hint: "write socks5:// in proxy.address if it is a SOCKS proxy", Cause: err}
	}
	defer answer.Body.Close()
	cause := fmt.Errorf("it answers CONNECT with %s", plainStatus(answer.Status))
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusProxyAuthRequired && named:
		return &Error{Text: "the proxy does not accept the user name or password", Hint: "see proxy.username", Cause: cause}
	case code == http.StatusProxyAuthRequired:
		return &Error{Text: "the proxy wants a user name and password", Hint: "see proxy.username", Cause: cause}
	case code == http.StatusForbidden, code == http.StatusMethodNotAllowed:
		return &Error{Text: "the proxy does not allow this connection", Hint: "many allow port 443 alone", Cause: cause}
	case code == http.StatusBadGateway, code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		return &Error{Text: "the proxy does not reach the cloud", Hint: "is the address right?", Cause: cause}
	}
	return &Error{Text: "the proxy refuses the connection", Cause: cause}
}

// plainStatus keeps a foreign text printable and short.
func plainStatus(status string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(status, ""))
	if runes := []rune(clean); len(runes) > 80 {
		clean = string(runes[:80])
	}
	return clean
}
