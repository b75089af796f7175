package remoting

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"net/netip"
)

// The first four bytes behind a stored message's size.
const (
	magicV1 = 0xDAA320A7 // topic length in one byte
	magicV2 = 0xDAA320AB // in two
)

// Bits of a message's sysFlag.
const (
	SysCompressed   = 0x1
	SysMultiTags    = 0x2
	SysPrepared     = 0x4
	SysCommit       = 0x8
	SysRollback     = 0xC // also the mask of the three kinds of a transaction's message
	SysBornHostV6   = 0x10
	SysStoreHostV6  = 0x20
	SysNeedUnwrap   = 0x40
	SysInnerBatch   = 0x80
	SysCompression  = 0x700 // mask of the algorithm, see Inflate
	compressionFrom = 8
)

// MaxProperties is the most bytes that a message's properties have on the wire.
const MaxProperties = math.MaxInt16

// maxTopicV1 is the longest topic of the form that every client reads.
const maxTopicV1 = math.MaxInt8

// Stored is a message as a broker hands it out. Times are Unix milliseconds.
type Stored struct {
	QueueID        int32
	Flag           int32 // the user's
	QueueOffset    int64
	PhysicalOffset int64 // the position in the log
	SysFlag        int32
	BornTime       int64
	BornHost       netip.AddrPort
	StoreTime      int64
	StoreHost      netip.AddrPort
	Reconsumed     int32
	Prepared       int64 // position of the half message
	Body           []byte
	Topic          string
	Properties     string
}

// AppendStored appends s to b in the first version of the layout, which is all that the Go client
// reads, and in the second for a topic of more than 127 bytes. The bits of SysFlag that speak of IPv6
// follow the hosts; one without an address becomes 0.0.0.0. Properties that are given follow those that s
// has as text.
func AppendStored(b []byte, s *Stored, properties ...Property) (_ []byte, err error) {
	if len(s.Topic) > math.MaxInt16 || len(s.Properties) > MaxProperties || len(s.Body) > math.MaxInt32/2 {
		return b, fmt.Errorf("message with a topic of %d bytes, properties of %d and a body of %d: %w",
			len(s.Topic), len(s.Properties), len(s.Body), ErrTooLarge)
	}
	start := len(b)
	magic := uint32(magicV1)
	if len(s.Topic) > maxTopicV1 {
		magic = magicV2
	}
	sysFlag := hostBit(s.SysFlag, SysBornHostV6, s.BornHost)
	sysFlag = hostBit(sysFlag, SysStoreHostV6, s.StoreHost)
	be := binary.BigEndian
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, magic)
	b = be.AppendUint32(b, crc32.ChecksumIEEE(s.Body)&math.MaxInt32)
	b = be.AppendUint32(b, uint32(s.QueueID))
	b = be.AppendUint32(b, uint32(s.Flag))
	b = be.AppendUint64(b, uint64(s.QueueOffset))
	b = be.AppendUint64(b, uint64(s.PhysicalOffset))
	b = be.AppendUint32(b, uint32(sysFlag))
	b = be.AppendUint64(b, uint64(s.BornTime))
	b = appendHost(b, s.BornHost)
	b = be.AppendUint64(b, uint64(s.StoreTime))
	b = appendHost(b, s.StoreHost)
	b = be.AppendUint32(b, uint32(s.Reconsumed))
	b = be.AppendUint64(b, uint64(s.Prepared))
	b = be.AppendUint32(b, uint32(len(s.Body)))
	b = append(b, s.Body...)
	if magic == magicV2 {
		b = be.AppendUint16(b, uint16(len(s.Topic)))
	} else {
		b = append(b, byte(len(s.Topic)))
	}
	b = append(b, s.Topic...)
	size := len(b)
	b = be.AppendUint16(b, 0)
	b = append(b, s.Properties...)
	if b, err = AppendProperties(b, properties); err != nil {
		return b[:start], err
	}
	if len(b)-size-2 > MaxProperties {
		return b[:start], fmt.Errorf("properties of %d bytes: %w of %d", len(b)-size-2, ErrTooLarge, MaxProperties)
	}
	be.PutUint16(b[size:], uint16(len(b)-size-2))
	be.PutUint32(b[start:], uint32(len(b)-start))
	return b, nil
}

func hostBit(sysFlag, bit int32, host netip.AddrPort) int32 {
	if host.Addr().Unmap().Is6() {
		return sysFlag | bit
	}
	return sysFlag &^ bit
}

// appendHost writes an IPv4 address that a dual socket reports as IPv6 in the form that clients expect.
func appendHost(b []byte, host netip.AddrPort) []byte {
	addr := host.Addr().Unmap()
	if addr.Is6() {
		a := addr.As16()
		b = append(b, a[:]...)
	} else if addr.Is4() {
		a := addr.As4()
		b = append(b, a[:]...)
	} else {
		b = append(b, 0, 0, 0, 0)
	}
	return binary.BigEndian.AppendUint32(b, uint32(host.Port()))
}

// ParseStored reads the message at the start of b, whose memory its body shares, and gives what
// follows it. The body's checksum is not compared: Java's own tools send a message on with
// the checksum of a body that they have inflated since.
func ParseStored(b []byte) (s Stored, rest []byte, err error) {
	if len(b) < 4 {
		return s, b, fmt.Errorf("%w: stored message of %d bytes", ErrFrame, len(b))
	}
	total := int(int32(binary.BigEndian.Uint32(b)))
	if total < 4 || total > len(b) {
		return s, b, fmt.Errorf("%w: stored message of %d bytes in %d", ErrFrame, total, len(b))
	}
	r := reader{b: b[4:total]}
	magic := uint32(r.int32())
	r.int32() // checksum
	s.QueueID = r.int32()
	s.Flag = r.int32()
	s.QueueOffset = r.int64()
	s.PhysicalOffset = r.int64()
	s.SysFlag = r.int32()
	s.BornTime = r.int64()
	s.BornHost = r.host(s.SysFlag&SysBornHostV6 != 0)
	s.StoreTime = r.int64()
	s.StoreHost = r.host(s.SysFlag&SysStoreHostV6 != 0)
	s.Reconsumed = r.int32()
	s.Prepared = r.int64()
	s.Body = r.take(int(r.int32()))
	names := r.b // one string serves both topic and properties
	var topic []byte
	if magic == magicV2 {
		topic = r.take(int(int16(r.uint16())))
	} else {
		topic = r.take(int(int8(r.byte())))
	}
	properties := r.take(int(int16(r.uint16())))
	switch {
	case magic != magicV1 && magic != magicV2:
		return Stored{}, b, fmt.Errorf("%w: stored message with magic %08x", ErrFrame, magic)
	case r.short || len(r.b) > 0:
		return Stored{}, b, fmt.Errorf("%w: stored message whose parts do not fill its %d bytes", ErrFrame, total)
	}
	text := string(names)
	s.Properties = text[len(text)-len(properties):]
	from := len(text) - len(properties) - 2 - len(topic)
	s.Topic = text[from : from+len(topic)]
	return s, b[total:], nil
}

// reader takes big-endian values off b; once b is too short it is empty and everything is 0.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.short = nil, true
		return nil
	}
	taken := r.b[:n:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// host reads an address and a port, which has four bytes and must be one.
func (r *reader) host(v6 bool) netip.AddrPort {
	size := 4
	if v6 {
		size = 16
	}
	addr, _ := netip.AddrFromSlice(r.take(size))
	port := r.int32()
	if port < 0 || port > math.MaxUint16 {
		r.b, r.short = nil, true
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}
