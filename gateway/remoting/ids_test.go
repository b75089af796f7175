package remoting

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// The ids are those that Java's MessageDecoder.createMessageId made.
func TestOffsetIDs(t *testing.T) {
	for id, host := range map[string]string{
		"C0A8010200002A9F000000003ADE68B1":                         "192.168.1.2:10911",
		"FD00000000000000000000000000000200002A9F000000003ADE68B1": "[fd00::2]:10911",
	} {
		want := netip.MustParseAddrPort(host)
		if got := OffsetID(want, 987654321); got != id {
			t.Errorf("%s: got %s, want %s", host, got, id)
		}
		got, position, err := ParseOffsetID(id)
		if err != nil || got != want || position != 987654321 {
			t.Errorf("%s: got %s at %d, %v", id, got, position, err)
		}
	}
	if got, want := OffsetID(netip.MustParseAddrPort("[::ffff:192.168.1.2]:1"), 1<<63), "C0A80102000000018000000000000000"; got != want {
		t.Errorf("dual socket: got %s, want %s", got, want)
	}
	if _, position, err := ParseOffsetID("c0a80102000000018000000000000000"); err != nil || position != 1<<63 {
		t.Errorf("lower case: position %d, %v", position, err)
	}
	for _, id := range []string{"", "C0A8", "G0A8010200002A9F000000003ADE68B1", "C0A8010200012A9F000000003ADE68B1", "C0A80102ffffffff000000003ADE68B1"} {
		if host, position, err := ParseOffsetID(id); !errors.Is(err, ErrFrame) {
			t.Errorf("%q: %s at %d, %v", id, host, position, err)
		}
	}
}

func TestUniqueIDsHaveJavasLayout(t *testing.T) {
	now := time.UnixMilli(1795404657628).UTC() // Java's own id of this moment ended in 720D0BDC0000
	ids := NewUniqueIDs(netip.MustParseAddr("192.168.1.2"), 0x17035, 0x1DBD16A6)
	for _, want := range []string{"C0A8010270351DBD16A6720D0BDC0000", "C0A8010270351DBD16A6720D0BDC0001"} {
		if got := ids.Next(now); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	v6 := NewUniqueIDs(netip.MustParseAddr("fd00::2"), 0x7035, 0x1DBD16A6)
	if got, want := v6.Next(now), "FD00000000000000000000000000000270351DBD16A6720D0BDC0000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUniqueIDsOfManyGoroutinesDiffer(t *testing.T) {
	ids, now := NewUniqueIDs(netip.MustParseAddr("10.0.0.1"), 1, 2), time.UnixMilli(1795404657628)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards what follows
	seen := map[string]bool{}
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				id := ids.Next(now)
				mu.Lock()
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 8000 {
		t.Errorf("%d different ids of 8000", len(seen))
	}
}

// The hashes are those of Java's String.hashCode.
func TestJavaHash(t *testing.T) {
	for text, want := range map[string]int32{"": 0, "press": 106931267, "Zähler 😀": -531820504, "polygenelubricants": -2147483648} {
		if got := JavaHash(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}
