package store

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"

	"sluice/gateway/message"
)

// readExport reads a stream as Restore does, without making a log.
func readExport(in []byte) (messages int, err error) {
	r := newFrameReader(bytes.NewReader(in))
	if _, err := r.begin(); err != nil {
		return 0, err
	}
	var cursors []exportedCursor
	for {
		kind, body, err := r.next()
		if err != nil {
			return messages, err
		}
		switch kind {
		case frameDevices:
			_, err = decodeDevices(nil, body)
		case frameCursors:
			cursors, err = decodeCursors(cursors, body)
		case frameDone:
			err = decodeDone(cursors, body)
		case frameBlock:
			var records []message.Record
			records, err = decodeBlock(body)
			messages += len(records)
		case frameEnd:
			_, err = decodeEnd(body)
			return messages, err
		}
		if err != nil {
			return messages, err
		}
	}
}

func FuzzExport(f *testing.F) {
	s, err := Open(Options{Dir: f.TempDir(), FileSize: 1 << 20})
	if err != nil {
		f.Fatal(err)
	}
	for range 3 {
		m := message.Message{Topic: "readings/g/d", Device: "d", Seq: 1, Payload: []byte("{}"), Time: 5}
		if err := s.Append(context.Background(), &m, nil, 0); err != nil {
			f.Fatal(err)
		}
	}
	c, err := s.OpenCursor("c", 1)
	if err != nil {
		f.Fatal(err)
	}
	for s.commitNext() {
	}
	if err := c.MarkDone(2, 2); err != nil {
		f.Fatal(err)
	}
	settleAll(s)
	s.settle()
	var stream bytes.Buffer
	if _, err := s.Backup(context.Background(), &stream, nil); err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	if n, err := readExport(stream.Bytes()); n != 3 || err != nil {
		f.Fatalf("%d messages, %v", n, err)
	}
	f.Add(stream.Bytes())
	f.Add([]byte(exportMagic))
	f.Add(appendDevices(nil, []exportedDevice{{"d", deviceMark{1, 2}}}))
	f.Add(appendCursors(nil, []exportedCursor{{name: "c", at: 1, unused: 2, limit: 3}}))
	f.Add(appendDone(nil, []exportedCursor{{name: "c", done: []Range{{5, 6}, {8, 9}}}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := readExport(in); err != nil && !errors.Is(err, ErrExport) && !errors.Is(err, errBlock) {
			t.Errorf("refused with %v", err)
		}
		if devices, err := decodeDevices(nil, in); err == nil {
			if again, err := decodeDevices(nil, appendDevices(nil, devices)); err != nil || len(again) != len(devices) {
				t.Errorf("devices %+v do not survive a round trip: %v", devices, err)
			}
		}
		known := []exportedCursor{{name: "c", at: 1}, {name: "d"}}
		if decodeDone(known, in) == nil {
			again := []exportedCursor{{name: "c", at: 1}, {name: "d"}}
			if err := decodeDone(again, appendDone(nil, known)); err != nil || !reflect.DeepEqual(again, known) {
				t.Errorf("done ranges of %+v do not survive a round trip: %+v, %v", known, again, err)
			}
		}
		if cursors, err := decodeCursors(nil, in); err == nil {
			if again, err := decodeCursors(nil, appendCursors(nil, cursors)); err != nil || len(again) != len(cursors) {
				t.Errorf("cursors %+v do not survive a round trip: %v", cursors, err)
			}
		}
	})
}
