package mqtt

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/bridge/uplinktest"
)

// walk runs a probe and gives its steps as people see them, those that fail with an exclamation mark.
func walk(t *testing.T, u *Uplink) (names []string, steps []bridge.Step, err error) {
	t.Helper()
	var prober bridge.Prober = u
	err = prober.Probe(t.Context(), func(s bridge.Step) {
		name := s.Name
		if s.Err != nil {
			name += "!"
		}
		names, steps = append(names, name), append(steps, s)
	})
	return names, steps, err
}

func TestProbeWalksStepByStep(t *testing.T) {
	dir := t.TempDir()
	uplinktest.Certificates(t, dir)
	pair, err := tls.LoadX509KeyPair(dir+"/server.crt", dir+"/server.key")
	if err != nil {
		t.Fatal(err)
	}
	var logins, taken uplinktest.Book
	cloud := uplinktest.StartCloud(t, cloudsim.Options{
		TLS:   &tls.Config{Certificates: []tls.Certificate{pair}},
		Login: func(id, _, _ string) byte { logins.Add("", []byte(id)); return 0 },
		Taken: func(topic string, payload []byte) { taken.Add("", []byte(topic+" "+string(payload))) },
	})
	u := uplink(t, "ssl://"+cloud.Addr().String(), func(o *Options) {
		o.TLS.CA, o.TLS.ServerName = dir+"/ca.crt", "cloud.example"
	})
	names, steps, err := walk(t, u)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"port open", "certificate valid", "logged in", "published", "acknowledged"}
	if !slices.Equal(names, want) {
		t.Fatalf("the steps are %q, want %q", names, want)
	}
	for i, detail := range []string{cloud.Addr().String(), "issued by test authority", `as client "line-3-test"`, "to sluice/test/line-3", ""} {
		if !strings.Contains(steps[i].Detail, detail) {
			t.Errorf("%s is shown as %q, want it to say %q", names[i], steps[i].Detail, detail)
		}
	}
	if got := logins.All(); !slices.Equal(got, []string{"line-3-test"}) {
		t.Errorf("the logins are %q", got)
	}
	topic, payload, _ := strings.Cut(taken.All()[0], " ")
	var message struct {
		Test    bool
		Gateway string
	}
	if err := json.Unmarshal([]byte(payload), &message); err != nil || topic != "sluice/test/line-3" || !message.Test || message.Gateway != "line-3" {
		t.Errorf("the cloud was sent %s to %s (%v)", payload, topic, err)
	}
}

func TestProbeLeavesTheConnectionInUseAlone(t *testing.T) {
	cloud := uplinktest.StartMosquitto(t, "")
	u := uplink(t, "tcp://"+cloud.Address, nil)
	l := uplinktest.Connect(t, u)
	if names, _, err := walk(t, u); err != nil {
		t.Fatalf("%q: %v", names, err)
	}
	done := make(chan error, 1)
	if err := l.Send(t.Context(), &bridge.Outgoing{Topic: "a", QoS: 1}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after the test the connection in use is lost: %v", err)
	}
}

// TestProbeIsNotTheGateway: births and deaths are the business of the connection in use.
func TestProbeIsNotTheGateway(t *testing.T) {
	var broker scribe
	u := uplink(t, uplinktest.Script(t, broker.play), func(o *Options) { o.TestTopic = "plants/test" })
	u.Session = func(context.Context) (Session, error) {
		s := aNode()
		s.Login = &Login{ClientID: "device"}
		return s, nil
	}
	_, steps, err := walk(t, u)
	if err != nil {
		t.Fatal(err)
	}
	if got := steps[1].Detail; got != `as client "device"` {
		t.Errorf("a client id that the session fixes is shown as %s", got)
	}
	uplinktest.Eventually(t, "the broker has seen the end", func() bool { return len(broker.All()) >= 3 })
	if got := broker.All(); len(got) != 3 || !strings.HasPrefix(got[0], "plants/test=") || got[1] != "goodbye" {
		t.Errorf("the broker saw %q", got)
	}
}

func TestProbeSaysAtWhichStepItFails(t *testing.T) {
	cloud := uplinktest.StartCloud(t, cloudsim.Options{})
	there := "tcp://" + cloud.Addr().String()
	cutting := scribe{cutAt: "sluice/test/line-3"}
	for _, c := range []struct {
		name, address string
		faults        cloudsim.Faults
		change        func(*Options)
		steps, want   string
	}{
		{"nobody there", "tcp://127.0.0.1:1", cloudsim.Faults{}, nil, "port open!", "nobody listens"},
		{"no such name", "tcp://no-such-host.invalid", cloudsim.Faults{}, nil, "name resolved!", "cannot be found"},
		{"no WebSocket", "ws://" + cloud.Addr().String() + "/mqtt", cloudsim.Faults{}, nil, "port open, WebSocket open!", "closed the connection"},
		{"silent", there, cloudsim.Faults{Silent: true}, nil, "port open, logged in!", "no answer to the login within 1s; does it speak MQTT"},
		{"refused", there, cloudsim.Faults{RefuseLogin: 5}, nil, "port open, logged in!", "not authorised"},
		{"no password", there, cloudsim.Faults{}, func(o *Options) { o.Username, o.PasswordFile = "u", os.DevNull+"/x" }, "logged in!", "cannot read the password"},
		{"no acknowledgement", there, cloudsim.Faults{NoAck: true}, nil, "port open, logged in, published, acknowledged!", "not acknowledged the message within 1s; it may not let us publish to sluice/test/line-3"},
		{"cut at the message", uplinktest.Script(t, cutting.play), cloudsim.Faults{}, nil, "port open, logged in, published, acknowledged!", "see test_topic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cloud.SetFaults(c.faults)
			u := uplink(t, c.address, func(o *Options) {
				o.ConnectTimeout = time.Second
				if c.change != nil {
					c.change(o)
				}
			})
			names, steps, err := walk(t, u)
			if got := strings.Join(names, ", "); got != c.steps {
				t.Fatalf("the steps are %s, want %s", got, c.steps)
			}
			if last := steps[len(steps)-1].Err; !strings.Contains(last.Error(), c.want) || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the step says %q and the probe %q, want %q", last, err, c.want)
			}
		})
	}
}

func TestProbeTriesEveryAddressUntilOneWorks(t *testing.T) {
	cloud := uplinktest.StartCloud(t, cloudsim.Options{})
	u := uplink(t, "tcp://127.0.0.1:1", func(o *Options) { o.Addresses = []string{"tcp://" + cloud.Addr().String()} })
	names, steps, err := walk(t, u)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(names, ", "), "port open!, port open, logged in, published, acknowledged"; got != want {
		t.Fatalf("the steps are %s, want %s", got, want)
	}
	if !strings.HasPrefix(steps[0].Err.Error(), "127.0.0.1:1: ") || !strings.HasPrefix(steps[2].Detail, cloud.Addr().String()+": ") {
		t.Errorf("whose step it is, is not said: %v", steps)
	}
}
