//go:build linux

package nighttest

import (
	"fmt"
	"testing"
	"time"
)

// TestStatusNeverUnderstatesTheBacklog asks for the backlog at the moments when somebody acts on
// it: just after messages were acknowledged, just after a start, and when it says that nothing waits.
func TestStatusNeverUnderstatesTheBacklog(t *testing.T) {
	here := site{}
	cloud := newSink(t, here, freeAddress(t))
	web, mqtt := freeAddress(t), freeAddress(t)
	g := newGateway(t, here, web, fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: "{dir}/data"}
web: {listen: "%s"}
mqtt: {listen: ["%s"], anonymous: true}
uplinks:
  - name: cloud
    driver: mqtt
    address: tcp://%s
    client_id: line-3
    forward: [{from: load, to: "plants/{topic}", qos: 1}]
`, web, mqtt, cloud.address))
	g.start(t)
	g.status(t) // signs in, which takes a while by design

	conn, err := here.dial(t.Context(), "tcp", mqtt)
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{topic: "load", label: "client"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(conn)
	}()
	time.Sleep(300 * time.Millisecond)
	conn.Close()
	<-done
	if p.acked == 0 || p.err != nil {
		t.Fatalf("acknowledged %d, %v", p.acked, p.err)
	}
	if got := g.status(t).backlog(); got < uint64(p.acked) {
		t.Errorf("just after %d acknowledged messages the backlog is %d", p.acked, got)
	}
	g.kill(t)
	g.start(t)
	if got := g.status(t).backlog(); got < uint64(p.acked) {
		t.Errorf("just after a start with %d messages waiting the backlog is %d", p.acked, got)
	}
	cloud.start(t)
	until(t, 2*time.Minute, "an empty backlog", func() bool { return g.status(t).backlog() == 0 })
	if missing, _ := arrived(cloud.deliveries(t), "", []*publisher{p}); missing > 0 {
		t.Errorf("the backlog is 0, and %d of %d acknowledged messages are not in the cloud", missing, p.acked)
	}
}
