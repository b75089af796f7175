//go:build linux

package nighttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bedroom is the gateway, or a broker in its place, with sessions whose clients are away most of the
// time, and with those who publish meanwhile.
type bedroom struct {
	dial     func() (net.Conn, error)
	sleepers []*sleeper
	exact    *exact
	plain    []*publisher // one for each connection that there was

	awake sync.WaitGroup // clients who run; they end when their connection does
}

func newBedroom(t *testing.T, address string) *bedroom {
	b := &bedroom{
		dial: func() (net.Conn, error) { return site{}.dial(t.Context(), "tcp", address) },
		sleepers: []*sleeper{
			{name: "all", filter: "#", qos: 1, level: 4, matches: func(string) bool { return true }},
			{name: "counts", filter: "plant/+/count", qos: 2, level: 5, window: 30, matches: func(topic string) bool { return strings.HasSuffix(topic, "/count") }},
			{name: "rare", filter: "plant/alarms/#", qos: 1, level: 4, matches: func(topic string) bool { return strings.HasPrefix(topic, "plant/alarms") }},
		},
		exact: &exact{topic: "plant/press/count", label: "exact"},
	}
	for _, s := range b.sleepers {
		s.held, s.first = make(map[uint16]bool), make(map[string]int)
	}
	return b
}

// subscribe makes every session.
func (b *bedroom) subscribe(t *testing.T) {
	t.Helper()
	for _, s := range b.sleepers {
		conn, err := b.dial()
		if err == nil {
			err = s.subscribe(conn)
		}
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
}

// publish lets everybody publish until the broker goes.
func (b *bedroom) publish(t *testing.T, life int) {
	t.Helper()
	for i := range 2 {
		p := &publisher{label: fmt.Sprintf("life %d publisher %d", life, i), pause: time.Millisecond}
		p.every = func(n int) string {
			if n%97 == i {
				return "plant/alarms/oven"
			}
			return []string{"plant/oven/count", "plant/oven/temperature", "plant/oven/log"}[n%3]
		}
		b.plain = append(b.plain, p)
		conn := b.connect(t)
		b.awake.Go(func() { p.run(conn) })
	}
	conn := b.connect(t)
	b.awake.Go(func() { b.exact.run(conn, false) })
}

func (b *bedroom) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := b.dial()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// wake lets sessions wake up in a random order, one after the other, and some of them leave early. The
// rarely needed one sleeps through the first half of all lives.
func (b *bedroom) wake(life, lives int) {
	order := rand.Perm(len(b.sleepers))
	b.awake.Go(func() {
		for _, i := range order {
			s := b.sleepers[i]
			if s.name == "rare" && life < lives/2 || rand.N(3) == 0 {
				continue
			}
			time.Sleep(between(0, 300*time.Millisecond))
			conn, err := b.dial()
			if err != nil {
				return // the broker is gone: this life is over
			}
			limit := 0
			if rand.N(3) == 0 {
				limit = 1 + rand.N(3000)
			}
			b.awake.Go(func() { s.visit(conn, limit) })
		}
	})
}

// finish lets the publisher of QoS 2 bring everything to its end.
func (b *bedroom) finish(t *testing.T) {
	t.Helper()
	conn := b.connect(t)
	conn.SetDeadline(time.Now().Add(time.Minute))
	b.exact.run(conn, true)
	if len(b.exact.sending) > 0 {
		t.Fatalf("QoS 2 was not brought to its end: %v, %v", b.exact.sending, b.exact.err)
	}
}

// drain wakes everybody in the given order, and sends them home once all have what is theirs.
func (b *bedroom) drain(t *testing.T, order []int) {
	t.Helper()
	var conns []net.Conn
	for _, i := range order {
		conn := b.connect(t)
		conns = append(conns, conn)
		b.awake.Go(func() { b.sleepers[i].visit(conn, 0) })
	}
	for _, i := range order {
		s := b.sleepers[i]
		wanted := b.wanted(s)
		until(t, 2*time.Minute, fmt.Sprintf("the %d messages of session %s", wanted, s.name), func() bool {
			distinct, err := s.distinct()
			return err != nil || distinct >= wanted && len(b.missing(s)) == 0
		})
	}
	time.Sleep(300 * time.Millisecond) // what should not come may come late
	for _, conn := range conns {
		conn.Write(mqttPacket(0xe0, nil)) // DISCONNECT stands behind every acknowledgement
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	}
	b.awake.Wait()
}

// TestSleepingSessionsGetEverything lets three sessions with different filters sleep and wake up in many
// orders while others publish and the gateway is killed at random moments: everything acknowledged
// arrives, in the order of the log, and QoS 2 exactly once.
func TestSleepingSessionsGetEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	lives := 8
	if long() {
		lives = 100
	}
	web, address := freeAddress(t), freeAddress(t)
	g := newGateway(t, site{}, web, startConfig("{dir}/data", web, address))
	b := newBedroom(t, address)
	g.start(t)
	b.subscribe(t)
	g.kill(t) // SUBACK was a promise
	for life := range lives {
		g.start(t)
		b.publish(t, life)
		b.wake(life, lives)
		time.Sleep(between(200*time.Millisecond, 1500*time.Millisecond))
		g.kill(t)
		b.awake.Wait()
	}
	g.start(t)
	b.finish(t)
	b.drain(t, rand.Perm(len(b.sleepers)))
	b.judge(t)

	// An orderly stop keeps every acknowledgement, so nothing comes again.
	g.stop(t)
	g.start(t)
	before := b.came()
	b.drain(t, rand.Perm(len(b.sleepers)))
	g.stop(t)
	if after := b.came(); after != before {
		t.Errorf("%d messages came again after an orderly stop", after-before)
	}
	t.Logf("%d kills: %s", lives+1, b.summary())
}

// TestSleepersAgainstMosquitto holds the sleepers themselves against another broker. It is stopped in
// order, since it keeps nothing otherwise, and nobody wakes up in between, since it loses the order then.
func TestSleepersAgainstMosquitto(t *testing.T) {
	need(t, "mosquitto")
	address := freeAddress(t)
	host, port := split(address)
	dir := t.TempDir()
	config := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\nuser root\npersistence true\npersistence_location %s/\nmax_queued_messages 0\n", port, host, dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *process {
		p := site{}.start(t, "mosquitto", nil, "mosquitto", "-c", config)
		until(t, 30*time.Second, "mosquitto's listener", func() bool {
			p.alive(t)
			return site{}.reachable(address)
		})
		return p
	}
	stop := func(p *process) {
		if code, _, err := p.terminate(time.Minute); code != 0 || err != nil {
			t.Fatalf("mosquitto ended with code %d: %v", code, err)
		}
	}
	const lives = 2
	b := newBedroom(t, address)
	p := start()
	b.subscribe(t)
	for life := range lives {
		b.publish(t, life)
		time.Sleep(between(100*time.Millisecond, 300*time.Millisecond))
		stop(p)
		b.awake.Wait()
		p = start()
	}
	b.finish(t)
	b.drain(t, []int{2, 0, 1})
	stop(p)
	b.judge(t)
	t.Log(b.summary())
}
