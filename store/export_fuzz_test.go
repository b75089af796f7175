package store

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"sluice/gateway/message"
)

// readExport reads a stream as Restore does, without making a log.
func readExport(in []byte) (messages int, err error) {
	r := newFrameReader(bytes.NewReader(in))
	if _, err := r.begin(); err != nil {
		return 0, err
	}
	for {
		kind, body, err := r.next()
		if err != nil {
			return messages, err
		}
		switch kind {
		case frameDevices:
			_, err = decodeDevices(nil, body)
		case frameCursors:
			_, err = decodeCursors(nil, body)
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
	if _, err := s.OpenCursor("c", 1); err != nil {
		f.Fatal(err)
	}
	for s.commitNext() {
	}
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
	f.Add(appendCursors(nil, []exportedCursor{{"c", 1, 2, 3}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := readExport(in); err != nil && !errors.Is(err, ErrExport) && !errors.Is(err, errBlock) {
			t.Errorf("refused with %v", err)
		}
		if devices, err := decodeDevices(nil, in); err == nil {
			if again, err := decodeDevices(nil, appendDevices(nil, devices)); err != nil || len(again) != len(devices) {
				t.Errorf("devices %+v do not survive a round trip: %v", devices, err)
			}
		}
		if cursors, err := decodeCursors(nil, in); err == nil {
			if again, err := decodeCursors(nil, appendCursors(nil, cursors)); err != nil || len(again) != len(cursors) {
				t.Errorf("cursors %+v do not survive a round trip: %v", cursors, err)
			}
		}
	})
}
