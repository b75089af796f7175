//go:build linux

package nighttest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sluice/bench/measure/remote"
	"sluice/gateway/remoting"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// rocketmqQueues is how many queues the topic of the readings has.
const rocketmqQueues = 4

// killedRocketMQ is Apache's broker with its name server. It syncs before it acknowledges, so both may be
// killed. While it runs what it has is counted; at the end it is pulled.
type killedRocketMQ struct {
	site site
	real *rocketmqtest.Real
	*record
	forget func() // ends the counting
}

func newRocketMQ(t *testing.T, s site) *killedRocketMQ {
	t.Helper()
	k := &killedRocketMQ{site: s, record: &record{path: filepath.Join(t.TempDir(), "received"), parse: withTopic}}
	k.real = rocketmqtest.Start(t, rocketmqtest.Options{
		In: s.do,
		// They listen on loopback, and are found where their door is.
		Broker:        map[string]string{"flushDiskType": "SYNC_FLUSH", "brokerIP1": cloudIP},
		BrokerJVM:     []string{"-Xms96m", "-Xmx256m", "-Xmn64m", "-XX:+UseSerialGC"},
		NameServerJVM: []string{"-Xms32m", "-Xmx64m"},
	})
	err := s.do(func() error {
		return remote.CreateTopic(t.Context(), k.real.Broker, k.real.NameServer, "plants", rocketmqQueues)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var counting sync.WaitGroup
	counting.Go(func() {
		for ctx.Err() == nil {
			k.follow(ctx) // until the broker is killed
			pause(ctx, 100*time.Millisecond)
		}
	})
	k.forget = func() { cancel(); counting.Wait() }
	t.Cleanup(k.forget)
	return k
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// follow counts what is stored as long as the broker answers. One that has just come back may not know
// of everything yet.
func (k *killedRocketMQ) follow(ctx context.Context) {
	conn, err := k.dial()
	if err != nil {
		return
	}
	defer conn.Close()
	for ctx.Err() == nil {
		stored, err := conn.Stored(ctx, "plants", rocketmqQueues)
		if err != nil {
			return
		}
		k.grow(max(0, int(stored)-k.count()))
		pause(ctx, 20*time.Millisecond)
	}
}

func (k *killedRocketMQ) dial() (conn *remote.Conn, err error) {
	err = k.site.do(func() error {
		conn, err = remote.Dial(k.real.Broker)
		return err
	})
	return conn, err
}

func (k *killedRocketMQ) rest(*testing.T)             { k.real.Stop() }
func (k *killedRocketMQ) comeBack(t *testing.T)       { k.real.Restart(t) }
func (k *killedRocketMQ) far() (rewinds, repeats int) { return 0, 0 }
func (k *killedRocketMQ) inOneOrder() bool            { return false }
func (k *killedRocketMQ) records() *record            { return k.record }
func (k *killedRocketMQ) refusals() []refusal         { return rocketmqRefusals() }

func (k *killedRocketMQ) front(t *testing.T, m manners) *door {
	return newRocketMQDoor(t, k.site, k.real.NameServer, k.real.Broker, m)
}

func (k *killedRocketMQ) uplink() []string {
	return []string{"driver: rocketmq", fmt.Sprintf("name_servers: [%q]", outside(k.real.NameServer)), "secured: true"}
}

// spent writes down what the broker has, in the order in which it came.
func (k *killedRocketMQ) spent(t *testing.T) {
	t.Helper()
	k.forget()
	conn, err := k.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all, err := everything(t.Context(), conn, "plants", rocketmqQueues)
	if err != nil {
		t.Fatal(err)
	}
	k.real.Stop()
	if len(all) != k.count() {
		t.Errorf("%d messages were pulled, and %d had been counted", len(all), k.count())
	}
	lines, problems := written(all)
	for _, problem := range problems[:min(len(problems), mostProblems)] {
		t.Error(problem)
	}
	if err := os.WriteFile(k.path, lines, 0o600); err != nil {
		t.Fatal(err)
	}
}

// written is a record of stored messages, which withTopic reads, and what is wrong about them: one
// message has one UNIQ_KEY however often it comes and no other has it, and what comes from one device
// is in one queue.
func written(all []remoting.Stored) (lines []byte, problems []string) {
	keys, bodies, queues := map[string]string{}, map[string]string{}, map[string]int32{}
	for _, m := range all {
		properties, err := remoting.ParseProperties(m.Properties)
		if err != nil {
			problems = append(problems, fmt.Sprintf("the properties of message %d of queue %d: %v", m.QueueOffset, m.QueueID, err))
			continue
		}
		named := map[string]string{}
		for _, p := range properties {
			named[p.Name] = p.Value
		}
		key, topic, body := named["UNIQ_KEY"], named["originMqttTopic"], string(m.Body)
		if before, again := keys[body]; again && before != key || key == "" {
			problems = append(problems, fmt.Sprintf("%.80s came with the keys %q and %q", body, before, key))
		}
		if before, again := bodies[key]; again && before != body {
			problems = append(problems, fmt.Sprintf("%s is the key of %.80s and of %.80s", key, before, body))
		}
		if before, again := queues[topic]; again && before != m.QueueID {
			problems = append(problems, fmt.Sprintf("%s is in the queues %d and %d", topic, before, m.QueueID))
		}
		keys[body], bodies[key], queues[topic] = key, body, m.QueueID
		lines = fmt.Appendf(lines, "%s %s\n", topic, body)
	}
	return lines, problems
}

// TestWhatRocketMQHasIsWrittenDown gives messages made by hand: QUEUE TOPIC KEY BODY.
func TestWhatRocketMQHasIsWrittenDown(t *testing.T) {
	message := func(queue int32, topic, key, body string) remoting.Stored {
		properties, err := remoting.AppendProperties(nil, []remoting.Property{{Name: "originMqttTopic", Value: topic}, {Name: "UNIQ_KEY", Value: key}})
		if err != nil {
			t.Fatal(err)
		}
		return remoting.Stored{QueueID: queue, Properties: string(properties), Body: []byte(body)}
	}
	good := []remoting.Stored{message(1, "p/a", "A1", "1"), message(2, "p/b", "B1", "one"), message(1, "p/a", "A1", "1"), message(1, "p/a", "A2", "2")}
	lines, problems := written(good)
	if want := "p/a 1\np/b one\np/a 1\np/a 2\n"; string(lines) != want || len(problems) > 0 {
		t.Errorf("got %q, %q\nwant %q", lines, problems, want)
	}
	for name, bad := range map[string]remoting.Stored{
		"a repeat with another key":  message(1, "p/a", "A3", "1"),
		"a key that another one has": message(1, "p/a", "A2", "3"),
		"a device in another queue":  message(2, "p/a", "A3", "3"),
		"a message without a key":    message(1, "p/a", "", "3"),
		"properties without an end":  {QueueID: 1, Properties: "UNIQ_KEY", Body: []byte("3")},
	} {
		if _, problems := written(append(good[:len(good):len(good)], bad)); len(problems) != 1 {
			t.Errorf("%s: found %q, want one problem", name, problems)
		}
	}
}
