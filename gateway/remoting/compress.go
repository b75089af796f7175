package remoting

import (
	"bytes"
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

// maxWindow is the memory that a zstd frame may ask for before it gives anything, which is what its RFC wants
// every decoder to grant.
const maxWindow = 8 << 20

// Inflate is the body that was sent, given the one that was stored with sysFlag: body itself when that says that nobody has compressed
// it. A body that would have more than most bytes is refused with ErrTooLarge before it takes them.
func Inflate(body []byte, sysFlag int32, most int) ([]byte, error) {
	if sysFlag&SysCompressed == 0 {
		return body, nil
	}
	from := bytes.NewReader(body)
	switch algorithm := sysFlag & SysCompression >> compressionFrom; algorithm {
	case compressionUnset, compressionZlib:
		r, err := zlib.NewReader(from)
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
		r, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("inflate zstd: %w: %v", ErrFrame, err)
		}
		defer r.Close()
		return readAll(r, len(body), most)
	default:
		return nil, fmt.Errorf("%w: compression type %d", ErrFrame, algorithm)
	}
}

// readAll reads at most most bytes. Memory follows what was read.
func readAll(r io.Reader, compressed, most int) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(min(most+bytes.MinRead, 4*compressed+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(r, int64(most)+1)); err != nil {
		return nil, fmt.Errorf("inflate %d bytes: %w: %v", compressed, ErrFrame, err)
	}
	if b.Len() > most {
		return nil, fmt.Errorf("inflate %d bytes: %w of %d", compressed, ErrTooLarge, most)
	}
	return b.Bytes(), nil
}
