package access

import (
	"slices"
	"strings"
	"testing"

	"sluice/gateway/message"
)

// every gives all sequences of up to depth levels.
func every(levels []string, depth int) (all []string) {
	last := []string{""}
	for n := range depth {
		var next []string
		for _, before := range last {
			for _, level := range levels {
				if n == 0 {
					next = append(next, level)
				} else {
					next = append(next, before+"/"+level)
				}
			}
		}
		all = append(all, next...)
		last = next
	}
	return all
}

func TestCoverageIsThatOfEveryTopic(t *testing.T) {
	// A level that no filter names stands for all the others that there are.
	topics := every([]string{"a", "", "$s", "other"}, 4)
	filters := every([]string{"a", "", "$s", "+", "#"}, 3)
	filters = slices.DeleteFunc(filters, func(s string) bool { return message.CheckFilter(s) != nil })
	matches := make(map[string][]bool)
	for _, filter := range filters {
		for _, topic := range topics {
			match := message.Match(filter, topic)
			matches[filter] = append(matches[filter], match)
			if r := newRule(filter); r.matches(topic) != match {
				t.Errorf("the rule %+v matches %q: %v, want %v", r, topic, !match, match)
			}
		}
	}
	covered := 0
	for _, allowed := range filters {
		for _, wanted := range filters {
			want := true
			for i := range topics {
				want = want && (!matches[wanted][i] || matches[allowed][i])
			}
			got := covers(allowed, wanted)
			if got != want {
				t.Errorf("covers(%q, %q) = %v, want %v", allowed, wanted, got, want)
			}
			if got {
				covered++
			}
		}
	}
	if covered < len(filters) || covered == len(filters)*len(filters) {
		t.Errorf("%d pairs of %d filters are covered", covered, len(filters))
	}
}

func FuzzCoverage(f *testing.F) {
	f.Add("a/#", "a/+/c", "a/b/c")
	f.Add("a/#", "a", "a")
	f.Add("+/#", "#", "a")
	f.Add("#", "$SYS/#", "$SYS/a")
	f.Add("+/b", "$s/b", "$s/b")
	f.Add("a/+", "a/#", "a/")
	f.Fuzz(func(t *testing.T, allowed, wanted, topic string) {
		if message.CheckFilter(allowed) != nil || message.CheckFilter(wanted) != nil || message.CheckTopic(topic) != nil {
			return
		}
		if r := newRule(allowed); r.matches(topic) != message.Match(allowed, topic) {
			t.Errorf("the rule %+v matches %q: %v", r, topic, r.matches(topic))
		}
		if !covers(allowed, allowed) {
			t.Errorf("%q does not cover itself", allowed)
		}
		if covers(topic, topic) && covers(allowed, topic) != message.Match(allowed, topic) {
			t.Errorf("%q and the topic %q: covers %v, matches %v", allowed, topic, covers(allowed, topic), message.Match(allowed, topic))
		}
		if covers(allowed, wanted) && message.Match(wanted, topic) && !message.Match(allowed, topic) {
			t.Errorf("%q covers %q, but does not match %q", allowed, wanted, topic)
		}
	})
}

func TestNamesAreFilledInButWidenNothing(t *testing.T) {
	for _, c := range []struct{ template, user, client, want string }{
		{"readings/%u/#", "ann", "c1", "readings/ann/#"},
		{"%u", "ann", "c1", "ann"},
		{"devices/%c-%u/x", "ann", "c1", "devices/c1-ann/x"},
		{"100%/%x/%%u", "ann", "c1", "100%/%x/%ann"},
		{"%c/a", "ann", "%u", "%u/a"}, // not filled in twice
		{"a/%c", "ann", "$SYS", "a/$SYS"},
		{"$SYS/%c", "ann", "c1", "$SYS/c1"},
		{"a/%c/b", "ann", "", ""},
		{"a/%c", "ann", "+", ""},
		{"a/%c", "ann", "#", ""},
		{"a/%c", "ann", "b/c", ""},
		{"a/%c-x", "ann", "+", ""},
		{"%c/#", "ann", "$SYS", ""},
		{"%c", "ann", "a\x00b", ""},
		{"%c", "ann", "\xff", ""},
		{"a/%c/%c", "ann", strings.Repeat("x", 40000), ""},
	} {
		got, ok := fill(c.template, c.user, c.client)
		if !ok {
			got = ""
		}
		if got != c.want {
			t.Errorf("fill(%q, %q, %q) = %q, want %q", c.template, c.user, clip(c.client), clip(got), c.want)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("a/%u/%c/#", "ann", "c1", "a/ann/c1/x")
	f.Add("%c/+", "ann", "$SYS", "$SYS/x")
	f.Add("%u%c/#", "$", "SYS", "$SYS/x")
	f.Fuzz(func(t *testing.T, template, user, client, topic string) {
		if message.CheckFilter(template) != nil || message.CheckTopic(topic) != nil {
			return
		}
		filter, ok := fill(template, user, client)
		if !ok {
			return
		}
		// Whatever the names are, the filter lies within the one that has + where they stand.
		levels := strings.Split(template, "/")
		for i, level := range levels {
			if strings.Contains(level, "%u") || strings.Contains(level, "%c") {
				levels[i] = "+"
			}
		}
		if outer := strings.Join(levels, "/"); template[0] != '$' && !covers(outer, filter) {
			t.Errorf("%q filled in with %q and %q is %q, outside %q", template, user, client, filter, outer)
		}
	})
}
