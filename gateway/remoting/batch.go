package remoting

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Part is one message of a batch. Topic, queue and times are those of the request.
type Part struct {
	Flag       int32
	Body       []byte
	Properties string
}

// smallestPart is a part with neither body nor properties.
const smallestPart = 5*4 + 2

// ParseBatch takes the body of a SEND_BATCH_MESSAGE apart, all of it or nothing; bodies share its memory.
// More than most parts are refused, since each costs more memory than the smallest has bytes.
func ParseBatch(b []byte, most int) ([]Part, error) {
	parts := make([]Part, 0, min(most, len(b)/smallestPart, 64))
	for len(b) > 0 {
		if len(parts) == most {
			return nil, fmt.Errorf("batch of more than %d messages: %w", most, ErrTooLarge)
		}
		if len(b) < smallestPart {
			return nil, fmt.Errorf("%w: batch ends inside of message %d", ErrFrame, len(parts))
		}
		total := int(int32(binary.BigEndian.Uint32(b)))
		if total < smallestPart || total > len(b) {
			return nil, fmt.Errorf("%w: message %d of a batch has %d bytes of %d", ErrFrame, len(parts), total, len(b))
		}
		r := reader{b: b[4:total]}
		r.int32() // magic and checksum: clients leave them 0
		r.int32()
		var p Part
		p.Flag = r.int32()
		p.Body = r.take(int(r.int32()))
		p.Properties = string(r.take(int(int16(r.uint16()))))
		if r.short || len(r.b) > 0 {
			return nil, fmt.Errorf("%w: parts of message %d of a batch do not fill its %d bytes", ErrFrame, len(parts), total)
		}
		parts = append(parts, p)
		b = b[total:]
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: empty batch", ErrFrame)
	}
	return parts, nil
}

// AppendPart appends one message to the body of a batch.
func AppendPart(b []byte, p Part) ([]byte, error) {
	if len(p.Properties) > MaxProperties || len(p.Body) > math.MaxInt32/2 {
		return b, fmt.Errorf("message with properties of %d bytes and a body of %d: %w", len(p.Properties), len(p.Body), ErrTooLarge)
	}
	be := binary.BigEndian
	b = be.AppendUint32(b, uint32(smallestPart+len(p.Body)+len(p.Properties)))
	b = be.AppendUint64(b, 0) // magic and checksum
	b = be.AppendUint32(b, uint32(p.Flag))
	b = be.AppendUint32(b, uint32(len(p.Body)))
	b = append(b, p.Body...)
	b = be.AppendUint16(b, uint16(len(p.Properties)))
	return append(b, p.Properties...), nil
}
