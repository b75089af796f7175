package preset

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/bridge"
	"sluice/gateway/message"
)

// told gives what the packets from the n-th on are about: type, topic and sequence number.
func told(packets []string) (all []string) {
	for _, p := range packets {
		switch kind := p[0] >> 4; kind {
		case 3:
			start := 1
			for p[start] >= 0x80 { // the length ends with the first byte below it
				start++
			}
			body := p[start+1:]
			n := int(binary.BigEndian.Uint16([]byte(body)))
			levels := strings.Split(body[2:2+n], "/")
			said := fmt.Sprintf("%s q%d", levels[2], p[0]>>1&3)
			if len(levels) > 4 {
				said += " " + levels[4]
			}
			if levels[2] != "NDEATH" && body[len(body)-2] == 0x18 { // the field seq comes last
				said += fmt.Sprint(" ", body[len(body)-1])
			}
			all = append(all, said)
		case 8:
			all = append(all, "SUBSCRIBE "+p[6:len(p)-1])
		default:
			all = append(all, fmt.Sprint("type ", kind))
		}
	}
	return all
}

func node(t *testing.T) (*broker, *sparkplugUplink) {
	t.Helper()
	b := newBroker(t)
	o := Sparkplug{Address: "tcp://" + b.address, Group: "plant", Line: defaultLine()}
	opened, err := Kind{func() recipe { return &o }, quiet()}.Open("line-3", &o)
	if err != nil {
		t.Fatal(err)
	}
	return b, opened.(*sparkplugUplink)
}

func outgoing(r *message.Record) *bridge.Outgoing {
	return &bridge.Outgoing{Topic: r.Topic, Key: r.Topic, Payload: r.Payload, QoS: 1, Record: r}
}

// rebirth is an NCMD as a host sends it: Node Control/Rebirth, Boolean, true.
const rebirth = "\x12\x1a\x0a\x14Node Control/Rebirth\x20\x0b\x70\x01"

func TestASparkplugNodeLivesAndDies(t *testing.T) {
	b, u := node(t)
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, l, outgoing(press(1)))
	deliver(t, l, outgoing(press(2)))
	b.await(t, 6)
	b.push("spBv1.0/plant/NCMD/line-3", rebirth)
	b.await(t, 8)
	deliver(t, l, outgoing(press(3)))
	gone := message.Record{Message: message.Message{Topic: "status/line-3/press", Payload: []byte(`{"gateway":"line-3","device":"press","state":"offline","ts":1}`)}}
	deliver(t, l, outgoing(&gone))
	deliver(t, l, outgoing(&gone)) // it is dead already
	deliver(t, l, outgoing(press(4)))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	packets := b.await(t, 14)
	want := []string{
		"type 1", "SUBSCRIBE spBv1.0/plant/NCMD/line-3", "NBIRTH q0 0",
		"DBIRTH q0 press 1", "DDATA q1 press 2", "DDATA q1 press 3",
		"NBIRTH q0 0", "DBIRTH q0 press 1", // asked for
		"DDATA q1 press 2", "DDEATH q1 press 3", "DBIRTH q0 press 4", "DDATA q1 press 5",
		"NDEATH q0", "type 14",
	}
	if got := told(packets); !slices.Equal(got, want) {
		t.Errorf("the broker saw\n%q\nwant\n%q", got, want)
	}
	will := "\x00\x1bspBv1.0/plant/NDEATH/line-3"
	if !strings.Contains(packets[0], will) || packets[0][9]&0x3c != 0x0c { // a will, QoS 1, not retained
		t.Errorf("CONNECT is %q, want the will %q with QoS 1", packets[0], will)
	}
}

func TestASparkplugNodeIsBornAgainOnEveryConnection(t *testing.T) {
	b, u := node(t)
	var first string
	for turn := range 2 {
		l, err := u.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		deliver(t, l, outgoing(press(uint64(turn))))
		l.Close()
		packets := b.await(t, 7*(turn+1))[7*turn:]
		want := []string{"type 1", "SUBSCRIBE spBv1.0/plant/NCMD/line-3", "NBIRTH q0 0", "DBIRTH q0 press 1", "DDATA q1 press 2", "NDEATH q0", "type 14"}
		if got := told(packets); !slices.Equal(got, want) {
			t.Errorf("connection %d: the broker saw\n%q\nwant\n%q", turn, got, want)
		}
		// Births and death of one connection have the same number; the next has another.
		if packets[0] == first {
			t.Errorf("connection %d has the will of the one before: %q", turn, first)
		}
		first = packets[0]
	}
}

func TestWhatSparkplugCannotSayIsRefused(t *testing.T) {
	_, u := node(t)
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, r := range []message.Record{
		{Message: message.Message{Topic: "alarms/line-3/press", Payload: []byte("hot")}},
		{Message: message.Message{Topic: "status/line-3/press", Payload: []byte("hot")}},
	} {
		err := l.Send(t.Context(), outgoing(&r), func(error) { t.Error("done was called") })
		if _, refused := errors.AsType[*bridge.RefusedError](err); !refused {
			t.Errorf("%s is answered with %v", r.Topic, err)
		}
	}
}

func TestASparkplugCommandBecomesOneOfOurs(t *testing.T) {
	b, u := node(t)
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	came := make(chan bridge.Incoming, 2)
	err = l.(bridge.Receiver).Receive(t.Context(), "spBv1.0/plant/DCMD/line-3/+", func(_ context.Context, m *bridge.Incoming) error {
		came <- *m
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const setPoint = "\x12\x11\x0a\x08setpoint\x20\x0c\x7a\x03low" // String
	b.push("spBv1.0/plant/DCMD/line-3/press", "not Sparkplug")
	b.push("spBv1.0/plant/DCMD/line-3/press", setPoint)
	m := <-came
	if m.Topic != "spBv1.0/plant/DCMD/line-3/press" || !strings.HasPrefix(string(m.Payload), `{"id":"sparkplug-`) ||
		!strings.HasSuffix(string(m.Payload), `","write":{"setpoint":"low"}}`) {
		t.Errorf("the command is %s on %s", m.Payload, m.Topic)
	}
}

func TestATestDoesNotEndTheSparkplugSession(t *testing.T) {
	b, u := node(t)
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := u.Probe(t.Context(), func(bridge.Step) {}); err != nil {
		t.Fatal(err)
	}
	deliver(t, l, outgoing(press(1)))
	for _, p := range b.await(t, 8) {
		if strings.Contains(p, "line-3-test") && strings.Contains(p, "NDEATH") {
			t.Errorf("the test has a will: %q", p)
		}
	}
}
