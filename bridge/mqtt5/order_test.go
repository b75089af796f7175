package mqtt5

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/eclipse/paho.golang/packets"
)

// TestOrderAgainstAPlainModel adds, sends, acknowledges and refuses at random, and checks that of each
// key what is under way is a run at the front of what was added, never longer than allowed, that the
// quota is kept, and that nobody waits without a reason.
func TestOrderAgainstAPlainModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 3))
	for range 200 {
		perKey, quota := 1+random.IntN(3), 1+random.IntN(8)
		o := newOrder(perKey)
		o.quota = quota
		waiting := make(map[string][]*pending)
		var out []*pending
		under := make(map[string]int)
		for step := range 300 {
			switch name := fmt.Sprint(random.IntN(6)); {
			case random.IntN(2) == 0:
				p := &pending{publish: packets.Publish{QoS: byte(min(1, random.IntN(5)))}}
				o.add(name, p)
				waiting[name] = append(waiting[name], p)
			case len(out) > 0:
				i := random.IntN(len(out))
				p := out[i]
				out = append(out[:i], out[i+1:]...)
				name := p.key.name
				under[name]--
				if random.IntN(4) > 0 {
					o.acknowledged(p)
					break
				}
				o.refuse(p)
				for q := o.next(); q != nil; q = o.next() { // others go on meanwhile
					if q.key == p.key {
						t.Fatalf("step %d: key %s goes on before its refusal is told", step, name)
					}
					out = sent(t, &o, q, waiting, under, out)
				}
				held := o.release(p.key)
				if len(held) != len(waiting[name]) {
					t.Fatalf("step %d: %d messages were held back, want %d", step, len(held), len(waiting[name]))
				}
				waiting[name] = nil
			}
			for p := o.next(); p != nil; p = o.next() {
				out = sent(t, &o, p, waiting, under, out)
			}
			total := len(out)
			for name, list := range waiting {
				total += len(list)
				if under[name] > perKey || len(out) > quota {
					t.Fatalf("step %d: %d of key %s and %d in all are under way, want at most %d and %d",
						step, under[name], name, len(out), perKey, quota)
				}
				if len(list) > 0 && under[name] < perKey && len(out) < quota {
					t.Fatalf("step %d: key %s waits for nothing", step, name)
				}
			}
			if total != o.taken {
				t.Fatalf("step %d: %d are counted, want %d", step, o.taken, total)
			}
		}
		for len(out) > 0 {
			o.acknowledged(out[0])
			out = out[1:]
			for p := o.next(); p != nil; p = o.next() {
				out = sent(t, &o, p, waiting, under, out)
			}
		}
		if len(o.keys) != 0 || o.taken != 0 || o.quota != quota {
			t.Fatalf("at the end there are %d keys, %d messages and a quota of %d", len(o.keys), o.taken, o.quota)
		}
	}
}

// sent checks that p is the oldest of its key and notes what became of it.
func sent(t *testing.T, o *order, p *pending, waiting map[string][]*pending, under map[string]int, out []*pending) []*pending {
	t.Helper()
	name := p.key.name
	if len(waiting[name]) == 0 || waiting[name][0] != p {
		t.Fatalf("a message of key %s is sent before its turn", name)
	}
	waiting[name] = waiting[name][1:]
	if !p.acknowledged() {
		o.written()
		return out
	}
	under[name]++
	return append(out, p)
}
