package remoting

import (
	"encoding/binary"
	"fmt"
)

// Bits of the descriptor of an LZ4 frame.
const (
	lz4Dictionary    = 1 << 0
	lz4Checksum      = 1 << 2
	lz4Size          = 1 << 3
	lz4BlockChecksum = 1 << 4
	lz4Independent   = 1 << 5
	lz4Version       = 0xC0 // mask, of which 0x40 is the only one
)

const (
	lz4Magic = 0x184D2204
	lz4Plain = 1 << 31 // of a block's size: its bytes are not compressed
)

// inflateLZ4 reads one LZ4 frame. It is written out here since the library at hand takes a frame that was cut off between
// two blocks for a whole one, and holds blocks of 4 MiB for bodies of a few KiB. Checksums are
// passed over: what came through TCP and the log has been checked.
func inflateLZ4(in []byte, most int) ([]byte, error) {
	const header = 4 + 2 + 1
	if len(in) < header || binary.LittleEndian.Uint32(in) != lz4Magic || in[4]&lz4Version != 0x40 {
		return nil, fmt.Errorf("%w: no LZ4 frame of version 1", ErrFrame)
	}
	flags := in[4]
	r := reader{b: in[header:]}
	if flags&lz4Size != 0 {
		r.take(8)
	}
	if flags&lz4Dictionary != 0 {
		return nil, fmt.Errorf("%w: LZ4 frame wants a dictionary", ErrFrame)
	}
	out := make([]byte, 0, min(most, 4*len(in)))
	for {
		b := r.take(4)
		if r.short {
			return nil, fmt.Errorf("%w: LZ4 frame without an end", ErrFrame)
		}
		size := binary.LittleEndian.Uint32(b)
		if size == 0 {
			break
		}
		block := r.take(int(size &^ lz4Plain))
		if flags&lz4BlockChecksum != 0 {
			r.take(4)
		}
		if r.short {
			return nil, fmt.Errorf("%w: LZ4 block of %d bytes without an end", ErrFrame, size&^lz4Plain)
		}
		if size&lz4Plain != 0 {
			if len(out)+len(block) > most {
				return nil, ErrTooLarge
			}
			out = append(out, block...)
			continue
		}
		history := 0
		if flags&lz4Independent != 0 {
			history = len(out)
		}
		var err error
		if out, err = inflateLZ4Block(out, history, block, most); err != nil {
			return nil, err
		}
	}
	if flags&lz4Checksum != 0 {
		r.take(4)
	}
	if r.short || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: LZ4 frame does not end where it should", ErrFrame)
	}
	return out, nil
}

// inflateLZ4Block appends what a block holds to out; its matches reach back as far as history.
func inflateLZ4Block(out []byte, history int, block []byte, most int) ([]byte, error) {
	r := reader{b: block}
	for {
		token := r.byte()
		literals := r.take(lz4Length(&r, int(token>>4), most))
		if r.short {
			return nil, fmt.Errorf("%w: LZ4 block ends inside of a sequence", ErrFrame)
		}
		if len(out)+len(literals) > most {
			return nil, ErrTooLarge
		}
		out = append(out, literals...)
		if len(r.b) == 0 {
			return out, nil // the last sequence has no match
		}
		low, high := r.byte(), r.byte()
		match := lz4Length(&r, int(token&15), most) + 4
		from := len(out) - (int(low) | int(high)<<8)
		if r.short || from < history || from == len(out) {
			return nil, fmt.Errorf("%w: LZ4 match outside of what was read", ErrFrame)
		}
		if len(out)+match > most {
			return nil, ErrTooLarge
		}
		for match > 0 { // a match may overlap what it makes: every round doubles the period
			n := min(match, len(out)-from)
			out = append(out, out[from:from+n]...)
			match -= n
		}
	}
}

// lz4Length is a length of a token's four bits; when all are set, bytes follow that add to it. Above
// most it no longer matters how much.
func lz4Length(r *reader, n, most int) int {
	if n < 15 {
		return n
	}
	for {
		more := r.byte()
		n = min(n+int(more), most+1)
		if more < 255 {
			return n
		}
	}
}
