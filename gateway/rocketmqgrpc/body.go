package rocketmqgrpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"sluice/gateway/remoting"
)

// These clients compress with gzip, older ones with zlib. Both are the same deflate stream between another
// beginning and another end, so a body changes its clothes on the way and is not compressed again.

// maxInflated bounds what a compressed body may come to, in bytes: looking through it costs time.
const maxInflated = 64 << 20

var errInflated = fmt.Errorf("a compressed body has more than %d bytes", maxInflated)

// zlibOf gives a body in gzip's clothes in those of zlib.
func zlibOf(body []byte) ([]byte, error) {
	in := bytes.NewReader(body)
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("the body is not what gzip writes: %w", err)
	}
	z.Multistream(false)
	begin := len(body) - in.Len()
	sum := adler32.New()
	if err := inflateInto(sum, z); err != nil {
		return nil, fmt.Errorf("the body is not what gzip writes: %w", err)
	}
	if in.Len() > 0 {
		return nil, errors.New("the body has something behind its end")
	}
	deflated := body[begin : len(body)-8]
	out := make([]byte, 0, len(deflated)+6)
	out = append(append(out, 0x78, 0x9c), deflated...) // RFC 1950: deflate, a window of 32 KB
	return sum.Sum(out), nil
}

// gzipOf gives a body in zlib's clothes in those of gzip.
func gzipOf(body []byte) ([]byte, error) {
	in := bytes.NewReader(body)
	z, err := zlib.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("the body is not what zlib writes: %w", err)
	}
	sum := crc32.NewIEEE()
	size := counted{Hash: sum}
	if err := inflateInto(&size, z); err != nil {
		return nil, fmt.Errorf("the body is not what zlib writes: %w", err)
	}
	deflated := body[2 : len(body)-in.Len()-4]
	out := make([]byte, 0, len(deflated)+18)
	out = append(out, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255) // RFC 1952: deflate, no time, no known system
	out = append(out, deflated...)
	out = binary.LittleEndian.AppendUint32(out, sum.Sum32())
	return binary.LittleEndian.AppendUint32(out, size.n), nil
}

// counted is a hash that knows how much it has seen.
type counted struct {
	hash.Hash
	n uint32
}

func (c *counted) Write(b []byte) (int, error) {
	c.n += uint32(len(b))
	return c.Hash.Write(b)
}

func inflateInto(sum io.Writer, z io.Reader) error {
	n, err := io.Copy(sum, io.LimitReader(z, maxInflated+1))
	if err == nil && n > maxInflated {
		err = errInflated
	}
	return err
}

// bodyFor gives a stored body as these clients read it.
func bodyFor(body []byte, sysFlag int32) ([]byte, v2.Encoding) {
	if sysFlag&remoting.SysCompressed == 0 {
		return body, v2.Encoding_IDENTITY
	}
	if remoting.Compression(sysFlag) == "deflate" {
		if dressed, err := gzipOf(body); err == nil {
			return dressed, v2.Encoding_GZIP
		}
	} else if plain, err := remoting.Inflate(body, sysFlag, maxBody); err == nil {
		return plain, v2.Encoding_IDENTITY
	}
	return body, v2.Encoding_GZIP // compressed somehow: Java's clients look how
}
