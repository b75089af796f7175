package store

import (
	"fmt"
	"testing"
)

// A topic that was added is never denied, and most of the others are.
func TestATopicSetDeniesNoTopicThatItHas(t *testing.T) {
	var set topicSet
	for i := range 100 {
		set.add(fmt.Appendf(nil, "readings/gw/meter-%d", i))
	}
	for i := range 100 {
		if topic := fmt.Sprintf("readings/gw/meter-%d", i); !set.has(topic) {
			t.Errorf("%s is denied", topic)
		}
	}
	denied := 0
	for i := range 1000 {
		if !set.has(fmt.Sprintf("commands/gw/meter-%d", i)) {
			denied++
		}
	}
	if denied < 800 {
		t.Errorf("of 1000 topics that are not there %d are denied, want about 900", denied)
	}
}

func TestOnlyFiltersWithoutWildcardsAreTopics(t *testing.T) {
	for _, filters := range [][]string{{"a/#"}, {"a", "+/b"}, {"#"}} {
		if areTopics(filters) {
			t.Errorf("%q are taken for topics", filters)
		}
	}
	if !areTopics([]string{"a", "$SYS/b"}) {
		t.Error("topics are taken for filters")
	}
}
