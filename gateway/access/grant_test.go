package access

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
)

func guardFor(t *testing.T, options Options) *Guard {
	t.Helper()
	g, err := New(options, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func anonymousGrant(t *testing.T, options Options, address string) *Grant {
	t.Helper()
	grant := guardFor(t, options).Connect(context.Background(), &Attempt{ClientID: "c1", Address: address, Anonymous: true})
	if grant == nil {
		t.Fatal("an anonymous client was refused where they are allowed")
	}
	return grant
}

func certified(t *testing.T, options Options, name string) *Grant {
	t.Helper()
	grant := guardFor(t, options).Connect(context.Background(), &Attempt{ClientID: "c1", Address: "192.0.2.1:1", Certificate: certificate(name)})
	if grant == nil {
		t.Fatalf("%s was refused", name)
	}
	return grant
}

func TestAllowLists(t *testing.T) {
	grant := certified(t, Options{Users: []User{{
		Name: "ann", Certificate: true,
		Publish:   []string{"readings/%u/#", "status/%c"},
		Subscribe: []string{"commands/%c/+", "$SYS/#"},
	}}}, "ann")
	for topic, want := range map[string]bool{
		"readings/ann/press": true, "readings/ann": true, "readings/bob/press": false,
		"status/c1": true, "status/c2": false, "commands/c1/x": false, "$SYS/x": false, "": false,
	} {
		if got := grant.Publish(topic); got != want {
			t.Errorf("Publish(%q) = %v, want %v", topic, got, want)
		}
	}
	for filter, want := range map[string]bool{
		"commands/c1/+": true, "commands/c1/x": true, "commands/c1/#": false, "commands/+/+": false, "#": false, "+/#": false,
		"$SYS/#": true, "$SYS/broker/load": true, "$SYS": true, "$other/#": false, "": false, "a/#/b": false,
	} {
		if got := grant.Subscribe(filter); got != want {
			t.Errorf("Subscribe(%q) = %v, want %v", filter, got, want)
		}
	}
	for topic, want := range map[string]bool{"commands/c1/x": true, "commands/c1": false, "commands/c2/x": false, "$SYS/a": true, "readings/ann/press": false} {
		if got := grant.Receive(topic); got != want {
			t.Errorf("Receive(%q) = %v, want %v", topic, got, want)
		}
	}
}

func TestEmptyListsAllowNothing(t *testing.T) {
	grant := certified(t, Options{Users: []User{{Name: "ann", Certificate: true, Subscribe: []string{}}}}, "ann")
	if grant.Publish("a") || grant.Subscribe("a") || grant.Subscribe("#") || grant.Receive("a") {
		t.Error("a user without lists may do something")
	}
}

func TestAWildcardDoesNotReachTheGatewaysOwnTopics(t *testing.T) {
	grant := certified(t, Options{Users: []User{{Name: "ann", Certificate: true, Publish: []string{"#"}, Subscribe: []string{"#"}}}}, "ann")
	if !grant.Subscribe("#") || !grant.Subscribe("+/#") || !grant.Subscribe("a/+") || !grant.Receive("a/b") || !grant.Publish("a") {
		t.Error("# does not allow everything")
	}
	if grant.Subscribe("$SYS/#") || grant.Receive("$SYS/a") || grant.Publish("$SYS/a") {
		t.Error("# allows topics that begin with $")
	}
}

func TestDenyListsHoldForEverybody(t *testing.T) {
	options := Options{
		DenySubscribe: []string{"secret/#", "a/+/c"},
		DenyPublish:   []string{"readings/#"},
		Users:         []User{{Name: "ann", Certificate: true, Publish: []string{"#"}, Subscribe: []string{"#", "secret/own"}}},
	}
	for name, grant := range map[string]*Grant{
		"anonymous": anonymousGrant(t, options, "127.0.0.1:1"),
		"ann":       certified(t, options, "ann"),
	} {
		for filter, want := range map[string]bool{
			"secret/#": false, "secret": false, "secret/own": false, "secret/+/x": false, "a/b/c": false, "a/+/c": false,
			"#": true, "a/#": true, "+/own": true, "a/+/+": true, "b": true,
		} {
			if got := grant.Subscribe(filter); got != want {
				t.Errorf("%s: Subscribe(%q) = %v, want %v", name, filter, got, want)
			}
		}
		for topic, want := range map[string]bool{"secret": false, "secret/own": false, "a/b/c": false, "a/b/d": true, "b": true} {
			if got := grant.Receive(topic); got != want {
				t.Errorf("%s: Receive(%q) = %v, want %v", name, topic, got, want)
			}
		}
		if grant.Publish("readings/line-3/press") || !grant.Publish("b") {
			t.Errorf("%s: deny_publish does not decide", name)
		}
	}
}

func TestOnlyTheMachineItselfSeesHowTheGatewayIsWithoutAName(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:5": true, "[::1]:5": true, "[::ffff:127.0.0.1]:5": true,
		"192.0.2.7:5": false, "[2001:db8::1]:5": false, "": false, "pipe": false,
	} {
		grant := anonymousGrant(t, Options{}, address)
		if got := grant.Subscribe("$SYS/#"); got != want {
			t.Errorf("from %q: Subscribe($SYS/#) = %v, want %v", address, got, want)
		}
		if got := grant.Receive("$SYS/a"); got != want {
			t.Errorf("from %q: Receive($SYS/a) = %v, want %v", address, got, want)
		}
		if !grant.Subscribe("#") || !grant.Receive("a") || !grant.Publish("a") {
			t.Errorf("from %q: not everything else is allowed", address)
		}
	}
}

func TestDecisionsAreKeptWithinABound(t *testing.T) {
	var filters []string
	for i := range 100 {
		filters = append(filters, fmt.Sprintf("plants/%d/+", i))
	}
	grant := certified(t, Options{Users: []User{{Name: "ann", Certificate: true, Publish: filters, Subscribe: filters}}}, "ann")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 2000 {
				topic := fmt.Sprintf("plants/%d/x%d", i%200, i)
				if got, want := grant.Publish(topic), i%200 < 100; got != want {
					t.Errorf("Publish(%q) = %v, want %v", topic, got, want)
				}
				if got, want := grant.Receive(topic), i%200 < 100; got != want {
					t.Errorf("Receive(%q) = %v, want %v", topic, got, want)
				}
			}
		})
	}
	all.Wait()
	if n := len(grant.sent.kept); n == 0 || n > mostKept {
		t.Errorf("%d decisions are kept, want 1 to %d", n, mostKept)
	}
}

func BenchmarkGrant(b *testing.B) {
	b.Run("anonymous", func(b *testing.B) {
		grant := &Grant{subscribe: allowed{all: true, own: true}}
		b.ReportAllocs()
		for b.Loop() {
			if !grant.Receive("plants/line-3/press") {
				b.Fatal("refused")
			}
		}
	})
	for _, n := range []int{1, 8, 1000} {
		filters := make([]string, n)
		for i := range filters {
			filters[i] = fmt.Sprintf("plants/line-%d/+", i)
		}
		topic := fmt.Sprintf("plants/line-%d/press", n-1)
		grant := &Grant{publish: newAllowed(newRules(filters))}
		b.Run(fmt.Sprintf("filters=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !grant.Publish(topic) {
					b.Fatal("refused")
				}
			}
		})
	}
}
