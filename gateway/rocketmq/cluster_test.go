package rocketmq

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/remoting"
	"sluice/gateway/rocketmq/acl"
)

// names is a name server as small as it can be, behind pipes.
type names struct {
	t *testing.T

	mu       sync.Mutex // guards what follows
	away     error      // what dialling it ends with
	silent   bool       // it answers nothing
	changed  string     // its answer to QUERY_DATA_VERSION
	holder   string     // the address that it knows under the broker's name; empty: ours
	no       int        // the code that it answers registrations with
	dialled  int
	asked    []int // codes, in the order that they came
	moved    int   // bytes
	last     *remoting.Command
	lines    []net.Conn
	accounts *acl.List
}

func (n *names) dial(context.Context, string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialled++
	if n.away != nil {
		return nil, n.away
	}
	ours, theirs := net.Pipe()
	n.lines = append(n.lines, theirs)
	go n.serve(theirs)
	return ours, nil
}

func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		request := new(remoting.Command)
		if remoting.Read(in, remoting.MaxFrame, request) != nil {
			return
		}
		if answer := n.answer(request); answer != nil {
			frame := frameOf(n.t, answer)
			n.set(func() { n.moved += len(frame) + len(frameOf(n.t, request)) })
			if _, err := conn.Write(frame); err != nil {
				return
			}
		}
	}
}

func (n *names) answer(request *remoting.Command) *remoting.Command {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, request.Code)
	if n.silent {
		return nil
	}
	answer := &remoting.Command{Opaque: request.Opaque, Flag: remoting.FlagResponse}
	if n.accounts != nil {
		if _, err := n.accounts.Authenticate(request.Ext.All(), request.Body, request.Version); err != nil {
			answer.Code, answer.Remark = remoting.NoPermission, err.Error()
			return answer
		}
	}
	switch request.Code {
	case remoting.RegisterBroker:
		n.last = request
		answer.Code, answer.Remark = n.no, "because"
	case remoting.QueryDataVersion:
		answer.Ext.Set("changed", n.changed)
	case remoting.GetRouteInfoByTopic:
		if n.holder == "" {
			answer.Code = remoting.TopicNotExist
		}
		answer.Body = fmt.Appendf(nil, `{"brokerDatas":[{"brokerName":"other","brokerAddrs":{"0":"10.9.9.9:1"}},{"brokerName":"line-3","brokerAddrs":{"0":%q}}]}`, n.holder)
	}
	return answer
}

// set changes how it behaves, and cut ends its connections.
func (n *names) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *names) cut() {
	n.set(func() {
		for _, conn := range n.lines {
			conn.Close()
		}
		n.lines = nil
	})
}

// heard gives how often a code was asked since the last time, and how often all others.
func (n *names) heard(code int) (these, others int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.asked {
		switch one {
		case code:
			these++
		case remoting.GetRouteInfoByTopic:
		default:
			others++
		}
	}
	n.asked = nil
	return these, others
}

func frameOf(t *testing.T, c *remoting.Command) []byte {
	b, err := c.Append(nil)
	if err != nil {
		t.Error(err)
	}
	return b
}

// bubble runs the registration with one name server inside of a bubble.
type bubble struct {
	*cluster
	names *names
	text  *bytes.Buffer
	stop  func()

	mu    sync.Mutex // guards table
	table map[string]topicConfig
}

func (j *bubble) topic(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.table[name] = topicConfig{Name: name, Read: 4, Write: 4, Permission: 6}
}

func join(t *testing.T, prepare ...func(*bubble)) *bubble {
	j := &bubble{names: &names{t: t, changed: "false"}, text: new(bytes.Buffer), table: make(map[string]topicConfig)}
	j.topic("DefaultCluster")
	j.topic("line-3")
	var logging sync.Mutex
	j.cluster = &cluster{
		join: Join{NameServers: []string{"names:9876"}}, name: "DefaultCluster", broker: "line-3",
		log: slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
			logging.Lock()
			defer logging.Unlock()
			return j.text.Write(b)
		}), nil)),
		dial: j.names.dial, reachable: func(net.Addr) string { return "192.168.1.20:10911" }, changed: make(chan struct{}, 1),
		topics: func() map[string]topicConfig {
			j.mu.Lock()
			defer j.mu.Unlock()
			copied := make(map[string]topicConfig)
			for name, one := range j.table {
				copied[name] = one
			}
			return copied
		},
	}
	for _, each := range prepare {
		each(j)
	}
	j.enlist()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		j.run(ctx)
		close(ended)
	}()
	j.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(j.stop)
	return j
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func (j *bubble) state() Registration { return j.registrars[0].state() }

func (j *bubble) logged() int {
	synctest.Wait()
	return strings.Count(j.text.String(), "\n")
}

// dialled is how often the name server was called.
func (j *bubble) dialled() int {
	synctest.Wait()
	return j.names.dialled
}

func TestARegistrationSaysWhoWeAreAndWhatWeHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t)
		synctest.Wait()
		got := j.state()
		if got.State != Registered || got.Broker != "192.168.1.20:10911" || got.Error != "" || !got.Since.Equal(time.Now()) {
			t.Errorf("the state is %+v", got)
		}
		request := j.names.last
		for name, want := range map[string]string{
			"brokerName": "line-3", "brokerAddr": "192.168.1.20:10911", "clusterName": "DefaultCluster", "brokerId": "0", "compressed": "false",
			"bodyCrc32": strconv.Itoa(int(crc32.ChecksumIEEE(request.Body) & 0x7fffffff)),
		} {
			if got := request.Ext.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		var body struct {
			Wrapper struct {
				Version dataVersion            `json:"dataVersion"`
				Topics  map[string]topicConfig `json:"topicConfigTable"`
			} `json:"topicConfigSerializeWrapper"`
		}
		if err := json.Unmarshal(request.Body, &body); err != nil {
			t.Fatal(err)
		}
		if w := body.Wrapper; len(w.Topics) != 2 || w.Topics["line-3"].Read != 4 || w.Version.Counter != 1 || w.Version.Timestamp != time.Now().UnixMilli() {
			t.Errorf("the body says %+v", w)
		}
	})
}

func TestANewTopicIsRegisteredSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t)
		synctest.Wait()
		j.names.heard(0)
		j.topic("orders") // a message has made it
		time.Sleep(lookEvery)
		synctest.Wait()
		if registered, others := j.names.heard(remoting.RegisterBroker); registered != 1 || others != 0 {
			t.Errorf("%d registrations and %d others within a second, want 1", registered, others)
		}
		j.topic("recipes") // a tool has made it
		wake(j.changed)
		synctest.Wait()
		if registered, _ := j.names.heard(remoting.RegisterBroker); registered != 1 {
			t.Errorf("%d registrations at once, want 1", registered)
		}
		time.Sleep(5 * time.Second)
		if registered, others := j.names.heard(remoting.RegisterBroker); registered+others != 0 {
			t.Errorf("%d requests although nothing has changed", registered+others)
		}
	})
}

func TestStayingRegisteredCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t)
		synctest.Wait()
		j.names.heard(0)
		time.Sleep(time.Hour)
		full, asked := j.names.heard(remoting.RegisterBroker)
		if full < 6 || full > 7 || full+asked < 120 || full+asked > 134 {
			t.Errorf("%d registrations and %d questions in an hour, want one every ten minutes among one every 30 s", full, asked)
		}
		if j.logged() != 1 {
			t.Errorf("%d lines were logged, want 1:\n%s", j.logged(), j.text)
		}
		synctest.Wait()
		t.Logf("%d bytes were sent and received in this hour", j.names.moved)
	})
}

func TestANameServerThatForgotIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t)
		synctest.Wait()
		j.names.heard(0)
		j.names.set(func() { j.names.changed = "true" })
		time.Sleep(refreshEvery)
		synctest.Wait()
		if full, asked := j.names.heard(remoting.RegisterBroker); full != 1 || asked != 1 {
			t.Errorf("%d registrations after %d questions, want 1 after 1", full, asked)
		}
	})
}

func TestAnAbsentNameServerIsTriedWithGrowingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, func(j *bubble) { j.names.away = errors.New("connection refused") })
		time.Sleep(time.Hour)
		if n := j.dialled(); n < 120 || n > 250 {
			t.Errorf("dialled %d times in an hour, want one try in 15 to 30 s", n)
		}
		if got := j.state(); got.State != Unreachable || !strings.Contains(got.Error, "connection refused") || time.Since(got.Since) < 59*time.Minute {
			t.Errorf("the state is %+v", got)
		}
		j.names.set(func() { j.names.away = nil })
		time.Sleep(longestRest)
		synctest.Wait()
		if got := j.state(); got.State != Registered || got.Error != "" {
			t.Errorf("the state is %+v after it came back", got)
		}
		if j.logged() != 2 {
			t.Errorf("%d lines were logged, want one for each change:\n%s", j.logged(), j.text)
		}
	})
}

func TestABrokenConnectionIsMadeAnewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t)
		time.Sleep(time.Hour)
		j.names.heard(0)
		j.names.cut()
		time.Sleep(firstRest)
		synctest.Wait()
		if got := j.state(); got.State != Registered || time.Since(got.Since) > firstRest {
			t.Errorf("the state is %+v", got)
		}
		if full, _ := j.names.heard(remoting.RegisterBroker); full != 1 {
			t.Errorf("%d registrations, want 1", full)
		}
	})
}

func TestANameServerThatHangsUpIsNotPestered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t)
		for range 3600 {
			j.names.cut()
			time.Sleep(time.Second)
		}
		if n := j.dialled(); n > 250 {
			t.Errorf("dialled %d times in an hour", n)
		}
	})
}

func TestASilentNameServerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, func(j *bubble) { j.names.silent = true })
		time.Sleep(askLimit + time.Millisecond)
		if got := j.state(); got.State != Unreachable || !strings.Contains(got.Error, "no answer") {
			t.Errorf("the state is %+v", got)
		}
	})
}

func TestStoppingTakesTheRegistrationBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t)
		synctest.Wait()
		j.names.heard(0)
		began := time.Now()
		j.stop()
		if taken, _ := j.names.heard(remoting.UnregisterBroker); taken != 1 || time.Since(began) != 0 {
			t.Errorf("%d requests to take it back, after %v", taken, time.Since(began))
		}
	})
	synctest.Test(t, func(t *testing.T) { // nobody waits long for one that does not answer
		j := join(t)
		synctest.Wait()
		j.names.set(func() { j.names.silent = true })
		began := time.Now()
		j.stop()
		if took := time.Since(began); took != leaveLimit {
			t.Errorf("stopping took %v, want %v", took, leaveLimit)
		}
	})
}

func TestARefusalIsShown(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*bubble)
		want    string
	}{
		{"it says no", func(j *bubble) { j.names.no = remoting.SystemError }, "SYSTEM_ERROR: because"},
		{"the name is taken", func(j *bubble) { j.names.holder = "192.168.1.30:10911" }, `"line-3" belongs to "192.168.1.30:10911"`},
		{"no keys", func(j *bubble) { j.names.accounts = accounts(t) }, "NO_PERMISSION"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := join(t, c.prepare)
				time.Sleep(time.Hour)
				if got := j.state(); got.State != Refused || !strings.Contains(got.Error, c.want) {
					t.Errorf("the state is %+v, want it to say %q", got, c.want)
				}
				if n := j.dialled(); n > 250 {
					t.Errorf("dialled %d times in an hour", n)
				}
				j.names.heard(0)
				j.stop()
				if taken, _ := j.names.heard(remoting.UnregisterBroker); taken != 0 {
					t.Error("what another broker has registered was taken back")
				}
			})
		})
	}
}

func TestANameThatIsTakenLaterIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t)
		synctest.Wait()
		j.names.set(func() { j.names.holder = "192.168.1.30:10911" })
		time.Sleep(fullEvery * refreshEvery)
		synctest.Wait()
		if got := j.state(); got.State != Refused {
			t.Errorf("the state is %+v", got)
		}
		j.names.set(func() { j.names.holder = "192.168.1.20:10911" })
		time.Sleep(longestRest)
		synctest.Wait()
		if got := j.state(); got.State != Registered {
			t.Errorf("the state is %+v after the name was free", got)
		}
	})
}

func accounts(t *testing.T) *acl.List {
	list, err := acl.New([]acl.Account{{AccessKey: "gateway", SecretKey: "a secret", Admin: true}})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestRegistrationsAreSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, func(j *bubble) {
			j.names.accounts = accounts(t)
			j.join.Account = acl.Account{AccessKey: "gateway", SecretKey: "a secret"}
		})
		synctest.Wait()
		if got := j.state(); got.State != Registered {
			t.Errorf("the state is %+v", got)
		}
		j.topic("orders")
		time.Sleep(2 * refreshEvery)
		synctest.Wait()
		if got := j.state(); got.State != Registered || !slices.Contains(j.names.asked, remoting.QueryDataVersion) {
			t.Errorf("the state is %+v after %v", got, j.names.asked)
		}
	})
}

func FuzzBrokerAt(f *testing.F) {
	f.Add([]byte(`{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911"},"brokerName":"b","cluster":"c"}],"queueDatas":[]}`))
	f.Add([]byte(`{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"b"}]}`))
	f.Add([]byte(`{"brokerDatas":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if at := brokerAt(body, "b"); at != "" && !json.Valid(body) {
			t.Errorf("%q is no JSON and says %q", body, at)
		}
	})
}
