package store

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// tended does everything that the indexer would.
func tended(t *testing.T, s *Store) {
	t.Helper()
	if err := s.numberRuns(); err != nil {
		t.Fatal(err)
	}
	for {
		more, err := s.tend()
		if err != nil {
			t.Logf("tending: %v", err)
		}
		if !more {
			return
		}
	}
}

// put appends messages as blocks of n each.
func put(t *testing.T, s *Store, n int, list ...message.Message) {
	t.Helper()
	for i := range list {
		if err := s.Append(t.Context(), &list[i], nil, 0); err != nil {
			t.Fatal(err)
		}
		if (i+1)%n == 0 || i == len(list)-1 {
			for s.commitNext() {
			}
		}
	}
}

// matching reads everything that filters match.
func matching(t *testing.T, s *Store, filters ...string) (list []message.Position) {
	t.Helper()
	next := message.Position(0)
	for tail, _ := s.Tail(); next <= tail; {
		records, after, err := s.ReadMatching(nil, next, 7, filters)
		if err != nil {
			t.Fatal(err)
		}
		if after <= next {
			t.Fatalf("reading from %d goes on at %d", next, after)
		}
		next = after
		for _, r := range records {
			list = append(list, r.Position)
		}
	}
	return list
}

// varied makes messages over some topics; each has a UNIQ_KEY and each third two KEYS.
func varied(first, n, size int) []message.Message {
	list := make([]message.Message, n)
	for i := range list {
		at := first + i
		topic := fmt.Sprintf("plant/%d/line/%d", at%7, at%13)
		if at%997 == 0 {
			topic = "rare/" + strings.Repeat("x", 190+at%20)
		}
		list[i] = message.Message{Topic: topic, Time: int64(at) * 10, Payload: noise(at, size)}
		list[i].Queue = byte(at % 5 * at % 3)
		list[i].Properties = []message.Property{{Name: propertyUnique, Value: fmt.Sprint("unique-", at)}}
		if at%3 == 0 {
			list[i].Properties = append(list[i].Properties, message.Property{Name: propertyKeys, Value: fmt.Sprintf("order-%d  batch-%d", at, at/100)})
		}
	}
	return list
}

// noise cannot be compressed.
func noise(seed, size int) []byte {
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

var someFilters = [][]string{
	{"#"}, {"plant/3/#"}, {"plant/+/line/5"}, {"plant/1/line/1", "rare/#"}, {"rare/+"}, {"plant"}, {"plant/#"}, {"nothing/+"},
	{"plant/2/line/2"}, {"rare/" + strings.Repeat("x", 195)}, {"+/6/#"}, {},
}

// agree compares every way of looking something up with a plain scan of the log; in the short form a
// part of the filters and keys, since an emulated machine takes minutes for all.
func agree(t *testing.T, s *Store) {
	t.Helper()
	all, err := s.Read(nil, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	some, keys := someFilters, 7
	if testing.Short() {
		some, keys = some[1:6], 2
	}
	for _, filters := range some {
		var want []message.Position
		for i := range all {
			if matchesAny(filters, all[i].Topic) {
				want = append(want, all[i].Position)
			}
		}
		if got := matching(t, s, filters...); !slices.Equal(got, want) {
			t.Errorf("filters %.60q give %d records, want %d", filters, len(got), len(want))
		}
	}
	for _, topic := range s.QueueTopics() {
		for _, queue := range topic.Queues {
			var got, want []message.Position
			for i := range all {
				if message.QueueTopic(all[i].Topic) == topic.Topic && int(all[i].Queue) == queue.Queue {
					want = append(want, all[i].Position)
				}
			}
			for offset := uint64(0); offset < queue.Next; {
				records, next, err := s.ReadQueue(nil, topic.Topic, queue.Queue, offset, 1000)
				if err != nil || next <= offset {
					t.Fatalf("queue %d of %s from %d goes on at %d, %v", queue.Queue, topic.Topic, offset, next, err)
				}
				for i := range records {
					got = append(got, records[i].Position)
				}
				offset = next
			}
			if !slices.Equal(got, want) {
				t.Errorf("queue %d of %s gives %d records, want %d", queue.Queue, topic.Topic, len(got), len(want))
			}
		}
	}
	for i := 0; i < len(all); i += 1 + len(all)/keys {
		at := all[i].Position
		for _, key := range []string{fmt.Sprint("unique-", at), fmt.Sprint("order-", at), fmt.Sprint("batch-", at/100)} {
			var want []message.Position
			for j := range slices.Backward(all) {
				eachKey(all[j].Properties, func(k string) bool {
					if k == key {
						want = append(want, all[j].Position)
					}
					return k != key
				})
			}
			found, err := s.FindByKey(t.Context(), key, time.Time{}, time.Time{}, 1000)
			if err != nil {
				t.Fatal(err)
			}
			var got []message.Position
			for _, r := range found {
				got = append(got, r.Position)
			}
			if !slices.Equal(got, want) {
				t.Errorf("key %s: got %v, want %v", key, got, want)
			}
		}
		if got := s.PositionAt(all[i].Time - 5); got != at {
			t.Errorf("the first position since %d is %d, want %d", all[i].Time-5, got, at)
		}
	}
}

func openIndexed(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Options{youngBytes: -1, Dir: dir, FileSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// indexed makes a log with runs of two levels, something pending and something that is not indexed.
func indexed(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := openIndexed(t, dir)
	at := 1
	for range 42 {
		put(t, s, 400, varied(at, 1200, 40)...)
		at += 1200
		tended(t, s)
		if s.postings.pending != nil && len(s.postings.pending.lasts) > 0 {
			if err := s.flushPending(s.postings.pending); err != nil {
				t.Fatal(err)
			}
		}
		tended(t, s)
	}
	put(t, s, 400, varied(at, 6000, 40)...)
	tended(t, s)
	put(t, s, 1, varied(at+6000, 30, 40)...)
	agree(t, s)
	levels := make(map[uint8]int)
	for _, r := range s.postings.runs {
		levels[r.level]++
	}
	if levels[0] == 0 || levels[1] == 0 {
		t.Fatalf("runs by level are %v, want some of level 0 and 1", levels)
	}
	closed(t, s)
	return dir
}

func TestIndexAgreesWithTheLog(t *testing.T) {
	dir := indexed(t)
	sound(t, dir)
	s := openIndexed(t, dir)
	agree(t, s)
	tended(t, s)
	agree(t, s)
	closed(t, s)
	if report := sound(t, dir); report.Runs == 0 {
		t.Error("the check saw no run")
	}
}

func TestMatchingSkipsBlocks(t *testing.T) {
	dir := t.TempDir()
	s := openIndexed(t, dir)
	list := varied(1, 60000, 40)
	for i := range list {
		if topic := &list[i].Topic; strings.HasPrefix(*topic, "rare") {
			*topic = "plant/0/line/0"
		}
	}
	list[30000].Topic = "rare/one"
	put(t, s, 500, list...)
	tended(t, s)
	if err := s.flushPending(s.postings.pending); err != nil {
		t.Fatal(err)
	}
	for _, pending := range []bool{false, true} {
		s.cache = cache{}
		if got := matching(t, s, "rare/#"); !reflect.DeepEqual(got, []message.Position{30001}) {
			t.Errorf("got %v, want 30001", got)
		}
		if n := s.cache.order.Len(); n > 4 {
			t.Errorf("%d blocks were read for one record (pending: %v)", n, pending)
		}
		p := &s.postings // once more with everything pending
		if !pending {
			if err := s.dropRuns(p.runs); err != nil {
				t.Fatal(err)
			}
			tended(t, s)
		}
	}
	closed(t, s)
}

// TestGhostsOfTheIndex brings back keys of every kind that the index deletes or overwrites.
func TestGhostsOfTheIndex(t *testing.T) {
	dir := t.TempDir()
	s := openIndexed(t, dir)
	put(t, s, 10, varied(1, 800, 700)...)
	tended(t, s)
	first := s.postings.pending
	if err := s.flushPending(first); err != nil {
		t.Fatal(err)
	}
	for range 60 { // so that merging is worth it
		put(t, s, 300, varied(int(s.index.tail)+1, 300, 40)...)
		tended(t, s)
		if p := s.postings.pending; p != nil && len(p.lasts) > 0 {
			if err := s.flushPending(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	closed(t, s)
	old := make(map[string][]byte)
	for key, value := range dump(t, dir) {
		if key[0] == prefixPage {
			old[key] = value
		}
	}
	s = openIndexed(t, dir)
	tended(t, s)
	closed(t, s)

	alter(t, dir, func(txn *badger.Txn) error {
		ghosts, size := 0, 0
		for key, value := range old {
			if _, err := txn.Get([]byte(key)); err == nil {
				continue
			}
			if ghosts++; ghosts > 80 {
				break
			}
			if size += len(key) + len(value); size > batchBytes/2 {
				break // small values count against the transaction
			}
			if err := txn.Set([]byte(key), value); err != nil {
				return err
			}
		}
		// A run that was merged away comes back with a number that is not listed.
		key := pageKey(1<<40, kindRoot, 0)
		return txn.Set(key, sealPage(key, []byte("nothing")))
	})
	sound(t, dir)
	s = openIndexed(t, dir)
	agree(t, s)
	tended(t, s)
	if s.postings.nextRun <= 1<<40 {
		t.Errorf("the next run gets number %d although %d is taken", s.postings.nextRun, uint64(1<<40))
	}
	if err := s.sweepPages(); err != nil {
		t.Fatal(err)
	}
	agree(t, s)
	closed(t, s)
	sound(t, dir)
	for key := range dump(t, dir) {
		if id, ok := runOfPage([]byte(key)); ok && id == 1<<40 {
			t.Error("a page that no run owns is left after the sweep")
		}
	}
}

func dump(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	alter(t, dir, func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			all[string(it.Item().KeyCopy(nil))] = value
		}
		return nil
	})
	return all
}

// TestDamagedIndexIsMadeAgain flips a bit in every kind of value that the index consists of, and
// takes values away.
func TestDamagedIndexIsMadeAgain(t *testing.T) {
	dir := indexed(t)
	remove := false
	for name, picks := range map[string]func(key string) bool{
		"slot":         func(key string) bool { return key[0] == prefixRun && len(key) == 3 },
		"number":       func(key string) bool { return key == string(numberKey) },
		"root":         func(key string) bool { return key[0] == prefixPage && key[9] == byte(kindRoot) },
		"topics":       func(key string) bool { return key[0] == prefixPage && key[9] == byte(kindTopic) },
		"queues":       func(key string) bool { return key[0] == prefixPage && key[9] == byte(kindQueue) },
		"fingerprints": func(key string) bool { return key[0] == prefixPage && key[9] == byte(kindFingerprint) },
	} {
		remove = !remove // which of them varies from run to run
		picked := 0
		for key := range dump(t, dir) {
			if !picks(key) {
				continue
			}
			if picked++; picked > 2 {
				break
			}
			alter(t, dir, func(txn *badger.Txn) error {
				if remove {
					return txn.Delete([]byte(key))
				}
				return flip(txn, []byte(key))
			})
		}
		if picked == 0 {
			t.Fatalf("%s: nothing to damage", name)
		}
		s := openIndexed(t, dir)
		agree(t, s)          // reading notices what is broken,
		for i := range 100 { // also in a page of fingerprints that no key of agree lies in
			if _, err := s.FindByKey(t.Context(), fmt.Sprint("nobody's ", i), time.Time{}, time.Time{}, 1); err != nil {
				t.Fatal(err)
			}
		}
		tended(t, s)
		agree(t, s)
		tended(t, s)
		closed(t, s)
		if report := sound(t, dir); report.Runs == 0 {
			t.Errorf("%s: no run was made again", name)
		}
	}
}

func TestTrimmedRunsGo(t *testing.T) {
	dir := indexed(t)
	s, err := Open(Options{youngBytes: -1, Dir: dir, FileSize: 1 << 20, RetentionSize: 200 << 10})
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.postings.runs)
	s.maintain()
	tended(t, s)
	if head := s.Head(); head < 30000 {
		t.Fatalf("the head is only at %d", head)
	}
	if after := len(s.postings.runs); after >= before {
		t.Errorf("%d runs are left of %d", after, before)
	}
	agree(t, s)
	closed(t, s)
	sound(t, dir)
}

func TestPositionAtWhenTheClockJumps(t *testing.T) {
	s := openIndexed(t, t.TempDir())
	times := []int64{1000, 2000, 3000, 50, 60, 70, 4000, 5000, 4500, 6000}
	for _, at := range times {
		put(t, s, 1, message.Message{Topic: "t", Time: at})
	}
	for _, c := range []struct {
		since int64
		want  message.Position
	}{{0, 1}, {1000, 1}, {1001, 2}, {3000, 3}, {3500, 7}, {4600, 8}, {5500, 10}, {6001, 11}} {
		if got := s.PositionAt(c.since); got != c.want {
			t.Errorf("since %d: got %d, want %d", c.since, got, c.want)
		}
	}
	closed(t, s)
}

func TestFindByKeyWithinTimes(t *testing.T) {
	s := openIndexed(t, t.TempDir())
	for i := range 10 {
		put(t, s, 1, message.Message{Topic: "t", Time: int64(i) * 1000, Properties: []message.Property{{Name: propertyKeys, Value: "a  b"}, {Name: "OTHER", Value: "c"}}})
	}
	find := func(key string, from, to int64, max int) (list []message.Position) {
		found, err := s.FindByKey(t.Context(), key, time.UnixMilli(from), time.UnixMilli(to), max)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range found {
			list = append(list, r.Position)
		}
		return list
	}
	for _, c := range []struct {
		key      string
		from, to int64
		max      int
		want     string
	}{
		{"a", 2000, 4000, 10, "[5 4 3]"}, {"b", 0, 9000, 2, "[10 9]"}, {"c", 0, 9000, 9, "[]"},
		{"a  b", 0, 9000, 9, "[]"}, {"", 0, 9000, 9, "[]"}, {"a", 4000, 2000, 9, "[]"},
	} {
		if got := fmt.Sprint(find(c.key, c.from, c.to, c.max)); got != c.want {
			t.Errorf("%q from %d to %d: got %s, want %s", c.key, c.from, c.to, got, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.FindByKey(ctx, "a", time.Time{}, time.Time{}, 1); err == nil {
		t.Error("a look-up goes on although its context has ended")
	}
	closed(t, s)
}

func FuzzIndexPage(f *testing.F) {
	page := appendEntry(nil, nil, []byte("a/b"), []uint32{0, 1, 7}, nil)
	f.Add(appendEntry(page, []byte("a/b"), []byte("a/c/d"), []uint32{8191}, nil), false)
	page = appendEntry(nil, nil, []byte(queueKey("a", 3)), []uint32{0, 1, 7}, []uint64{0, 5, math.MaxUint64 - 1})
	f.Add(appendEntry(page, []byte(queueKey("a", 3)), []byte(queueKey("b", 0)), []uint32{8191}, []uint64{1 << 40}), true)
	f.Fuzz(func(t *testing.T, in []byte, queues bool) {
		type entry struct {
			key     string
			blocks  []uint32
			offsets []uint64
		}
		read := func(plain []byte) (list []entry, err error) {
			r := entryReader{plain: plain, queues: queues}
			for r.next() {
				list = append(list, entry{string(r.key), slices.Clone(r.blocks), slices.Clone(r.offsets)})
			}
			return list, r.err
		}
		list, err := read(in)
		if err != nil {
			return
		}
		var again []byte
		before := ""
		for _, e := range list {
			again = appendEntry(again, []byte(before), []byte(e.key), e.blocks, e.offsets)
			before = e.key
		}
		if got, err := read(again); err != nil || !reflect.DeepEqual(got, list) {
			t.Errorf("%v does not survive a round trip: %v, %v", list, got, err)
		}
		findEntry(in, []byte("a/c")) // any answer is fine, panicking is not
		key := pageKey(3, kindTopic, 1)
		if plain, err := openPage(key, sealPage(key, in)); err != nil || !bytes.Equal(plain, in) {
			t.Errorf("a page of %x gives %x, %v", in, plain, err)
		}
		if queues {
			return // those are scanned, never looked for one by one
		}
		for _, e := range list {
			if got, err := findEntry(again, []byte(e.key)); err != nil || !slices.Equal(got, e.blocks) {
				t.Errorf("looking for %q gives %v, %v, want %v", e.key, got, err, e.blocks)
			}
			for _, near := range []string{e.key + "\x00", e.key[:max(len(e.key)-1, 0)]} {
				there := slices.ContainsFunc(list, func(e entry) bool { return e.key == near })
				if got, err := findEntry(again, []byte(near)); err != nil || there != (len(got) > 0) {
					t.Errorf("looking for %q, there: %v, gives %v, %v", near, there, got, err)
				}
			}
		}
	})
}

func FuzzSealedIndexPage(f *testing.F) {
	key := pageKey(1, kindRoot, 0)
	f.Add(sealPage(key, []byte("abcabcabcabc")))
	f.Fuzz(func(t *testing.T, value []byte) {
		openPage(key, value)
		openPage(key, seal(key, slices.Clone(value))) // past the checksum
	})
}

// TestRootFromBeforeQueues: an index that is there already is not made again.
func TestRootFromBeforeQueues(t *testing.T) {
	r := root{first: 5, lasts: []message.Position{5, 9}}
	r.fences[fingerprintEntries] = [][]byte{[]byte("abcde")}
	written := r.append(nil)
	got, err := decodeRoot(written[:len(written)-1]) // without the number of pages of queues
	if err != nil || len(got.fences[fingerprintEntries]) != 1 || len(got.fences[queueEntriesKind]) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzIndexRoot(f *testing.F) {
	r := root{first: 5, lasts: []message.Position{5, 9, 400}, minTime: -1, maxTime: 1795345665221}
	r.fences[0] = [][]byte{[]byte("a"), []byte("b")}
	f.Add(r.append(nil))
	old := r.append(nil)
	f.Add(old[:len(old)-1]) // from when messages had no queues
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := decodeRoot(in)
		if err != nil {
			return
		}
		if again, err := decodeRoot(r.append(nil)); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%x does not survive a round trip: %v", in, err)
		}
	})
}

func FuzzIndexSlot(f *testing.F) {
	key := slotKey(7)
	f.Add((&run{id: 1, slot: 7, level: 1, blocks: 3, first: 1, last: 9, bytes: 100}).value(key))
	f.Add(emptySlot(key))
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) >= 4 {
			value = seal(key, slices.Clone(value[:len(value)-4]))
		}
		r, err := decodeSlot(key, value)
		if err != nil || r == nil {
			return
		}
		if again, err := decodeSlot(key, r.value(key)); err != nil || *again != *r {
			t.Errorf("%+v does not survive a round trip: %+v, %v", r, again, err)
		}
	})
}
