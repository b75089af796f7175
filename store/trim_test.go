package store

import (
	"errors"
	"testing"
	"time"
)

// A reader may find a block in the index whose removal has just been committed. That is no damage.
func TestReadingWhatIsBeingTrimmedIsNoDamage(t *testing.T) {
	s := reopen(t, t.TempDir(), nil)
	appendEach(t, s, 1, 8)
	s.cache = cache{}
	if err := s.saveQueues(); err != nil { // trimming would, and would be stopped there
		t.Fatal(err)
	}
	s.queue.mu.Lock() // stops the trimming between its commit and its word to the index
	trimmed := make(chan error)
	go func() { trimmed <- s.remove(s.index.oldest(4), 8) }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := s.value(blockKey(4)); errors.Is(err, errAbsent) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is removed")
		}
	}
	records, err := s.Read(nil, 1, 1)
	s.queue.mu.Unlock()
	if err != nil || len(records) != 1 || records[0].Position != 5 {
		t.Errorf("reading from 1 gives %v, %v, want the record at 5", records, err)
	}
	if err := <-trimmed; err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Damages != 0 {
		t.Errorf("%d damages: %+v", st.Damages, st.Damage)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound(t, s.opts.Dir)
}
