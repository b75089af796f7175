package broker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"sluice/gateway/message"
)

func TestAReadersPlaceIsItsHolders(t *testing.T) {
	log := newMemLog()
	b := New(log)
	log.add("a/1")
	r, err := b.Reader("alarms/rules", []string{"a/+"})
	if err != nil {
		t.Fatal(err)
	}
	from := r.Tail() + 1 // a new one begins with what comes next
	log.add("a/2", "b/1", "a/3", "b/2")
	var got []message.Position
	for from <= r.Tail() {
		records, next, err := r.Next(t.Context(), from, nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		got, from = append(got, positions(records)...), next
	}
	if !slices.Equal(got, []message.Position{2, 4}) {
		t.Errorf("it has read %v", got)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Millisecond) // a real log: what has ended loses nothing
	defer stop()
	if _, next, err := r.Next(ctx, from, nil, 10); next != from || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for nothing gives %d, %v", next, err)
	}
	if found, _, err := r.Matching(1, nil, 10, "b/1"); err != nil || !slices.Equal(positions(found), []message.Position{3}) {
		t.Errorf("looking for another filter gives %v, %v", found, err)
	}
	r.Done(4)
	if err := r.Forget(); err != nil {
		t.Error(err)
	}
}
