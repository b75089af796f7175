package broker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
)

// under gives the entries that message.Match finds, sorted.
func under(filters map[int]string, topic string) (entries []int) {
	for entry, filter := range filters {
		if message.Match(filter, topic) {
			entries = append(entries, entry)
		}
	}
	slices.Sort(entries)
	return entries
}

func randomName(random *rand.Rand, levels []string) string {
	parts := make([]string, 1+random.IntN(4))
	for i := range parts {
		parts[i] = levels[random.IntN(len(levels))]
	}
	if parts[0] == "" && len(parts) == 1 {
		return "/"
	}
	return strings.Join(parts, "/")
}

func TestTrieAgreesWithMatch(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var tree trie[int]
	model := make(map[int]string)
	for step := range 20000 {
		switch random.IntN(4) {
		case 0:
			filter := randomName(random, []string{"a", "b", "$c", "", "+", "+"})
			switch random.IntN(4) {
			case 0:
				filter += "/#"
			case 1:
				filter = "#"
			}
			tree.add(filter, step)
			model[step] = filter
		case 1:
			for entry, filter := range model {
				tree.remove(filter, entry)
				delete(model, entry)
				break
			}
		default:
			topic := randomName(random, []string{"a", "b", "$c", ""})
			want := under(model, topic)
			got := slices.Sorted(slices.Values(tree.match(topic).entries))
			if !slices.Equal(got, want) {
				t.Fatalf("step %d: %q matches %v, want %v of %v", step, topic, got, want, model)
			}
		}
		if tree.n != len(model) {
			t.Fatalf("step %d: %d entries, want %d", step, tree.n, len(model))
		}
		if step%5000 == 4999 { // to nothing and on again
			for entry, filter := range model {
				tree.remove(filter, entry)
			}
			clear(model)
			if !tree.root.empty() {
				t.Fatal("nodes are left in a trie without filters")
			}
		}
	}
}

func TestTrieRemovesOnlyWhatWasAdded(t *testing.T) {
	var tree trie[int]
	tree.add("a/b", 1)
	for _, filter := range []string{"a", "a/b/c", "a/#", "+/b", "x"} {
		tree.remove(filter, 1)
	}
	tree.remove("a/b", 2)
	if got := tree.match("a/b").entries; !slices.Equal(got, []int{1}) || tree.n != 1 {
		t.Errorf("a/b matches %v of %d, want its one entry", got, tree.n)
	}
}

func TestTrieCacheIsBounded(t *testing.T) {
	var tree trie[int]
	tree.add("#", 1)
	for i := range 100_000 {
		tree.match(fmt.Sprint("some/topic/", i))
	}
	tree.match(strings.Repeat("x", message.MaxTopicBytes))
	if cost := len(tree.cache) * matchedCost; cost > maxCacheCost || tree.cost > maxCacheCost {
		t.Errorf("%d topics are remembered at a cost of %d, at most %d is allowed", len(tree.cache), tree.cost, maxCacheCost)
	}
}

func FuzzTrie(f *testing.F) {
	f.Add("a/+/#", "a/b/c", "#")
	f.Add("+/+", "/", "a/#")
	f.Add("$SYS/#", "$SYS", "+")
	f.Fuzz(func(t *testing.T, one, topic, other string) {
		if message.CheckTopic(topic) != nil || message.CheckFilter(one) != nil || message.CheckFilter(other) != nil {
			return
		}
		model := map[int]string{1: one, 2: other}
		var tree trie[int]
		tree.add(one, 1)
		tree.add(other, 2)
		for range 2 { // the second from the cache
			if got, want := slices.Sorted(slices.Values(tree.match(topic).entries)), under(model, topic); !slices.Equal(got, want) {
				t.Errorf("%q matches %v, want %v of %v", topic, got, want, model)
			}
		}
		tree.remove(one, 1)
		delete(model, 1)
		if got, want := tree.match(topic).entries, under(model, topic); !slices.Equal(got, want) {
			t.Errorf("%q matches %v, want %v of %v", topic, got, want, model)
		}
	})
}

func BenchmarkTrie(b *testing.B) {
	var tree trie[int]
	for i := range 10_000 {
		tree.add(fmt.Sprintf("readings/line-%d/press-%d/#", i/100, i), i)
	}
	tree.add("readings/+/press-77", -1)
	b.Run("found", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if len(tree.match("readings/line-0/press-77").entries) != 2 {
				b.Fatal("it matches other filters")
			}
		}
	})
	b.Run("searched", func(b *testing.B) {
		b.ReportAllocs()
		var found []int
		for b.Loop() {
			if found = tree.find(found[:0], "readings/line-0/press-77"); len(found) != 2 {
				b.Fatal("it matches other filters")
			}
		}
	})
}
