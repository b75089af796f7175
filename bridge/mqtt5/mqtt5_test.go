package mqtt5

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/bridge/dial"
	"sluice/bridge/uplinktest"
	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// book keeps what a cloud has taken.
type book struct {
	mu       sync.Mutex // guards what follows
	payloads []string
}

func (b *book) add(_ string, payload []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.payloads = append(b.payloads, string(payload))
}

func (b *book) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.payloads...)
}

// startCloud runs a simulated cloud until the test ends.
func startCloud(t *testing.T, o cloudsim.Options) *cloudsim.Server {
	t.Helper()
	s, err := cloudsim.Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the simulated cloud ended with %v", err)
		}
	})
	return s
}

func uplink(t *testing.T, address string, change func(*Options)) *Uplink {
	t.Helper()
	o := DefaultOptions()
	o.Address = address
	if change != nil {
		change(&o)
	}
	u, err := New(o, "line-3", quiet())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUplinkContract(t *testing.T) {
	uplinktest.Run(t, func(t *testing.T) uplinktest.Harness {
		var taken book
		cloud := startCloud(t, cloudsim.Options{Taken: taken.add, Record: t.TempDir() + "/taken"})
		return uplinktest.Harness{
			Uplink:   uplink(t, "tcp://"+cloud.Addr().String(), nil),
			Received: taken.all,
			Mute:     func(mute bool) { cloud.SetFaults(cloudsim.Faults{NoAck: mute}) },
			SetUp:    cloud.SetUp,
		}
	})
}

func connect(t *testing.T, u *Uplink) bridge.Link {
	t.Helper()
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// eventually waits for what other processes or the network have to do first.
func eventually(t testing.TB, what string, fulfilled func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !fulfilled(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

func TestConnectSaysInPlainWordsWhatIsWrong(t *testing.T) {
	cloud := startCloud(t, cloudsim.Options{})
	there := "tcp://" + cloud.Addr().String()
	for _, c := range []struct {
		name, address string
		faults        cloudsim.Faults
		want          string
	}{
		{"refused", "tcp://127.0.0.1:1", cloudsim.Faults{}, "nobody listens"},
		{"no such name", "tcp://no-such-host.invalid:1883", cloudsim.Faults{}, "cannot be found"},
		{"silent", there, cloudsim.Faults{Silent: true}, "no answer"},
		{"bad id", there, cloudsim.Faults{RefuseLogin: 0x85}, "client id"},
		{"bad password", there, cloudsim.Faults{RefuseLogin: 0x86}, "password"},
		{"not authorised", there, cloudsim.Faults{RefuseLogin: 0x87}, "not authorised"},
		{"unknown code", there, cloudsim.Faults{RefuseLogin: 0xf7}, "code 0xf7"},
		{"a code that is none", there, cloudsim.Faults{RefuseLogin: 77}, "protocol"},
		{"no TLS there", "ssl://" + cloud.Addr().String(), cloudsim.Faults{}, "closed the connection"},
		{"no WebSocket there", "ws://" + cloud.Addr().String() + "/mqtt", cloudsim.Faults{}, "closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cloud.SetFaults(c.faults)
			u := uplink(t, c.address, func(o *Options) { o.ConnectTimeout = time.Second })
			l, err := u.Connect(t.Context())
			if err == nil {
				l.Close()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %q, want it to say %q", err, c.want)
			}
		})
	}
}

func TestLoginIsSentAsConfigured(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/password", "secret\n")
	var got [3]string
	cloud := startCloud(t, cloudsim.Options{Login: func(id, user, password string) byte {
		got = [3]string{id, user, password}
		return 0
	}})
	l, err := uplink(t, "tcp://"+cloud.Addr().String(), func(o *Options) {
		o.Username, o.PasswordFile = "sluice", dir+"/password"
	}).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if want := [3]string{"line-3", "sluice", "secret"}; got != want {
		t.Errorf("login was %q, want %q", got, want)
	}
	u := uplink(t, "tcp://"+cloud.Addr().String(), func(o *Options) {
		o.Username, o.PasswordFile = "sluice", dir+"/missing"
	})
	if _, err := u.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("a missing password file gives %v", err)
	}
}

func TestMessagesComeDownAndAreAcknowledgedAsTakenOrNot(t *testing.T) {
	cloud := startCloud(t, cloudsim.Options{})
	l := connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil))
	var taken book
	var retained sync.Map
	deliver := func(_ context.Context, m *bridge.Incoming) error {
		taken.add(m.Topic, []byte(m.Topic+" "+string(m.Payload)))
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
	eventually(t, "all messages are answered", func() bool { s := cloud.Stats(); return s.PushedAcked+s.PushedNot == 3 })
	if s := cloud.Stats(); s.PushedNot != 1 {
		t.Errorf("%d messages were answered as not taken, want one", s.PushedNot)
	}
	got := taken.all()
	if want := []string{"commands/press 1", "commands/press no", "commands/press 2"}; strings.Join(got, ";") != strings.Join(want, ";") {
		t.Errorf("got %q, want %q", got, want)
	}
	if first, _ := retained.Load("1"); first != false {
		t.Error("a live message came as retained")
	}
	if last, _ := retained.Load("2"); last != true {
		t.Error("a retained message did not come as such")
	}
}

func TestARefusedSubscriptionLeavesTheLinkAlive(t *testing.T) {
	cloud := startCloud(t, cloudsim.Options{})
	cloud.SetFaults(cloudsim.Faults{RefuseSubscribe: true})
	l := connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil))
	err := l.(bridge.Receiver).Receive(t.Context(), "commands/+", nil)
	if err == nil || !strings.Contains(err.Error(), "refuses the subscription") {
		t.Errorf("got %v", err)
	}
	if l.Err() != nil {
		t.Errorf("the link was lost: %v", l.Err())
	}
}

func TestSendWaitsForRoomButNotLongerThanItsContext(t *testing.T) {
	cloud := startCloud(t, cloudsim.Options{})
	l := connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil))
	cloud.SetFaults(cloudsim.Faults{BytesPerSecond: 1000}) // the line soon takes nothing any more
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	big := message.Record{Message: message.Message{Payload: make([]byte, 200<<10)}}
	var answered sync.WaitGroup
	for i := 0; ; i++ {
		answered.Add(1)
		if err := l.Send(ctx, &bridge.Outgoing{Topic: "big", Key: strconv.Itoa(i), Payload: big.Payload, QoS: 1, Record: &big}, func(error) { answered.Done() }); err != nil {
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
	if took := time.Since(from); took > dial.HurryTimeout+2*time.Second {
		t.Errorf("closing a line that is stuck took %s", took)
	}
}

func TestQoS0IsDoneWhenItIsWritten(t *testing.T) {
	var taken book
	cloud := startCloud(t, cloudsim.Options{Taken: taken.add})
	l := connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil))
	done := make(chan error, 1)
	r := message.Record{Message: message.Message{Payload: []byte("x")}}
	if err := l.Send(t.Context(), &bridge.Outgoing{Topic: "a", Payload: r.Payload, Record: &r}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("answered with %v", err)
	}
	eventually(t, "it has arrived", func() bool { return len(taken.all()) == 1 })
	if got := cloud.Stats().Acked; got != 0 {
		t.Errorf("%d acknowledgements for QoS 0", got)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
