package mqtt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/bridge/dial"
	"sluice/bridge/uplinktest"
)

// scribe is a broker that lets one client in, acknowledges what it publishes and writes down every
// packet. deaf leaves the messages under that topic without an answer; the connection is cut at cutAt.
type scribe struct {
	uplinktest.Book
	deaf, cutAt string
}

func (s *scribe) play(conn net.Conn, in *bufio.Reader) {
	conn.Write(welcome)
	for {
		p, err := packets.ReadPacket(in)
		if err != nil {
			s.Add("", []byte("the end"))
			return
		}
		switch p := p.(type) {
		case *packets.PublishPacket:
			s.Add("", fmt.Appendf(nil, "%s=%s qos %d retain %v", p.TopicName, p.Payload, p.Qos, p.Retain))
			if p.TopicName == s.cutAt {
				return
			}
			if p.Qos == 1 && p.TopicName != s.deaf {
				conn.Write([]byte{0x40, 2, byte(p.MessageID >> 8), byte(p.MessageID)})
			}
		case *packets.DisconnectPacket:
			s.Add("", []byte("goodbye"))
		}
	}
}

func (s *scribe) expect(t *testing.T, want ...string) {
	t.Helper()
	uplinktest.Eventually(t, "the broker has all packets", func() bool { return len(s.All()) >= len(want) })
	if got := s.All(); !slices.Equal(got, want) {
		t.Errorf("the broker saw\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// aNode is what a node of Sparkplug says.
func aNode() Session {
	return Session{
		Will: &Note{Topic: "spBv1.0/plant/NDEATH/line-3", Payload: []byte("death")},
		Births: []Note{
			{Topic: "spBv1.0/plant/NBIRTH/line-3", Payload: []byte("birth")},
			{Topic: "spBv1.0/plant/DBIRTH/line-3/press", Payload: []byte("press"), QoS: 1, Retain: true},
		},
	}
}

func TestASessionIsBornBeforeAnythingAndDiesAtClose(t *testing.T) {
	var broker scribe
	u := uplink(t, uplinktest.Script(t, broker.play), nil)
	u.Session = func(context.Context) (Session, error) { return aNode(), nil }
	l := uplinktest.Connect(t, u)
	done := make(chan error, 1)
	if err := l.Send(t.Context(), &bridge.Outgoing{Topic: "data", Payload: []byte("1"), QoS: 1}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.Close()
	broker.expect(t,
		"spBv1.0/plant/NBIRTH/line-3=birth qos 0 retain false",
		"spBv1.0/plant/DBIRTH/line-3/press=press qos 1 retain true",
		"data=1 qos 1 retain false",
		"spBv1.0/plant/NDEATH/line-3=death qos 0 retain false",
		"goodbye", "the end")
}

func TestConnectFailsWhenABirthIsNotTaken(t *testing.T) {
	for name, broker := range map[string]*scribe{
		"not acknowledged": {deaf: "spBv1.0/plant/DBIRTH/line-3/press"},
		"cut":              {cutAt: "spBv1.0/plant/DBIRTH/line-3/press"},
	} {
		u := uplink(t, uplinktest.Script(t, broker.play), func(o *Options) { o.ConnectTimeout = time.Second })
		u.Session = func(context.Context) (Session, error) { return aNode(), nil }
		if l, err := u.Connect(t.Context()); err == nil {
			l.Close()
			t.Errorf("%s: connected", name)
		} else if !strings.Contains(err.Error(), "the first messages: ") {
			t.Errorf("%s: error is %q", name, err)
		}
	}
}

func TestASessionThatCannotBeMadeIsNoConnection(t *testing.T) {
	for name, session := range map[string]func(context.Context) (Session, error){
		"no key": func(context.Context) (Session, error) { return Session{}, errors.New("no key for the token") },
		"will":   func(context.Context) (Session, error) { return Session{Will: &Note{Topic: "a/+"}}, nil },
	} {
		u := uplink(t, "tcp://"+uplinktest.StartCloud(t, cloudsim.Options{}).Addr().String(), nil)
		u.Session = session
		if l, err := u.Connect(t.Context()); err == nil {
			l.Close()
			t.Errorf("%s: connected", name)
		}
	}
}

func TestALoginOfTheSessionIsUsedUntilItExpires(t *testing.T) {
	var logins uplinktest.Book
	cloud := uplinktest.StartCloud(t, cloudsim.Options{Login: func(id, user, password string) byte {
		logins.Add("", []byte(id+" "+user+" "+password))
		return 0
	}})
	u := uplink(t, "tcp://"+cloud.Addr().String(), nil)
	n := 0
	u.Session = func(context.Context) (Session, error) {
		n++
		return Session{Login: &Login{"device", "user", fmt.Sprintf("token-%d", n)}, Until: time.Now().Add(50 * time.Millisecond)}, nil
	}
	for range 2 {
		l := uplinktest.Connect(t, u)
		select {
		case <-l.Lost():
		case <-time.After(10 * time.Second):
			t.Fatal("the link outlives its login")
		}
		if !errors.Is(l.Err(), errExpired) {
			t.Errorf("the link was lost because of %v", l.Err())
		}
		l.Close()
	}
	if got, want := logins.All(), []string{"device user token-1", "device user token-2"}; !slices.Equal(got, want) {
		t.Errorf("logins were %q, want %q", got, want)
	}
}

// TestMosquittoPublishesTheWill cuts the connection under the link, and closes another in order.
func TestMosquittoPublishesTheWill(t *testing.T) {
	cloud := uplinktest.StartMosquitto(t, "")
	there := "tcp://" + cloud.Address
	var seen uplinktest.Book
	watcher := uplinktest.Connect(t, uplink(t, there, func(o *Options) { o.ClientID = "watcher" }))
	err := watcher.(bridge.Receiver).Receive(t.Context(), "spBv1.0/#", func(_ context.Context, m *bridge.Incoming) error {
		seen.Add("", []byte(strings.Split(m.Topic, "/")[2]))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	u := uplink(t, there, nil)
	u.Session = func(context.Context) (Session, error) { return aNode(), nil }
	cut := uplinktest.Connect(t, u)
	cut.(*link).raw.Conn.Close()
	uplinktest.Eventually(t, "the broker has noticed", func() bool { return slices.Contains(seen.All(), "NDEATH") })
	uplinktest.Connect(t, u).Close()
	want := []string{"NBIRTH", "DBIRTH", "NDEATH", "NBIRTH", "DBIRTH", "NDEATH"}
	uplinktest.Eventually(t, "the second death is seen", func() bool { return len(seen.All()) >= len(want) })
	if got := seen.All(); !slices.Equal(got, want) {
		t.Errorf("the watcher saw %q, want %q", got, want)
	}
}

func TestTheNextAddressTakesOver(t *testing.T) {
	first, second := uplinktest.StartCloud(t, cloudsim.Options{}), uplinktest.StartCloud(t, cloudsim.Options{})
	u := uplink(t, "tcp://"+first.Addr().String(), func(o *Options) {
		o.Addresses = []string{"tcp://" + second.Addr().String()}
	})
	connects := func() string { return fmt.Sprint(first.Stats().Connects, second.Stats().Connects) }
	step := func(what string, change func(), want string) {
		t.Helper()
		change()
		if l, err := u.Connect(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		} else {
			l.Close()
		}
		if got := connects(); got != want {
			t.Errorf("%s: connections so far are %s, want %s", what, got, want)
		}
	}
	step("both are there", func() {}, "1 0")
	step("the first is down", func() { first.SetUp(false) }, "1 1")
	step("the first is back", func() { first.SetUp(true) }, "1 2")
	step("the second refuses the login", func() { second.SetFaults(cloudsim.Faults{RefuseLogin: 3}) }, "2 3")
	first.SetFaults(cloudsim.Faults{RefuseLogin: 5})
	_, err := u.Connect(t.Context())
	for _, want := range []string{first.Addr().String() + ": ", "not authorised", second.Addr().String() + ": ", "not ready"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with none good the error is %v, want it to say %q", err, want)
		}
	}
}

func TestAnAddressThatAcknowledgesNothingIsLeft(t *testing.T) {
	first, second := uplinktest.StartCloud(t, cloudsim.Options{}), uplinktest.StartCloud(t, cloudsim.Options{Record: t.TempDir() + "/taken"})
	first.SetFaults(cloudsim.Faults{NoAck: true})
	u := uplink(t, "tcp://"+first.Addr().String(), func(o *Options) {
		o.Addresses = []string{"tcp://" + second.Addr().String()}
	})
	var source uplinktest.Readings
	uplinktest.Forward(t, u, &source, func(f *bridge.Forwarder) { f.Stall = 200 * time.Millisecond })
	source.Advance(t, 200)
	source.Finish(t)
	if got := first.Stats().Connects; got != 1 {
		t.Errorf("the address that acknowledges nothing was tried %d times, want once", got)
	}
}

// tunnel is a proxy for HTTP CONNECT that leads to one place, whatever it is asked for.
func tunnel(t *testing.T, to string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for line := ""; line != "\r\n"; {
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
		}
		far, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
		back := make(chan struct{})
		go func() {
			defer close(back)
			defer conn.Close()
			bufio.NewReader(far).WriteTo(conn)
		}()
		in.WriteTo(far)
		far.Close()
		<-back
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

func TestAnUplinkGoesThroughAProxy(t *testing.T) {
	cloud := uplinktest.StartCloud(t, cloudsim.Options{Record: t.TempDir() + "/taken"})
	u := uplink(t, "tcp://cloud.example:1883", func(o *Options) {
		o.Proxy = dial.Proxy{Address: "http://" + tunnel(t, cloud.Addr().String())}
	})
	var source uplinktest.Readings
	uplinktest.Forward(t, u, &source, nil)
	source.Advance(t, 500)
	source.Finish(t)
}
