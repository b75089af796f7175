package remoting

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
	"unicode/utf16"
)

const hexUpper = "0123456789ABCDEF"

func appendHexUpper(b, raw []byte) []byte {
	for _, c := range raw {
		b = append(b, hexUpper[c>>4], hexUpper[c&15])
	}
	return b
}

// OffsetID is the id of the message at a position in the log of the broker at host: 32 digits, 56 with
// IPv6. Clients dial the host in it.
func OffsetID(host netip.AddrPort, position uint64) string {
	var raw [28]byte
	b := appendHost(raw[:0], host)
	b = binary.BigEndian.AppendUint64(b, position)
	var text [56]byte
	return string(appendHexUpper(text[:0], b))
}

// ParseOffsetID takes an offset message id apart.
func ParseOffsetID(id string) (host netip.AddrPort, position uint64, err error) {
	if len(id) != 32 && len(id) != 56 {
		return host, 0, fmt.Errorf("%w: offset message id of %d characters", ErrFrame, len(id))
	}
	var raw [28]byte
	for i := range len(id) / 2 {
		high, low := hexDigit(id[2*i]), hexDigit(id[2*i+1])
		if high < 0 || low < 0 {
			return host, 0, fmt.Errorf("%w: offset message id %q is not hexadecimal", ErrFrame, id)
		}
		raw[i] = byte(high<<4 | low)
	}
	r := reader{b: raw[:len(id)/2]}
	host = r.host(len(id) == 56)
	position = uint64(r.int64())
	if r.short {
		return netip.AddrPort{}, 0, fmt.Errorf("%w: offset message id %q has no port", ErrFrame, id)
	}
	return host, position, nil
}

// UniqueIDs makes the values of UNIQ_KEY in the layout of Java's MessageClientIDSetter, from which
// its tools read when a message was born. Any goroutine may use it.
type UniqueIDs struct {
	prefix  []byte // address, process, instance
	counter atomic.Uint32
}

// NewUniqueIDs makes ids of the process pid on the machine at host. instance is a random number, since a
// process in a container has the same id in every life.
func NewUniqueIDs(host netip.Addr, pid int, instance uint32) *UniqueIDs {
	raw := appendHost(nil, netip.AddrPortFrom(host, 0))
	raw = raw[:len(raw)-4] // no port
	raw = binary.BigEndian.AppendUint16(raw, uint16(pid))
	raw = binary.BigEndian.AppendUint32(raw, instance)
	return &UniqueIDs{prefix: appendHexUpper(nil, raw)}
}

// Next is an id that was not given before, as long as fewer than 65,536 are made in one millisecond.
func (u *UniqueIDs) Next(now time.Time) string {
	year, month, _ := now.Date()
	start := time.Date(year, month, 1, 0, 0, 0, 0, now.Location())
	var raw [6]byte
	binary.BigEndian.PutUint32(raw[:], uint32(now.Sub(start).Milliseconds()))
	binary.BigEndian.PutUint16(raw[4:], uint16(u.counter.Add(1)-1))
	var text [56]byte
	return string(appendHexUpper(append(text[:0], u.prefix...), raw[:]))
}

// JavaHash is what String.hashCode gives in Java: clients and brokers file tags and keys by it.
func JavaHash(text string) int32 {
	var h int32
	for _, r := range text {
		if high, low := utf16.EncodeRune(r); r > 0xffff {
			h = 31*(31*h+high) + low
		} else {
			h = 31*h + r
		}
	}
	return h
}
