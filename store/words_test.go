package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// TestOurOptionsLoseNothing writes 200,000 records, opens again and finds them all. On a 32-bit
// machine Badger finds none of them with its default options: see checkSizes.
func TestOurOptionsLoseNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		options func(dir string) badger.Options
		records int
		most    int // bytes of a value
	}{
		{"log", func(dir string) badger.Options { return badgerOptions(dir, 4<<20, nil) }, 200_000, 120},
		{"admin", func(dir string) badger.Options { return adminOptions(dir, nil) }, 50_000, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := c.options(t.TempDir())
			o.Logger = nil
			o.SyncWrites = false // no power is cut here
			err := checkSizes(o, 32)
			if err != nil {
				t.Fatal(err)
			}
			writeRecords(t, o, c.records, c.most)
			findRecords(t, o, c.records, c.most)
		})
	}
}

// TestLargestMessageCanBeBackedUp streams a value as large as a block with the largest message of a
// 32-bit machine, which would hang there if it were much larger.
func TestLargestMessageCanBeBackedUp(t *testing.T) {
	o := badgerOptions(t.TempDir(), 16<<20, nil)
	o.Logger = nil
	db, err := openBadger(o.Dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	plain := make([]byte, largest32)
	rand.NewChaCha8([32]byte{}).Read(plain)
	block := appendBlock(nil, plain, []chunk{{end: len(plain), records: 1}}, 1, 0)
	if err := db.Update(func(txn *badger.Txn) error { return txn.Set(blockKey(1), block) }); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := db.Backup(&out, 0); err != nil || out.Len() < len(block) {
		t.Errorf("the backup of %d bytes has %d, %v", len(block), out.Len(), err)
	}
}

// record is number i: what it says and how long it is follow from i.
func record(i, most int) (key, value []byte) {
	r := rand.New(rand.NewPCG(uint64(i), 0))
	value = bytes.Repeat([]byte{byte(r.Uint32())}, 8+r.IntN(most-8))
	binary.BigEndian.PutUint64(value, r.Uint64())
	return fmt.Appendf(nil, "%08d", i), value
}

func writeRecords(t *testing.T, o badger.Options, records, most int) {
	t.Helper()
	db, err := badger.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	b := newBatch(db)
	for i := range records {
		key, value := record(i, most)
		if b.set(key, value) {
			continue
		}
		if err := b.commit(); err != nil {
			t.Fatal(err)
		}
		b = newBatch(db)
		b.set(key, value)
	}
	if err := b.commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func findRecords(t *testing.T, o badger.Options, records, most int) {
	t.Helper()
	db, err := badger.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found := 0
	err = db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			key, value := record(found, most)
			got, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			if !bytes.Equal(it.Item().Key(), key) || !bytes.Equal(got, value) {
				return fmt.Errorf("record %d is %q with %d bytes, want %q with %d", found, it.Item().Key(), len(got), key, len(value))
			}
			found++
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if found != records {
		t.Errorf("%d records were written, %d are found", records, found)
	}
}
