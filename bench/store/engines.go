package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"sluice/gateway/message"
	"sluice/store"
)

// engine is a contestant: a durable log that acknowledges after its sync.
type engine interface {
	Append(m *message.Message, ack message.Acknowledger, token uint64) error
	Close() error
}

// The contestants.
const (
	ours   = "sluice"
	file   = "file"
	bolt   = "bbolt"
	pebbly = "pebble"
)

func open(name, dir string) (engine, error) {
	switch name {
	case ours:
		return openOurs(store.Options{Dir: dir})
	case file:
		s := &segments{dir: dir}
		if err := s.roll(); err != nil {
			return nil, err
		}
		return newCommitter(s.write, func() error { return s.file.Close() }), nil
	case bolt:
		return openBolt(dir)
	case pebbly:
		return openPebble(dir)
	}
	return nil, fmt.Errorf("there is no contestant %q", name)
}

// log is our store, opened and run as the gateway does it.
type log struct {
	*store.Store
	stop context.CancelFunc
	ran  chan error
}

func openOurs(o store.Options) (*log, error) {
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := store.Open(o)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &log{Store: s, stop: stop, ran: make(chan error, 1)}
	go func() { l.ran <- s.Run(ctx) }()
	return l, nil
}

func (l *log) Append(m *message.Message, ack message.Acknowledger, token uint64) error {
	return l.Store.Append(context.Background(), m, ack, token)
}

func (l *log) Close() error {
	l.stop()
	if err := <-l.ran; err != nil {
		return err
	}
	return l.Store.Close()
}

// segments is the ceiling: blocks appended to plain files with one fdatasync a group.
type segments struct {
	dir  string
	file *os.File
	n    int
	size int
	buf  []byte
}

const segmentSize = 16 << 20

func (s *segments) roll() error {
	if s.file != nil {
		if err := s.file.Close(); err != nil {
			return err
		}
	}
	var err error
	s.n++
	s.size = 0
	s.file, err = os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("%06d.log", s.n)), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	parent, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

func (s *segments) write(blocks []block) error {
	s.buf = s.buf[:0]
	for _, b := range blocks {
		s.buf = binary.BigEndian.AppendUint32(s.buf, uint32(len(b.stored)))
		s.buf = binary.BigEndian.AppendUint64(s.buf, b.last)
		s.buf = append(s.buf, b.stored...)
	}
	if _, err := s.file.Write(s.buf); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
		return err
	}
	if s.size += len(s.buf); s.size >= segmentSize {
		return s.roll()
	}
	return nil
}

func blockKey(last uint64) []byte { return binary.BigEndian.AppendUint64(nil, last) }

func openBolt(dir string) (engine, error) {
	db, err := bbolt.Open(filepath.Join(dir, "bolt"), 0o640, &bbolt.Options{FreelistType: bbolt.FreelistMapType, Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	name := []byte("blocks")
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	write := func(blocks []block) error {
		return db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(name)
			bucket.FillPercent = 1 // keys only grow
			for _, b := range blocks {
				if err := bucket.Put(blockKey(b.last), b.stored); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return newCommitter(write, db.Close), nil
}

func openPebble(dir string) (engine, error) {
	options := &pebble.Options{
		MemTableSize: 16 << 20, Cache: pebble.NewCache(8 << 20), Logger: quiet{},
		Levels: []pebble.LevelOptions{{Compression: pebble.NoCompression}}, // blocks are compressed already
	}
	db, err := pebble.Open(filepath.Join(dir, "pebble"), options)
	if err != nil {
		return nil, err
	}
	write := func(blocks []block) error {
		b := db.NewBatch()
		defer b.Close()
		for _, block := range blocks {
			if err := b.Set(blockKey(block.last), block.stored, nil); err != nil {
				return err
			}
		}
		return b.Commit(pebble.Sync)
	}
	return newCommitter(write, db.Close), nil
}

type quiet struct{}

func (quiet) Infof(string, ...any) {}
func (quiet) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
func (quiet) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
