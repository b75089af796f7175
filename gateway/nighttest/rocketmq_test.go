//go:build linux

package nighttest

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/remoting"
)

// rocketProducer sends numbered messages into a queue of its own, many under way, through all lives of the
// gateway. Every seventh is delayed by a second, every eleventh a half message that is committed.
type rocketProducer struct {
	queue    int
	next     int
	answered map[string]bool // bodies whose sending, and commit, was acknowledged
}

const rocketTopic = "kills"

// run sends until the connection ends.
func (p *rocketProducer) run(conn net.Conn) {
	defer conn.Close()
	type sent struct {
		body string
		half bool
	}
	var mu sync.Mutex // guards waits and writing
	waits := make(map[int32]sent)
	window := make(chan struct{}, 32)
	write := func(c *remoting.Command, s sent) error {
		mu.Lock()
		defer mu.Unlock()
		waits[c.Opaque] = s
		b, err := c.Append(nil)
		if err == nil {
			_, err = conn.Write(b)
		}
		return err
	}
	ended := make(chan struct{})
	opaque := int32(0)
	go func() {
		defer close(ended)
		in := bufio.NewReader(conn)
		for ends := int32(1 << 30); ; ends++ {
			var answer remoting.Command
			if remoting.Read(in, remoting.MaxFrame, &answer) != nil {
				return
			}
			mu.Lock()
			s := waits[answer.Opaque]
			delete(waits, answer.Opaque)
			mu.Unlock()
			switch {
			case answer.Code != remoting.Success:
				<-window
			case s.half:
				_, at, err := remoting.ParseOffsetID(answer.Ext.Get("msgId"))
				if err != nil || write(&remoting.Command{Code: remoting.EndTransaction, Opaque: ends, Ext: remoting.Fields{
					{Name: "producerGroup", Value: "killers"}, {Name: "commitOrRollback", Value: "8"}, {Name: "msgId", Value: "x"},
					{Name: "commitLogOffset", Value: strconv.FormatUint(at, 10)}, {Name: "tranStateTableOffset", Value: answer.Ext.Get("queueOffset")},
				}}, sent{body: s.body}) != nil {
					return
				}
			default:
				p.answered[s.body] = true
				<-window
			}
		}
	}()
	for {
		select {
		case window <- struct{}{}:
		case <-ended:
			return
		}
		p.next++
		opaque++
		body, properties, half := fmt.Sprintf("plain %d", p.next), "", false
		switch {
		case p.next%7 == 0:
			body, properties = fmt.Sprintf("delayed %d", p.next), "DELAY\x011\x02"
		case p.next%11 == 0:
			body, properties, half = fmt.Sprintf("half %d", p.next), "TRAN_MSG\x01true\x02PGROUP\x01killers\x02", true
		}
		flags := "0"
		if half {
			flags = "4"
		}
		if write(&remoting.Command{Code: remoting.SendMessage, Opaque: opaque, Body: []byte(body), Ext: remoting.Fields{
			{Name: "producerGroup", Value: "killers"}, {Name: "topic", Value: rocketTopic}, {Name: "defaultTopic", Value: "TBW102"}, {Name: "defaultTopicQueueNums", Value: "4"},
			{Name: "queueId", Value: strconv.Itoa(p.queue)}, {Name: "sysFlag", Value: flags}, {Name: "bornTimestamp", Value: "1"}, {Name: "flag", Value: "0"},
			{Name: "properties", Value: properties},
		}}, sent{body, half}) != nil {
			<-ended
			return
		}
	}
}

// rocketBodies reads a queue from its beginning on.
func rocketBodies(t *testing.T, conn net.Conn, queue int) (bodies []string) {
	t.Helper()
	in := bufio.NewReader(conn)
	for next := "0"; ; {
		b, err := (&remoting.Command{Code: remoting.PullMessage, Opaque: 1, Ext: remoting.Fields{
			{Name: "consumerGroup", Value: "judge"}, {Name: "topic", Value: rocketTopic}, {Name: "queueId", Value: strconv.Itoa(queue)}, {Name: "queueOffset", Value: next},
			{Name: "maxMsgNums", Value: "32"}, {Name: "sysFlag", Value: "4"}, {Name: "subscription", Value: "*"},
		}}).Append(nil)
		if err == nil {
			_, err = conn.Write(b)
		}
		var answer remoting.Command
		if err == nil {
			err = remoting.Read(in, remoting.MaxFrame, &answer)
		}
		if err != nil {
			t.Fatal(err)
		}
		if answer.Code == remoting.PullNotFound {
			return bodies
		}
		if answer.Code != remoting.Success {
			t.Fatalf("pulling from %s: code %d, %s", next, answer.Code, answer.Remark)
		}
		next = answer.Ext.Get("nextBeginOffset")
		for rest := answer.Body; len(rest) > 0; {
			var m remoting.Stored
			if m, rest, err = remoting.ParseStored(rest); err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, string(m.Body))
		}
	}
}

// TestRocketMQSurvivesKills kills the gateway while producers send, with delays and transactions among what
// they send. What was acknowledged is there; what is plain is there once, in order.
func TestRocketMQSurvivesKills(t *testing.T) {
	cycles := 6
	if os.Getenv("SLUICE_LONG") == "1" {
		cycles = 50
	}
	web, address := freeAddress(t), freeAddress(t)
	g := newGateway(t, site{}, web, fmt.Sprintf("gateway: {name: killed}\nstore: {dir: \"{dir}/data\"}\nweb: {listen: %q}\nrocketmq: {listen: %q, nameserver: \"\"}\n", web, address))
	producers := make([]*rocketProducer, 3)
	for i := range producers {
		producers[i] = &rocketProducer{queue: i, answered: make(map[string]bool)}
	}
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for range cycles {
		g.start(t)
		var all sync.WaitGroup
		for _, p := range producers {
			conn := dial()
			all.Go(func() { p.run(conn) })
		}
		time.Sleep(200*time.Millisecond + rand.N(time.Second)) // the moment of the kill
		g.kill(t)
		all.Wait()
	}
	g.start(t)
	acknowledged := 0
	for _, p := range producers {
		acknowledged += len(p.answered)
		var missing []string
		defer func() {
			if t.Failed() {
				t.Logf("queue %d: of %d acknowledged %d are missing, such as %.10q", p.queue, len(p.answered), len(missing), missing)
			}
		}()
		until(t, 30*time.Second, "what was delayed and committed", func() bool {
			conn := dial()
			defer conn.Close()
			bodies := rocketBodies(t, conn, p.queue)
			there, last := make(map[string]bool), 0
			for _, body := range bodies {
				if kind, number, _ := strings.Cut(body, " "); kind == "plain" {
					n, err := strconv.Atoi(number)
					if err != nil || n <= last {
						t.Fatalf("queue %d has %q behind plain %d", p.queue, body, last)
					}
					last = n
				}
				there[body] = true
			}
			missing = missing[:0]
			for body := range p.answered {
				if !there[body] {
					missing = append(missing, body)
				}
			}
			return len(missing) == 0
		})
	}
	t.Logf("%d kills, %d acknowledged messages, all there", cycles, acknowledged)
	g.stop(t)
}
