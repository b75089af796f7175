package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"sluice/gateway/message"
)

// frameReader reads what frameWriter wrote. It believes nothing: a stream may come from anywhere.
type frameReader struct {
	from   *bufio.Reader
	frames uint64
	bytes  int64
	body   bytes.Buffer
	ended  bool
}

func newFrameReader(from io.Reader) *frameReader {
	return &frameReader{from: bufio.NewReaderSize(from, 64<<10)}
}

func (r *frameReader) begin() (head exportHead, err error) {
	magic := make([]byte, len(exportMagic))
	if err := r.read(magic); err != nil {
		return head, err
	}
	if string(magic) != exportMagic {
		return head, fmt.Errorf("%w: it does not begin like one", ErrExport)
	}
	kind, body, err := r.next()
	if err != nil {
		return head, err
	}
	if kind != frameHead || json.Unmarshal(body, &head) != nil {
		return head, fmt.Errorf("%w: it has no head", ErrExport)
	}
	if head.Epoch == 0 || head.Epoch >= 1<<62 || head.First == 0 || head.Last+1 < head.First || head.Last >= 1<<62 || head.Clock < 0 || head.Clock >= 1<<53 {
		return head, fmt.Errorf("%w: its head says %+v", ErrExport, head)
	}
	return head, nil
}

// next gives a frame; its body is valid until the next call.
func (r *frameReader) next() (kind byte, body []byte, err error) {
	if r.ended {
		return 0, nil, fmt.Errorf("%w: it goes on behind its end", ErrExport)
	}
	var head [5]byte
	if err := r.read(head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame || (head[0] == frameHead || head[0] == frameEnd) && size > maxJSON {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", ErrExport, size)
	}
	// Memory grows with what really comes, not with what a frame claims.
	r.body.Reset()
	if r.body.Cap() > 4*blockPayload {
		r.body = bytes.Buffer{}
	}
	if _, err := io.CopyN(&r.body, r.from, int64(size)); err != nil {
		return 0, nil, cutOff(err)
	}
	r.bytes += int64(size)
	var sum [4]byte
	if err := r.read(sum[:]); err != nil {
		return 0, nil, err
	}
	if binary.BigEndian.Uint32(sum[:]) != frameSum(r.frames, head[:], r.body.Bytes()) {
		return 0, nil, fmt.Errorf("%w: frame %d does not have its checksum", ErrExport, r.frames)
	}
	r.frames++
	r.ended = head[0] == frameEnd
	return head[0], r.body.Bytes(), nil
}

func (r *frameReader) read(b []byte) error {
	if _, err := io.ReadFull(r.from, b); err != nil {
		return cutOff(err)
	}
	r.bytes += int64(len(b))
	return nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off", ErrExport)
	}
	return fmt.Errorf("read the export: %w", err)
}

func decodeEnd(body []byte) (end exportEnd, err error) {
	if json.Unmarshal(body, &end) != nil {
		return end, fmt.Errorf("%w: its end cannot be read", ErrExport)
	}
	return end, nil
}

// maxLimit is the longest idle time that a time.Duration can tell.
const maxLimit = 1 << 43

func position(in *input) message.Position {
	at := in.uvarint()
	if at >= 1<<62 {
		in.short = true
	}
	return message.Position(at)
}

func decodeDevices(list []exportedDevice, body []byte) ([]exportedDevice, error) {
	in := input{rest: body}
	for range in.uvarint() {
		d := exportedDevice{name: string(in.bytes())}
		d.mark.seq = in.uvarint()
		d.mark.at = position(&in)
		if in.short || d.name == "" || len(d.name) > maxName {
			return nil, fmt.Errorf("%w: a device in it cannot be read", ErrExport)
		}
		list = append(list, d)
	}
	if in.short || len(in.rest) > 0 {
		return nil, fmt.Errorf("%w: its devices cannot be read", ErrExport)
	}
	return list, nil
}

func decodeCursors(list []exportedCursor, body []byte) ([]exportedCursor, error) {
	in := input{rest: body}
	for range in.uvarint() {
		c := exportedCursor{name: string(in.bytes()), at: position(&in)}
		c.unused, c.limit = int64(in.uvarint()), int64(in.uvarint())
		if in.short || c.name == "" || len(c.name) > maxName || c.unused < 0 || c.limit < 0 || c.limit > maxLimit {
			return nil, fmt.Errorf("%w: a cursor in it cannot be read", ErrExport)
		}
		list = append(list, c)
	}
	if in.short || len(in.rest) > 0 {
		return nil, fmt.Errorf("%w: its cursors cannot be read", ErrExport)
	}
	return list, nil
}

// decodeDone puts the done ranges of a frame at the cursors that came before it.
func decodeDone(cursors []exportedCursor, body []byte) error {
	in := input{rest: body}
	for range in.uvarint() {
		name, n := string(in.bytes()), in.uvarint()
		i := slices.IndexFunc(cursors, func(c exportedCursor) bool { return c.name == name })
		if in.short || i < 0 || n > maxRanges {
			return fmt.Errorf("%w: done ranges in it cannot be read", ErrExport)
		}
		cursors[i].done = nil
		for range n {
			cursors[i].done = append(cursors[i].done, Range{position(&in), position(&in)})
		}
		if in.short || !soundRanges(cursors[i].at, cursors[i].done) {
			return fmt.Errorf("%w: the done ranges of cursor %q are none", ErrExport, name)
		}
	}
	if in.short || len(in.rest) > 0 {
		return fmt.Errorf("%w: its done ranges cannot be read", ErrExport)
	}
	return nil
}

// exportedQueue is what an export knows of a queue beside its messages.
type exportedQueue struct {
	topic string
	savedQueue
}

// exportedQueues are the queues of an export.
type exportedQueues struct {
	list  []exportedQueue
	start uint64 // the first offset of one that it does not know
}

func (e *exportedQueues) decode(body []byte) error {
	in := input{rest: body}
	at := position(&in)
	e.start = in.uvarint()
	err := decodeQueueTopics(in.rest, at, func(topic string, queues []savedQueue) {
		for _, q := range queues {
			e.list = append(e.list, exportedQueue{topic, q})
		}
	})
	if in.short || err != nil {
		return fmt.Errorf("%w: its queues cannot be read: %v", ErrExport, err)
	}
	return nil
}
