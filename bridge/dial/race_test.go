package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// answer is how an address behaves: after a time, with a connection or an error.
type answer struct {
	after time.Duration
	err   error
}

// counted counts the ends of the connections that were made.
type counted struct {
	net.Conn
	closed *int
}

func (c counted) Close() error {
	*c.closed++
	return nil
}

func TestRaceTakesTheFirstThatAnswers(t *testing.T) {
	refused, never := errors.New("refused"), time.Hour
	for _, c := range []struct {
		name    string
		answers []answer
		won     bool
		took    time.Duration
		closed  int // connections that came too late
	}{
		{"the first answers", []answer{{10 * time.Millisecond, nil}, {0, nil}}, true, 10 * time.Millisecond, 0},
		{"the first says nothing", []answer{{never, nil}, {10 * time.Millisecond, nil}}, true, 260 * time.Millisecond, 0},
		{"the first refuses", []answer{{10 * time.Millisecond, refused}, {10 * time.Millisecond, nil}}, true, 20 * time.Millisecond, 0},
		{"the second is as fast", []answer{{260 * time.Millisecond, nil}, {10 * time.Millisecond, nil}}, true, 260 * time.Millisecond, 1},
		{"all refuse", []answer{{10 * time.Millisecond, refused}, {10 * time.Millisecond, refused}}, false, 20 * time.Millisecond, 0},
		{"nobody says anything", []answer{{never, nil}, {never, nil}}, false, 10 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var addresses []netip.Addr
				for i := range c.answers {
					addresses = append(addresses, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
				}
				closed := 0
				from := time.Now()
				conn, err := race(ctx, addresses, func(ctx context.Context, ip netip.Addr) (net.Conn, error) {
					i := int(ip.As4()[3])
					a := c.answers[i]
					select {
					case <-time.After(a.after):
					case <-ctx.Done():
						if a.after < time.Second {
							break // its SYN was answered at the very moment
						}
						return nil, ctx.Err()
					}
					if a.err != nil {
						return nil, a.err
					}
					near, far := net.Pipe()
					far.Close()
					return counted{near, &closed}, nil
				})
				if took := time.Since(from); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if (err == nil) != c.won || (conn != nil) != c.won {
					t.Errorf("got %v and %v", conn, err)
				}
				if closed != c.closed {
					t.Errorf("%d connections were closed, want %d", closed, c.closed)
				}
			})
		})
	}
}

func TestFamiliesTakeTurns(t *testing.T) {
	var found []netip.Addr
	for _, text := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "::ffff:192.0.2.1", "192.0.2.2"} {
		found = append(found, netip.MustParseAddr(text))
	}
	var got []string
	for _, ip := range inTurn(found) {
		got = append(got, ip.String())
	}
	want := []string{"2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"}
	if !slices.Equal(got, want) {
		t.Errorf("they are tried as %v, want %v", got, want)
	}
	for i := range 20 {
		found = append(found, netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", 100+i)))
	}
	if n := len(inTurn(found)); n != maxAddresses {
		t.Errorf("%d addresses of one name are tried, want at most %d", n, maxAddresses)
	}
}
