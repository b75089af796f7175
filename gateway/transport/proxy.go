package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol of HAProxy, https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
const (
	proxyV2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyV1Max       = 107     // bytes of a whole header of version 1, its line end included
	proxyV2Max       = 4 << 10 // bytes behind the first 16 of version 2; what proxies add is far below
)

var errNoProxyHeader = errors.New("there is none; only a proxy that sends one may connect here")

// readProxyHeader reads a header and not a byte more. The address is not valid when the proxy speaks
// for itself, as it does in health checks, or does not say for whom it speaks.
func readProxyHeader(r io.Reader) (from netip.AddrPort, err error) {
	var head [len(proxyV2Signature)]byte // shorter than the shortest header of version 1
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return from, err
	}
	switch {
	case string(head[:]) == proxyV2Signature:
		return readProxyV2(r)
	case bytes.HasPrefix(head[:], []byte("PROXY ")):
		return readProxyV1(r, head[:])
	}
	return from, errNoProxyHeader
}

// readProxyV1 reads byte by byte: what is behind the line belongs to the client.
func readProxyV1(r io.Reader, head []byte) (from netip.AddrPort, err error) {
	line := append(make([]byte, 0, proxyV1Max), head...)
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == proxyV1Max {
			return from, fmt.Errorf("no line end within %d bytes", proxyV1Max)
		}
		next := line[len(line) : len(line)+1]
		if _, err := io.ReadFull(r, next); err != nil {
			return from, err
		}
		line = line[:len(line)+1]
	}
	words := strings.Split(string(line[:len(line)-2]), " ")
	if words[1] == "UNKNOWN" {
		return from, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return from, fmt.Errorf("%q is no header of version 1", line)
	}
	address, err := netip.ParseAddr(words[2])
	if err != nil || address.Is4() != (words[1] == "TCP4") || address.Zone() != "" {
		return from, fmt.Errorf("%q has no %s address", line, words[1])
	}
	port, err := strconv.ParseUint(words[4], 10, 16)
	if err != nil {
		return from, fmt.Errorf("%q has no port", line)
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(port)), nil
}

func readProxyV2(r io.Reader) (from netip.AddrPort, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return from, err
	}
	command, family, length := head[0], head[1], int(binary.BigEndian.Uint16(head[2:]))
	const local, proxy = 0x20, 0x21
	if command != local && command != proxy {
		return from, fmt.Errorf("version and command are %#02x", command)
	}
	if length > proxyV2Max {
		return from, fmt.Errorf("%d bytes, at most %d are taken", length, proxyV2Max)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return from, err
	}
	size := 0 // of one address
	switch family {
	case 0x11: // TCP over IPv4
		size = 4
	case 0x21: // TCP over IPv6
		size = 16
	}
	if command == local || size == 0 {
		return from, nil
	}
	if len(body) < 2*size+4 {
		return from, fmt.Errorf("%d bytes are too few for the addresses", len(body))
	}
	address, _ := netip.AddrFromSlice(body[:size])
	return netip.AddrPortFrom(address.Unmap(), binary.BigEndian.Uint16(body[2*size:])), nil
}
