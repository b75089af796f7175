package remoting

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// The algorithms that a sysFlag names.
const (
	compressionUnset = 0 // from before there was a choice
	compressionLZ4   = 1 // its frame format
	compressionZstd  = 2
	compressionZlib  = 3
)

// Inflate is the body that was sent, given the one that was stored with sysFlag: body itself when that says that nobody has compressed
// it. A body that would have more than most bytes is refused with ErrTooLarge; what it takes until then
// is a few times as many, and zstd's window.
func Inflate(body []byte, sysFlag int32, most int) ([]byte, error) {
	if sysFlag&SysCompressed == 0 {
		return body, nil
	}
	switch algorithm := sysFlag & SysCompression >> compressionFrom; algorithm {
	case compressionUnset, compressionZlib:
		r, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("inflate zlib: %w: %v", ErrFrame, err)
		}
		return readAll(r, len(body), most)
	case compressionLZ4:
		out, err := inflateLZ4(body, most)
		if err != nil {
			return nil, fmt.Errorf("inflate %d bytes: %w", len(body), err)
		}
		return out, nil
	case compressionZstd:
		return inflateZstd(body, most)
	default:
		return nil, fmt.Errorf("%w: compression type %d", ErrFrame, algorithm)
	}
}

// Compression names the algorithm that a sysFlag speaks of, as HTTP does where it knows it: "deflate" is zlib's.
func Compression(sysFlag int32) string {
	if sysFlag&SysCompressed == 0 {
		return ""
	}
	switch sysFlag & SysCompression >> compressionFrom {
	case compressionUnset, compressionZlib:
		return "deflate"
	case compressionLZ4:
		return "lz4"
	case compressionZstd:
		return "zstd"
	}
	return "unknown"
}

// maxWindow is the window of a zstd frame that its RFC wants every decoder to take. Java's library asks for 2 MiB, even for
// the shortest body.
const maxWindow = 8 << 20

// inflateZstd decodes into nothing but the result where the library can be told to stay below most, which it
// takes for a bound of the window too. Otherwise it reads a stream, which has the window in memory beside the result.
func inflateZstd(in []byte, most int) ([]byte, error) {
	var header zstd.Header
	if err := header.Decode(in); err != nil {
		return nil, fmt.Errorf("inflate zstd: %w: %v", ErrFrame, err)
	}
	if header.WindowSize > uint64(most) {
		r, err := zstd.NewReader(bytes.NewReader(in), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("inflate zstd: %w: %v", ErrFrame, err)
		}
		defer r.Close()
		return readAll(r, len(in), most)
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max(most, 1))))
	if err != nil {
		return nil, fmt.Errorf("inflate zstd: %w", err)
	}
	defer r.Close()
	out, err := r.DecodeAll(in, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, fmt.Errorf("inflate %d bytes: %w of %d", len(in), ErrTooLarge, most)
	}
	if err != nil {
		return nil, fmt.Errorf("inflate %d bytes: %w: %v", len(in), ErrFrame, err)
	}
	return out, nil
}

// readAll reads at most most bytes. Memory follows what was read, and is never more than twice that and most
// together.
func readAll(r io.Reader, compressed, most int) ([]byte, error) {
	b := make([]byte, 0, min(most, 4*compressed)+1)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > most:
			return nil, fmt.Errorf("inflate %d bytes: %w of %d", compressed, ErrTooLarge, most)
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, fmt.Errorf("inflate %d bytes: %w: %v", compressed, ErrFrame, err)
		case len(b) == cap(b):
			b = append(make([]byte, 0, min(most+1, 2*cap(b))), b...)
		}
	}
}
