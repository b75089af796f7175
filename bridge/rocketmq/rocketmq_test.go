package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/bridge"
	"sluice/bridge/uplinktest"
	"sluice/gateway/message"
	"sluice/gateway/remoting"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newUplink(t *testing.T, nameServers ...string) *Uplink {
	t.Helper()
	o := DefaultOptions()
	o.NameServers = nameServers
	o.ConnectTimeout, o.SendTimeout = 2*time.Second, 2*time.Second
	u, err := New(o, "line-3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func connect(t *testing.T, u *Uplink) bridge.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := u.Connect(ctx)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestUplinkKeepsTheContract(t *testing.T) {
	uplinktest.Run(t, func(t *testing.T) uplinktest.Harness {
		s := startSim(t, 2)
		s.queues["plants"] = 4
		u := newUplink(t, s.names)
		u.options.SendTimeout = time.Minute // the contract decides when the line is lost
		return uplinktest.Harness{
			Uplink: u, Mute: s.setMute, SetUp: s.setUp,
			Refuse: func(payload string) { s.change(func() { s.refuse = payload }) },
			Received: func() (all []string) {
				for _, r := range s.have() {
					all = append(all, r.body)
				}
				return all
			},
		}
	})
}

func outgoing(topic, payload string, at int) *bridge.Outgoing {
	r := &message.Record{Position: message.Position(at), Message: message.Message{Topic: topic, Payload: []byte(payload), Time: 1795345665221, QoS: 1}}
	return &bridge.Outgoing{Topic: "plants/" + topic, Key: topic, Payload: r.Payload, QoS: 1, Origin: "line-3-1", Record: r}
}

// deliver sends messages and gives their answers in the order of the messages.
func deliver(t *testing.T, l bridge.Link, all ...*bridge.Outgoing) []error {
	t.Helper()
	got := make([]error, len(all))
	came := make(chan struct{}, len(all))
	for i, o := range all {
		if err := l.Send(t.Context(), o, func(err error) { got[i] = err; came <- struct{}{} }); err != nil {
			got[i] = err
			came <- struct{}{}
		}
	}
	for range all {
		select {
		case <-came:
		case <-time.After(10 * time.Second):
			t.Fatal("no answer within 10s")
		}
	}
	return got
}

func TestAKeyStaysInOneQueueAndKeysAreSpread(t *testing.T) {
	s := startSim(t, 2)
	s.queues["plants"] = 4
	l := connect(t, newUplink(t, s.names))
	var all []*bridge.Outgoing
	for i := range 400 {
		all = append(all, outgoing(fmt.Sprintf("readings/line-3/d%d", i%40), fmt.Sprint(i), i))
	}
	for i, err := range deliver(t, l, all...) {
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	place, used := map[string]string{}, map[string]bool{}
	for _, r := range s.have() {
		key, at := r.properties[originTopic], fmt.Sprint(r.broker, r.queue)
		if place[key] != "" && place[key] != at {
			t.Errorf("%s is in queue %s and in %s", key, place[key], at)
		}
		place[key], used[at] = at, true
	}
	if len(place) != 40 || len(used) != 8 {
		t.Errorf("%d keys are in %d queues, want 40 in all 8", len(place), len(used))
	}
	if n := s.asked(remoting.SendBatchMessage) + s.asked(remoting.SendMessageV2); n > 200 {
		t.Errorf("400 messages took %d requests", n)
	}
}

func TestTheMessageAtFaultIsRefusedAlone(t *testing.T) {
	s := startSim(t, 1)
	s.queues["plants"], s.refuse = 1, "unwanted"
	u := newUplink(t, s.names)
	u.options.Batch.Linger = 50 * time.Millisecond
	l := connect(t, u)
	got := deliver(t, l, outgoing("a", "1", 1), outgoing("a", "2", 2), outgoing("a", "unwanted", 3), outgoing("a", "4", 4))
	refused, ok := errors.AsType[*bridge.RefusedError](got[2])
	if got[0] != nil || got[1] != nil || !ok || refused.Retry || !errors.Is(got[3], bridge.ErrHeld) {
		t.Errorf("answers %v", got)
	}
	if len(s.have()) != 2 {
		t.Errorf("the broker has %+v", s.have())
	}
	if err := l.Err(); err != nil {
		t.Errorf("the link was lost over a refusal: %v", err)
	}
}

func TestAnswersMeanWhatBrokersMean(t *testing.T) {
	for _, c := range []struct {
		code        int
		remark      string
		want, says  string
		link        string
		sentAgainBy int
	}{
		{remoting.SlaveNotAvailable, "", "taken", "", "", 1},
		{remoting.FlushSlaveTimeout, "", "taken", "", "", 1},
		{remoting.FlushDiskTimeout, "", "broken", "FLUSH_DISK_TIMEOUT", "lost", 1},
		{remoting.SystemBusy, "broker busy", "taken", "", "", 3},
		{remoting.SystemError, "server is busy", "taken", "", "", 3},
		{remoting.SystemError, "no idea\njava.lang.Exception", "refused for now", "no idea)", "", 1},
		{remoting.ServiceNotAvailable, "disk full", "broken", "disk full", "lost", 1},
		{remoting.NoPermission, "no", "refused for now", "access_key", "", 1},
		{remoting.NoPermission, "User:line-3 has no permission to access Topic:plants from 10.0.0.7, decision:DENY", "refused for now", "has no permission", "", 1},
		{remoting.NoPermission, "User:line-3 is not found.", "broken", "see access_key", "lost", 1},
		{remoting.NoPermission, "check signature failed.", "broken", "see access_key", "lost", 1},
		{remoting.SystemError, "org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=line-3", "broken", "see access_key", "lost", 1},
		{remoting.SystemError, "org.apache.rocketmq.acl.common.AclException: No default permission for plants", "refused for now", "No default", "", 1},
		{remoting.TopicNotExist, "no", "refused for now", "updateTopic", "", 1},
		{remoting.MessageIllegal, "too large", "refused", "too large", "", 1},
		{4711, "", "refused for now", "4711", "", 1},
	} {
		t.Run(remoting.ResponseName(c.code)+c.want, func(t *testing.T) {
			s := startSim(t, 1)
			s.queues["plants"] = 1
			sent := 0
			s.quirk = func(request *remoting.Command) *remoting.Command {
				if request.Code != remoting.SendMessageV2 {
					return nil
				}
				if sent++; sent == 3 {
					return nil
				}
				return &remoting.Command{Code: c.code, Remark: c.remark}
			}
			l := connect(t, newUplink(t, s.names))
			err := deliver(t, l, outgoing("a", "1", 1))[0]
			got := "broken"
			if refused, ok := errors.AsType[*bridge.RefusedError](err); ok && refused.Retry {
				got = "refused for now"
			} else if ok {
				got = "refused"
			} else if err == nil {
				got = "taken"
			}
			if got != c.want || err != nil && !strings.Contains(err.Error(), c.says) || sent != c.sentAgainBy {
				t.Errorf("%s: %v after %d tries; want %s with %q after %d", got, err, sent, c.want, c.says, c.sentAgainBy)
			}
			if lost := l.Err() != nil; lost != (c.link == "lost") {
				t.Errorf("the link is lost: %v", l.Err())
			}
		})
	}
}

func TestABrokerThatIsSilentIsGone(t *testing.T) {
	s := startSim(t, 1)
	s.queues["plants"] = 1
	u := newUplink(t, s.names)
	u.options.SendTimeout = 300 * time.Millisecond
	l := connect(t, u)
	s.setMute(true)
	err := deliver(t, l, outgoing("a", "1", 1))[0]
	if err == nil || !strings.Contains(err.Error(), "has not answered SEND_MESSAGE_V2 within 300ms") || l.Err() == nil {
		t.Errorf("answer %v, link %v", err, l.Err())
	}
}

func TestASlowLineMayTakeItsTime(t *testing.T) {
	s := startSim(t, 1)
	s.change(func() { s.queues["plants"], s.slow = 1, true })
	u := newUplink(t, s.names)
	u.options.SendTimeout = time.Second
	l := connect(t, u)
	began := time.Now()
	if err := deliver(t, l, outgoing("a", strings.Repeat("x", 2<<20), 1))[0]; err != nil {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if took := time.Since(began); took < 2*u.options.SendTimeout {
		t.Errorf("the line was not slow: %v", took)
	}
}

func TestANameServerThatNeverShakesHandsIsGivenUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the system accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	u := newUplink(t, silent.Addr().String())
	u.options.Secured, u.options.ConnectTimeout = true, 300*time.Millisecond
	failed := make(chan error, 1)
	go func() {
		_, err := u.Connect(t.Context())
		failed <- err
	}()
	select {
	case err := <-failed:
		if err == nil || !strings.Contains(err.Error(), "no answer to the TLS handshake within ") {
			t.Errorf("connect: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the uplink waits for the handshake for ever")
	}
}

func TestTheNextNameServerIsAskedWhenOneIsGone(t *testing.T) {
	s := startSim(t, 1)
	s.queues["plants"] = 1
	l := connect(t, newUplink(t, "127.0.0.1:1", s.names))
	if err := deliver(t, l, outgoing("a", "1", 1))[0]; err != nil {
		t.Error(err)
	}
}

func TestMessagesGoToTheBrokersThatAreThere(t *testing.T) {
	s := startSim(t, 2)
	s.queues["plants"] = 2
	s.members[1].setUp(false)
	u := newUplink(t, s.names)
	l := connect(t, u)
	var all []*bridge.Outgoing
	for i := range 20 {
		all = append(all, outgoing(fmt.Sprint(i), "x", i))
	}
	for _, err := range deliver(t, l, all...) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range s.have() {
		if r.broker != "broker-b" {
			t.Errorf("a message is at %s", r.broker)
		}
	}
}

func TestALinkIsLostAtItsBrokerAndTheNextWaitsForIt(t *testing.T) {
	s := startSim(t, 1)
	s.queues["plants"] = 2
	u := newUplink(t, s.names)
	l := connect(t, u)
	deliver(t, l, outgoing("a", "1", 1))
	s.change(func() {
		for c := range s.conns {
			c.Close()
		}
	})
	s.members[1].setUp(false)
	select {
	case <-l.Lost():
	case <-time.After(5 * time.Second):
		t.Fatal("the link is not lost")
	}
	if l, err := u.Connect(t.Context()); err == nil {
		l.Close()
		t.Error("connected, although the only broker of the topic in use is gone")
	}
	s.members[1].setUp(true)
	if err := deliver(t, connect(t, u), outgoing("a", "2", 2))[0]; err != nil {
		t.Error(err)
	}
}

func TestATopicThatIsMissingIsMadeLikeTheTemplateOrRefused(t *testing.T) {
	s := startSim(t, 1)
	l := connect(t, newUplink(t, s.names))
	err := deliver(t, l, outgoing("a", "1", 1))[0]
	if refused, ok := errors.AsType[*bridge.RefusedError](err); !ok || !refused.Retry || !strings.Contains(refused.Reason, "no topic plants") {
		t.Errorf("without a template: %v", err)
	}
	s.change(func() { s.queues[templateTopic] = 8 })
	var all []*bridge.Outgoing
	for i := range 40 {
		all = append(all, outgoing(fmt.Sprint(i), "x", i))
	}
	for _, err := range deliver(t, l, all...) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range s.have() {
		if r.queue >= newQueues {
			t.Errorf("a message is for queue %d of a topic that gets %d", r.queue, newQueues)
		}
	}
}

func TestRequestsAreSigned(t *testing.T) {
	s := startSim(t, 1)
	s.queues["plants"] = 1
	wrong := 0
	s.quirk = func(c *remoting.Command) *remoting.Command {
		signed := c.Ext.Get("Signature")
		again := remoting.Command{Ext: append(remoting.Fields(nil), c.Ext...), Body: c.Body}
		again.Sign("gateway", "secret")
		if signed == "" || signed != again.Ext.Get("Signature") {
			wrong++
			return &remoting.Command{Code: remoting.NoPermission, Remark: "signature"}
		}
		return nil
	}
	u := newUplink(t, s.names)
	if l, err := u.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "secret_key_file") {
		t.Errorf("without a key: %v", err)
		l.Close()
	}
	u.options.AccessKey, u.options.SecretKeyFile = "gateway", writeFile(t, "secret\n")
	wrong = 0
	if err := deliver(t, connect(t, u), outgoing("a", "1", 1))[0]; err != nil || wrong > 0 {
		t.Errorf("with a key: %v, %d wrong signatures", err, wrong)
	}
}

func TestProbeTakesEachStep(t *testing.T) {
	s := startSim(t, 1)
	s.queues["sluice"] = 1
	var steps []string
	if err := newUplink(t, s.names).Probe(t.Context(), func(s bridge.Step) { steps = append(steps, s.Name) }); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(steps, ", ")
	if want := "port open, name server answered, port open, logged in, published, acknowledged"; !strings.HasSuffix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestALinkEndsWhenQueuesChangeAndRepeatsNothing(t *testing.T) {
	s := startSim(t, 1)
	s.queues["plants"] = 2
	u := newUplink(t, s.names)
	l := connect(t, u).(*link)
	if err := deliver(t, l, outgoing("a", "1", 1))[0]; err != nil {
		t.Fatal(err)
	}
	if err := l.lookAgain(t.Context()); err != nil {
		t.Errorf("nothing has changed, but %v", err)
	}
	arrived, held := make(chan bool, 9), make(chan bool)
	s.change(func() {
		s.queues["plants"] = 3
		s.quirk = func(c *remoting.Command) *remoting.Command {
			if c.Code == remoting.SendMessageV2 {
				arrived <- true
				<-held
			}
			return nil
		}
	})
	err := l.lookAgain(t.Context())
	if err == nil || !strings.Contains(err.Error(), "3 queues now, not 2") {
		t.Fatalf("a queue more: %v", err)
	}
	flying := make(chan error, 1)
	if err := l.Send(t.Context(), outgoing("a", "2", 2), func(err error) { flying <- err }); err != nil {
		t.Fatal(err)
	}
	<-arrived
	l.batches.Fail(err)
	close(held)
	if err := <-flying; err != nil {
		t.Errorf("what was in flight when the route changed is answered with %v", err)
	}
	l.Close()
	if err := deliver(t, connect(t, u), outgoing("a", "3", 3))[0]; err != nil || len(s.have()) != 3 {
		t.Errorf("afterwards: %v, %v", err, s.have())
	}
}

func TestMistakesInOptionsAreNamed(t *testing.T) {
	good := DefaultOptions()
	good.NameServers = []string{"10.0.0.5:9876"}
	for path, spoil := range map[string]func(*Options){
		"name_servers":    func(o *Options) { o.NameServers = nil },
		"name_servers[1]": func(o *Options) { o.NameServers = []string{"a:1", "tcp://a"} },
		"name_servers[0]": func(o *Options) { o.NameServers = []string{"a:70000"} },
		"tls":             func(o *Options) { o.TLS.ServerName = "x" },
		"access_key":      func(o *Options) { o.AccessKey = "x" },
		"group":           func(o *Options) { o.Group = "a b" },
		"send_timeout":    func(o *Options) { o.SendTimeout = 0 },
		"batch.count":     func(o *Options) { o.Batch.Count = 0 },
		"batch.bytes":     func(o *Options) { o.Batch.Bytes = 4 << 20 },
		"batch.linger":    func(o *Options) { o.Batch.Linger = -1 },
		"batch.parallel":  func(o *Options) { o.Batch.Parallel = 65 },
		"test_topic":      func(o *Options) { o.TestTopic = "a/#" },
	} {
		o := good
		spoil(&o)
		var got []string
		o.Validate(func(path, _ string) { got = append(got, path) })
		if len(got) != 1 || got[0] != path {
			t.Errorf("a mistake in %s is reported in %q", path, got)
		}
	}
	if _, err := New(good, "line-3", nil); err != nil {
		t.Error(err)
	}
}

func FuzzIncoming(f *testing.F) {
	f.Add([]byte("body"), int32(0), "originMqttTopic\x01a/b\x02extData\x01{\"x\":\"y\"}\x02")
	f.Add([]byte{0x78, 0x9c}, int32(remoting.SysCompressed), "IS_EMPTY_MSG\x01true")
	f.Fuzz(func(t *testing.T, body []byte, sysFlag int32, properties string) {
		in, err := incoming(&remoting.Stored{Body: body, SysFlag: sysFlag, Properties: properties}, "a")
		if err != nil {
			return
		}
		if message.QueueTopic(in.Topic) != "a" || message.CheckTopic(in.Topic) != nil {
			t.Errorf("topic %q", in.Topic)
		}
		for _, p := range in.Properties {
			if p.Name == "" || p.Name[0] == 0 {
				t.Errorf("a message from outside has the property %q", p.Name)
			}
		}
	})
}
