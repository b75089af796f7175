package mqtt

import (
	"testing"

	"sluice/gateway/message"
)

// A batch may be longer than the window: what a client has acknowledged of it is done with before the
// whole batch was handed out, else a kill would send it as new.
func TestAcknowledgedWithinABatchIsDoneWith(t *testing.T) {
	var f flights
	f.init(2, 10, true)
	begin := func(at message.Position) uint16 {
		id, ok := f.take(func() {})
		if !ok {
			t.Fatal("no packet identifier")
		}
		f.begun(id, ofSession, at, 2, nil)
		return id
	}
	first, second := begin(11), begin(14)
	if _, ok := f.acknowledged(first, 2); !ok {
		t.Fatal("the first is not under way")
	}
	third := begin(15)
	upTo, under, exact := f.state()
	want := []Flight{{ID: second, Position: 14, State: FlightSentExactly}, {ID: third, Position: 15, State: FlightSentExactly}}
	if upTo < 11 || upTo > 13 || !exact || len(under) != 2 || under[0] != want[0] || under[1] != want[1] {
		t.Errorf("done with up to %d, under way %v (exact %v); want 11 to 13 and %v", upTo, under, exact, want)
	}
}
