package uplinktest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/gateway/message"
)

// MQTT is one of the two MQTT uplinks, for what both must do.
type MQTT struct {
	// Open makes an uplink of the gateway line-3.
	Open func(t testing.TB, o MQTTOptions) bridge.Uplink
	// Login has the code with which a broker refuses a login, by the words that this must give.
	Login map[string]byte
	// SaysNo is set if a message that comes down and is not taken is answered so.
	SaysNo bool
	// Load is how many readings make a load: fewer where one message of a topic waits for the one before.
	Load uint64
	// AckedLate is how many get through nevertheless where each is acknowledged late.
	AckedLate uint64
	// Close may take as long when the line is stuck.
	Close time.Duration
}

// MQTTOptions are those that differ from the default.
type MQTTOptions struct {
	Address, Username, PasswordFile string
	ConnectTimeout                  time.Duration
	CA, Cert, Key, ServerName       string
}

// notAuthorised is in Login.
const notAuthorised = "not authorised"

// RunMQTT holds an MQTT uplink against the contract, against what both of them promise beyond it, and against mosquitto.
func RunMQTT(t *testing.T, m MQTT) {
	t.Run("Contract", func(t *testing.T) { Run(t, m.harness) })
	t.Run("ConnectSaysInPlainWordsWhatIsWrong", m.connectSaysWhatIsWrong)
	t.Run("LoginIsSentAsConfigured", m.loginIsSent)
	t.Run("MessagesComeDownAndAreAcknowledgedOnlyWhenTaken", m.messagesComeDown)
	t.Run("ARefusedSubscriptionLeavesTheLinkAlive", m.subscriptionIsRefused)
	t.Run("SendWaitsForRoomButNotLongerThanItsContext", m.sendWaitsForRoom)
	t.Run("QoS0IsDoneWhenItIsWritten", m.qos0IsDone)
	t.Run("EveryFaultOfTheCloudIsSurvived", m.survivesFaults)
	t.Run("OverTLS", m.overTLS)
	t.Run("MosquittoGoesAwayAndComesBack", m.mosquittoGoesAway)
	t.Run("MosquittoSendsCommandsDown", m.mosquittoSendsDown)
	t.Run("MosquittoOverWebSocket", m.overWebSocket)
}

func (m MQTT) to(t testing.TB, address string) bridge.Uplink {
	return m.Open(t, MQTTOptions{Address: address})
}

// carries lets a load through.
func (m MQTT) carries(t *testing.T, o MQTTOptions) {
	var source Readings
	Forward(t, m.Open(t, o), &source, nil)
	source.Advance(t, 4*m.Load)
	source.Finish(t)
}

func (m MQTT) harness(t *testing.T) Harness {
	var taken Book
	cloud := StartCloud(t, cloudsim.Options{Taken: taken.Add, Record: t.TempDir() + "/taken"})
	return Harness{
		Uplink:   m.to(t, "tcp://"+cloud.Addr().String()),
		Received: taken.All,
		Mute:     func(mute bool) { cloud.SetFaults(cloudsim.Faults{NoAck: mute}) },
		SetUp:    cloud.SetUp,
	}
}

func (m MQTT) connectSaysWhatIsWrong(t *testing.T) {
	cloud := StartCloud(t, cloudsim.Options{})
	there := cloud.Addr().String()
	type mistake struct {
		name, address string
		faults        cloudsim.Faults
		want          string
	}
	mistakes := []mistake{
		{"refused", "tcp://127.0.0.1:1", cloudsim.Faults{}, "nobody listens"},
		{"no such name", "tcp://no-such-host.invalid:1883", cloudsim.Faults{}, "cannot be found"},
		{"silent", "tcp://" + there, cloudsim.Faults{Silent: true}, "no answer"},
		{"no TLS there", "ssl://" + there, cloudsim.Faults{}, "closed the connection"},
		{"no WebSocket there", "ws://" + there + "/mqtt", cloudsim.Faults{}, "closed"},
	}
	for words, code := range m.Login {
		mistakes = append(mistakes, mistake{words, "tcp://" + there, cloudsim.Faults{RefuseLogin: code}, words})
	}
	for _, c := range mistakes {
		t.Run(c.name, func(t *testing.T) {
			cloud.SetFaults(c.faults)
			refuses(t, m.Open(t, MQTTOptions{Address: c.address, ConnectTimeout: time.Second}), c.want)
		})
	}
}

func (m MQTT) loginIsSent(t *testing.T) {
	dir := t.TempDir()
	Write(t, dir+"/password", "secret\n")
	var got [3]string
	cloud := StartCloud(t, cloudsim.Options{Login: func(id, user, password string) byte {
		got = [3]string{id, user, password}
		return 0
	}})
	o := MQTTOptions{Address: "tcp://" + cloud.Addr().String(), Username: "sluice", PasswordFile: dir + "/password"}
	l, err := m.Open(t, o).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if want := [3]string{"line-3", "sluice", "secret"}; got != want {
		t.Errorf("login was %q, want %q", got, want)
	}
	o.PasswordFile = dir + "/missing"
	refuses(t, m.Open(t, o), "password")
}

func (m MQTT) messagesComeDown(t *testing.T) {
	cloud := StartCloud(t, cloudsim.Options{})
	l := Connect(t, m.to(t, "tcp://"+cloud.Addr().String()))
	var taken Book
	var retained sync.Map
	deliver := func(_ context.Context, m *bridge.Incoming) error {
		taken.Add(m.Topic, []byte(m.Topic+" "+string(m.Payload)))
		retained.Store(string(m.Payload), m.Retained)
		if string(m.Payload) == "no" {
			return message.ErrFull
		}
		return nil
	}
	if err := l.(bridge.Receiver).Receive(t.Context(), "commands/+", deliver); err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"1", "no", "2"} {
		if n := cloud.Publish("commands/press", []byte(payload), 1, payload == "2"); n != 1 {
			t.Fatalf("the message went to %d connections, want 1", n)
		}
	}
	if n := cloud.Publish("elsewhere", []byte("x"), 1, false); n != 0 {
		t.Errorf("a message that nobody asked for went to %d connections", n)
	}
	Eventually(t, "two messages are acknowledged, and the third is not", func() bool {
		s := cloud.Stats()
		return s.PushedAcked == 2 && (s.PushedNot == 1) == m.SaysNo
	})
	if got, want := taken.All(), []string{"commands/press 1", "commands/press no", "commands/press 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if first, _ := retained.Load("1"); first != false {
		t.Error("a live message came as retained")
	}
	if last, _ := retained.Load("2"); last != true {
		t.Error("a retained message did not come as such")
	}
}

func (m MQTT) subscriptionIsRefused(t *testing.T) {
	cloud := StartCloud(t, cloudsim.Options{})
	cloud.SetFaults(cloudsim.Faults{RefuseSubscribe: true})
	l := Connect(t, m.to(t, "tcp://"+cloud.Addr().String()))
	err := l.(bridge.Receiver).Receive(t.Context(), "commands/+", nil)
	if err == nil || !strings.Contains(err.Error(), "refuses the subscription") {
		t.Errorf("got %v", err)
	}
	if l.Err() != nil {
		t.Errorf("the link was lost: %v", l.Err())
	}
}

func (m MQTT) sendWaitsForRoom(t *testing.T) {
	cloud := StartCloud(t, cloudsim.Options{})
	l := Connect(t, m.to(t, "tcp://"+cloud.Addr().String()))
	cloud.SetFaults(cloudsim.Faults{BytesPerSecond: 1000}) // the line soon takes nothing any more
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	big := message.Record{Message: message.Message{Payload: make([]byte, 200<<10)}}
	var answered sync.WaitGroup
	for i := 0; ; i++ {
		answered.Add(1)
		if err := l.Send(ctx, &bridge.Outgoing{Topic: "big", Key: fmt.Sprint(i), Payload: big.Payload, QoS: 1, Record: &big}, func(error) { answered.Done() }); err != nil {
			answered.Done()
			if ctx.Err() == nil {
				t.Fatalf("message %d: %v", i, err)
			}
			break
		}
		if i > 1000 {
			t.Fatal("200 MB fit into a line of 1 kB/s")
		}
	}
	from := time.Now()
	l.Close()
	answered.Wait()
	if took := time.Since(from); took > m.Close+2*time.Second {
		t.Errorf("closing a line that is stuck took %s", took)
	}
}

func (m MQTT) qos0IsDone(t *testing.T) {
	var taken Book
	cloud := StartCloud(t, cloudsim.Options{Taken: taken.Add})
	l := Connect(t, m.to(t, "tcp://"+cloud.Addr().String()))
	done := make(chan error, 1)
	r := message.Record{Message: message.Message{Payload: []byte("x")}}
	if err := l.Send(t.Context(), &bridge.Outgoing{Topic: "a", Payload: r.Payload, Record: &r}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("answered with %v", err)
	}
	Eventually(t, "it has arrived", func() bool { return len(taken.All()) == 1 })
	if got := cloud.Stats().Acked; got != 0 {
		t.Errorf("%d acknowledgements for QoS 0", got)
	}
}

func (m MQTT) mosquittoGoesAway(t *testing.T) {
	cloud := StartMosquitto(t, "")
	var source Readings
	f := Forward(t, m.to(t, "tcp://"+cloud.Address), &source, nil)
	var check cloudsim.Checker
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM} {
		stop := cloud.subscribe(t, &check)
		source.Advance(t, m.Load)
		Eventually(t, "the subscriber sees it", func() bool { return check.Report().Received > 100 })
		cloud.end(signal)
		stop()
		Eventually(t, "the forwarder notices, and says what is wrong", func() bool {
			s := f.State()
			return s.State != bridge.Online && s.LastError != ""
		})
		cloud.start()
	}
	source.Advance(t, m.Load)
	source.Finish(t)
	s := f.State()
	if s.State != bridge.Online || s.LastError != "" {
		t.Errorf("at the end the state is %+v", s)
	}
	// The subscriber is not there all the time, so seqs are missing; but never may one be overtaken,
	// and no cut may repeat more than the window.
	r := check.Report()
	if r.Reordered != 0 || r.LongestRepeat > 100 {
		t.Errorf("the subscriber saw %d out of order and %d repeats in a row", r.Reordered, r.LongestRepeat)
	}
}

func (m MQTT) mosquittoSendsDown(t *testing.T) {
	cloud := StartMosquitto(t, "")
	publish := Peer(t, "mosquitto_pub")
	var taken Book
	var source Readings
	Forward(t, m.to(t, "tcp://"+cloud.Address), &source, func(f *bridge.Forwarder) {
		f.Receive = []bridge.ReceiveRoute{{From: "plants/commands/{gateway}/+", To: "commands/{gateway}/{device}"}}
		f.Deliver = func(_ context.Context, topic string, m *bridge.Incoming) error {
			taken.Add(topic, []byte(topic+" "+string(m.Payload)))
			return nil
		}
	})
	source.Advance(t, 1)
	Eventually(t, "a command comes through", func() bool {
		out, err := exec.Command(publish, "-p", fmt.Sprint(cloud.Port), "-q", "1", "-t", "plants/commands/line-3/press", "-m", "go").CombinedOutput()
		if err != nil {
			t.Fatalf("mosquitto_pub: %v: %s", err, out)
		}
		return len(taken.All()) > 0
	})
	if got, want := taken.All()[0], "commands/line-3/press go"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func (m MQTT) overWebSocket(t *testing.T) {
	port := FreePort(t)
	cloud := StartMosquitto(t, fmt.Sprintf("listener %d 127.0.0.1\nprotocol websockets\n", port))
	if log, err := os.ReadFile(cloud.dir + "/log"); err == nil && strings.Contains(string(log), "support not available") {
		t.Skip("this mosquitto has no WebSocket")
	}
	m.carries(t, MQTTOptions{Address: fmt.Sprintf("ws://127.0.0.1:%d/mqtt", port)})
}
