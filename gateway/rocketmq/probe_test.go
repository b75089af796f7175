package rocketmq_test

import (
	"strings"
	"testing"

	"sluice/gateway/remoting"
)

// bad is one case of bad input. What the real broker does is written down in real, so that a reader knows
// without one; the test asks it whenever there is one.
type bad struct {
	name  string
	frame func(topic string) []byte
	real  string // "code 1", "closed", "silence"
	ours  string // where we differ on purpose
	why   string // and the reason
	names bool   // sent to the name server
}

// TestBadInput sends what no client sends, to the gateway and to the real broker. A connection that is not
// closed goes on working, and so does everybody else's.
func TestBadInput(t *testing.T) {
	eachTarget(t, func(t *testing.T, at target) {
		topic := makeTopic(t, at)
		neighbour := call(t, at.broker)
		neighbour.must(sending(topic, "before"))
		for _, cases := range [][]bad{framesOfLies, headersOfLies, requestsOfLies(), pullsOfLies(), consumersOfLies} {
			for _, b := range cases {
				t.Run(b.name, func(t *testing.T) { b.try(t, at, topic) })
			}
		}
		neighbour.t = t
		neighbour.must(sending(topic, "after"))
	})
}

func (b *bad) try(t *testing.T, at target, topic string) {
	want := b.real
	if b.ours != "" && !at.real {
		want = b.ours
	}
	address := at.broker
	if b.names {
		address = at.nameServer
	}
	c := call(t, address)
	c.write(b.frame(topic))
	patient := patience
	if want == "silence" {
		patient = hush
	}
	got := c.outcome(patient)
	if got != want && (at.real || want != "code 1" || got != exception) {
		t.Fatalf("got %s, want %s", got, want)
	}
	if got == "closed" || b.ours == "closed" || b.names || strings.HasSuffix(b.name, "...") {
		return
	}
	if got := c.ask(request(remoting.GetMaxOffset, "topic", topic, "queueId", "1")); got.Code != remoting.Success {
		t.Errorf("the connection then answers code %d, %s", got.Code, got.Remark)
	}
}

// exception is our answer where the real broker runs into a Java exception, as it does over a field that is
// missing or no number. It says 1, on which a producer tries again; what can never work is refused for good.
const exception = "code 29"
