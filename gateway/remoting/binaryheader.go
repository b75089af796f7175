package remoting

import (
	"encoding/binary"
	"fmt"
	"math"
)

// fixedBinary is the size of a binary header without remark and fields.
const fixedBinary = 21

// popCodes are the requests whose codes do not fit into the 16 bits that a binary header has for
// them. Java's encoder cuts them off; no other request has what remains.
var popCodes = [...]int{
	PopMessage, AckMessage, PeekMessage, ChangeMessageInvisibleTime, Notification, PollingInfo, PopRollback, BatchAckMessage,
}

// wholeCode is the request that a code of 16 bits stands for.
func wholeCode(short int16) int {
	for _, code := range popCodes {
		if int16(code) == short {
			return code
		}
	}
	return int(short)
}

// parseBinary reads a header whose inner lengths are all checked against it.
func (c *Command) parseBinary(header []byte) error {
	if len(header) < fixedBinary {
		return fmt.Errorf("%w: binary header of %d bytes", ErrFrame, len(header))
	}
	text := string(header) // the strings of the command are pieces of it
	c.Language = Language(header[2])
	c.Version = int(int16(binary.BigEndian.Uint16(header[3:])))
	c.Opaque = int32(binary.BigEndian.Uint32(header[5:]))
	c.Flag = int(int32(binary.BigEndian.Uint32(header[9:])))
	short := int16(binary.BigEndian.Uint16(header))
	if c.Code = int(short); !c.Response() {
		c.Code = wholeCode(short)
	}
	at := 13
	remark, err := binaryText(header, &at, 4)
	if err != nil {
		return err
	}
	c.Remark = text[remark.from:remark.to]
	block, err := binaryText(header, &at, 4)
	if err != nil {
		return err
	}
	if block.to != len(header) {
		return fmt.Errorf("%w: %d bytes after a binary header", ErrFrame, len(header)-block.to)
	}
	for at = block.from; at < block.to; {
		name, err := binaryText(header, &at, 2)
		if err != nil {
			return err
		}
		value, err := binaryText(header, &at, 4)
		if err != nil {
			return err
		}
		if len(c.Ext) == maxFields {
			return fmt.Errorf("%w: too many extFields", ErrFrame)
		}
		if c.Ext == nil {
			c.Ext = make(Fields, 0, 16)
		}
		c.Ext = append(c.Ext, Field{text[name.from:name.to], text[value.from:value.to]})
	}
	return nil
}

// binaryText passes over a length of size bytes at *at and over what it counts.
func binaryText(b []byte, at *int, size int) (span, error) {
	rest := b[*at:]
	if len(rest) < size {
		return span{}, fmt.Errorf("%w: binary header ends inside of a length", ErrFrame)
	}
	n := int(int16(binary.BigEndian.Uint16(rest)))
	if size == 4 {
		n = int(int32(binary.BigEndian.Uint32(rest)))
	}
	if n < 0 || n > len(rest)-size {
		return span{}, fmt.Errorf("%w: %d bytes where a binary header has %d left", ErrFrame, n, len(rest)-size)
	}
	from := *at + size
	*at = from + n
	return span{from, *at}, nil
}

func (c *Command) appendBinary(b []byte) ([]byte, error) {
	short := int16(c.Code)
	if c.Code != int(short) && (c.Response() || wholeCode(short) != c.Code) {
		return b, fmt.Errorf("code %d in a binary header: %w", c.Code, ErrTooLarge)
	}
	if c.Version != int(int16(c.Version)) {
		return b, fmt.Errorf("version %d in a binary header: %w", c.Version, ErrTooLarge)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(short))
	b = append(b, byte(c.Language))
	b = binary.BigEndian.AppendUint16(b, uint16(c.Version))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Opaque))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Flag))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Remark)))
	b = append(b, c.Remark...)
	block := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, f := range c.Ext {
		if len(f.Name) > math.MaxInt16 {
			return b, fmt.Errorf("name of %d bytes in a binary header: %w", len(f.Name), ErrTooLarge)
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(f.Name)))
		b = append(b, f.Name...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(f.Value)))
		b = append(b, f.Value...)
	}
	binary.BigEndian.PutUint32(b[block:], uint32(len(b)-block-4))
	return b, nil
}
