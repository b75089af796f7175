package store

import "encoding/binary"

// input reads from the front of rest; once something does not fit, short stays set and everything
// else reads as zero.
type input struct {
	rest  []byte
	short bool
}

func (in *input) uvarint() uint64 {
	v, n := binary.Uvarint(in.rest)
	if n <= 0 {
		in.rest, in.short = nil, true
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

func (in *input) varint() int64 {
	v, n := binary.Varint(in.rest)
	if n <= 0 {
		in.rest, in.short = nil, true
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

func (in *input) bytes() []byte {
	n := in.uvarint()
	if n > uint64(len(in.rest)) {
		in.rest, in.short = nil, true
		return nil
	}
	b := in.rest[:n:n]
	in.rest = in.rest[n:]
	return b
}

func (in *input) byte() byte {
	if len(in.rest) == 0 {
		in.short = true
		return 0
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return b
}
