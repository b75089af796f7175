package dial

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// longestSOCKSField is the most bytes that a name, user or password of SOCKS5 can have.
const longestSOCKSField = 255

// What goes over the wire, RFC 1928 and RFC 1929.
const (
	socksVersion      = 5
	socksNoAuth       = 0
	socksPassword     = 2
	socksNoMethod     = 0xff
	socksConnect      = 1
	socksIPv4         = 1
	socksName         = 3
	socksIPv6         = 4
	socksPasswordMark = 1 // version of the password sub-negotiation
)

// socksReplies are the answers to a request that say no, RFC 1928 section 6.
var socksReplies = map[byte]Error{
	1: {Text: "the proxy cannot do it", Hint: "its own log may say why"},
	2: {Text: "the proxy does not allow this connection"},
	3: {Text: "the proxy does not reach the cloud's network"},
	4: {Text: "the proxy does not reach the cloud", Hint: "is the address right?"},
	5: {Text: "the proxy reaches the cloud, but nobody listens there", Hint: "is the port right?"},
	6: {Text: "the proxy does not reach the cloud in time"},
	7: {Text: "the proxy does not connect to anybody (command not supported)"},
	8: {Text: "the proxy does not take this kind of address", Hint: "try an IP address in place of the name, or the other way round"},
}

// socks5 asks a SOCKS5 proxy to go on to address. The proxy resolves the name.
func socks5(conn io.ReadWriter, address, username, password string) error {
	request, err := socksRequest(address)
	if err != nil {
		return err
	}
	if err := socksGreet(conn, username, password); err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	return socksReply(conn)
}

// socksGreet agrees on who we are.
func socksGreet(conn io.ReadWriter, username, password string) error {
	methods := []byte{socksVersion, 1, socksNoAuth}
	if username != "" {
		methods = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	if _, err := conn.Write(methods); err != nil {
		return err
	}
	var chosen [2]byte
	if _, err := io.ReadFull(conn, chosen[:]); err != nil {
		return err
	}
	switch {
	case chosen[0] != socksVersion:
		return &Error{Text: "the proxy does not speak SOCKS5", Hint: "write http:// in proxy.address if it is an HTTP proxy",
			Cause: fmt.Errorf("it answers with %#x", chosen)}
	case chosen[1] == socksNoAuth:
		return nil
	case chosen[1] == socksPassword && username != "":
		return socksLogin(conn, username, password)
	case chosen[1] == socksNoMethod && username == "":
		return &Error{Text: "the proxy wants a user name and password", Hint: "see proxy.username", Cause: errSOCKSMethod}
	}
	return &Error{Text: "the proxy does not take a user name and password", Hint: "see proxy.username", Cause: errSOCKSMethod}
}

var errSOCKSMethod = fmt.Errorf("no acceptable way to log in")

func socksLogin(conn io.ReadWriter, username, password string) error {
	if len(username) > longestSOCKSField || len(password) > longestSOCKSField {
		return fmt.Errorf("the user name or password for the proxy has more than %d bytes", longestSOCKSField)
	}
	login := append([]byte{socksPasswordMark, byte(len(username))}, username...)
	login = append(append(login, byte(len(password))), password...)
	if _, err := conn.Write(login); err != nil {
		return err
	}
	var verdict [2]byte
	if _, err := io.ReadFull(conn, verdict[:]); err != nil {
		return err
	}
	if verdict[1] != 0 {
		return &Error{Text: "the proxy does not accept the user name or password", Hint: "see proxy.username",
			Cause: fmt.Errorf("it answers the login with code %d", verdict[1])}
	}
	return nil
}

func socksRequest(address string) ([]byte, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s has no port number", address)
	}
	request := []byte{socksVersion, socksConnect, 0}
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && ip.Unmap().Is4():
		request = append(append(request, socksIPv4), ip.Unmap().AsSlice()...)
	case err == nil:
		request = append(append(request, socksIPv6), ip.AsSlice()...)
	case len(host) > longestSOCKSField:
		return nil, fmt.Errorf("the name %s is too long for a SOCKS proxy", host)
	default:
		request = append(append(request, socksName, byte(len(host))), host...)
	}
	return binary.BigEndian.AppendUint16(request, uint16(port)), nil
}

// socksReply reads the answer to a request. The address in it, where the proxy has bound its own
// socket, is of no use to us.
func socksReply(conn io.Reader) error {
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if head[0] != socksVersion {
		return &Error{Text: "the proxy does not speak SOCKS5", Cause: fmt.Errorf("it answers with %#x", head)}
	}
	if code := head[1]; code != 0 {
		cause := fmt.Errorf("SOCKS reply %d", code)
		if known, ok := socksReplies[code]; ok {
			known.Cause = cause
			return &known
		}
		return &Error{Text: "the proxy refuses the connection", Cause: cause}
	}
	length := 0
	switch head[3] {
	case socksIPv4:
		length = net.IPv4len
	case socksIPv6:
		length = net.IPv6len
	case socksName:
		var n [1]byte
		if _, err := io.ReadFull(conn, n[:]); err != nil {
			return err
		}
		length = int(n[0])
	default:
		return &Error{Text: "the proxy does not speak SOCKS5", Cause: fmt.Errorf("it answers with an address of type %d", head[3])}
	}
	_, err := io.CopyN(io.Discard, conn, int64(length)+2) // and the port
	return err
}
