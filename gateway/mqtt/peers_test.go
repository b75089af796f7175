package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// requirePeer gives the path of a foreign program. Without it the test is skipped, unless
// SLUICE_REQUIRE_PEERS says that it must not be.
func requirePeer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed: apt-get install mosquitto-clients", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// mosquitto runs a mosquitto client against server and gives what it printed.
func mosquitto(t *testing.T, server *Server, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	host, port, err := net.SplitHostPort(server.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, requirePeer(t, program), append([]string{"-h", host, "-p", port}, args...)...)
	out, err := command.CombinedOutput()
	return string(out), err
}

func TestMosquittoClientsTalkThroughTheServer(t *testing.T) {
	requirePeer(t, "mosquitto_pub")
	requirePeer(t, "mosquitto_sub")
	for _, version := range []string{"mqttv31", "mqttv311"} {
		for _, qos := range []string{"0", "1"} {
			t.Run(version+"_qos"+qos, func(t *testing.T) {
				server := startServer(t, Options{Anonymous: true}, newMemoryLog())
				var got string
				var err error
				var subscriber sync.WaitGroup
				subscriber.Go(func() {
					got, err = mosquitto(t, server, "mosquitto_sub", "-V", version, "-q", "2", "-t", "readings/+/press", "-t", "alarms/#", "-C", "3", "-F", "%t %q %r %p")
				})
				waitForFilters(t, server, 2)
				for _, topic := range []string{"readings/line-3/press", "readings/line-3/meter", "alarms", "alarms/line-3/press"} {
					if out, err := mosquitto(t, server, "mosquitto_pub", "-V", version, "-q", qos, "-t", topic, "-m", "über "+topic, "-r"); err != nil {
						t.Fatalf("mosquitto_pub: %v\n%s", err, out)
					}
				}
				subscriber.Wait()
				var want string
				for _, topic := range []string{"readings/line-3/press", "alarms", "alarms/line-3/press"} {
					want += fmt.Sprintf("%s %s 0 über %s\n", topic, qos, topic)
				}
				if err != nil || got != want {
					t.Errorf("mosquitto_sub gave %v and\n%s\nwant\n%s", err, got, want)
				}
			})
		}
	}
}

func TestMosquittoSendsManyLinesAtOnce(t *testing.T) {
	path := requirePeer(t, "mosquitto_pub")
	log := newMemoryLog()
	server := startServer(t, Options{Anonymous: true}, log)
	_, port, _ := net.SplitHostPort(server.Addrs()[0].String())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var lines bytes.Buffer
	const all = 3000
	for i := range all {
		fmt.Fprintln(&lines, i)
	}
	command := exec.CommandContext(ctx, path, "-p", port, "-q", "1", "-t", "t", "-l")
	command.Stdin = &lines
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := log.messages()
	if len(got) != all {
		t.Fatalf("the log has %d messages, want %d", len(got), all)
	}
	for i, m := range got {
		if string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Payload)
		}
	}
}

func TestMosquittoIsToldWhyItIsRefused(t *testing.T) {
	requirePeer(t, "mosquitto_pub")
	server := startServer(t, Options{Access: passwords{"sensor", "secret"}}, newMemoryLog())
	for _, test := range []struct {
		args []string
		want string // in what it prints
	}{
		{[]string{"-u", "sensor", "-P", "secret"}, ""},
		{[]string{"-u", "sensor", "-P", "guess"}, "not authorised"},
		{nil, "not authorised"},
		{[]string{"-V", "mqttv5"}, "Not authorized"},
		{[]string{"-V", "mqttv5", "-u", "sensor", "-P", "guess"}, "Bad User Name or Password"},
	} {
		program, args := "mosquitto_pub", append(test.args, "-t", "t", "-m", "x")
		if len(test.args) > 0 && test.args[0] == "-c" {
			program, args = "mosquitto_sub", append(test.args, "-t", "t", "-W", "5")
		}
		out, err := mosquitto(t, server, program, args...)
		if refused := err != nil; refused != (test.want != "") || !strings.Contains(strings.ToLower(out), strings.ToLower(test.want)) {
			t.Errorf("%s %v: %v, %q, want %q", program, test.args, err, out, test.want)
		}
	}
}

// waitForFilters waits until the clients of server have subscribed.
func waitForFilters(t *testing.T, server *Server, want int) {
	t.Helper()
	log := server.backend.(*memoryLog)
	for range 1000 {
		if log.filters() == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("there are %d filters, want %d", log.filters(), want)
}

func connectPaho(t *testing.T, server *Server, id string, edit func(*paho.ClientOptions)) paho.Client {
	t.Helper()
	options := paho.NewClientOptions().AddBroker("tcp://" + server.Addrs()[0].String()).SetClientID(id).
		SetAutoReconnect(false).SetConnectTimeout(10 * time.Second)
	if edit != nil {
		edit(options)
	}
	c := paho.NewClient(options)
	waitToken(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func waitToken(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Fatalf("paho: %v", token.Error())
	}
}

func TestPahoClientsTalkThroughTheServer(t *testing.T) {
	log := newMemoryLog()
	server := startServer(t, Options{Anonymous: true}, log)
	const all = 2000
	received := make(chan string, 2*all)
	subscriber := connectPaho(t, server, "subscriber", nil)
	waitToken(t, subscriber.Subscribe("t/#", 1, func(_ paho.Client, m paho.Message) {
		received <- fmt.Sprintf("%d %s", m.Qos(), m.Payload())
	}))
	publisher := connectPaho(t, server, "publisher", nil)
	var tokens []paho.Token
	for i := range all {
		tokens = append(tokens, publisher.Publish("t/x", byte(i%2), false, fmt.Sprint(i)))
	}
	for _, token := range tokens {
		waitToken(t, token)
	}
	for i := range all {
		select {
		case got := <-received:
			if want := fmt.Sprintf("%d %d", i%2, i); got != want {
				t.Fatalf("message %d came as %q, want %q", i, got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("message %d did not come", i)
		}
	}
	waitToken(t, subscriber.Unsubscribe("t/#"))
	if got := log.filters(); got != 0 {
		t.Errorf("%d filters are left", got)
	}
}

func TestPahoIsReplacedAndLeavesItsWill(t *testing.T) {
	log := newMemoryLog()
	server := startServer(t, Options{Anonymous: true}, log)
	lost := make(chan error, 1)
	connectPaho(t, server, "same", func(o *paho.ClientOptions) {
		o.SetWill("status/same", "gone", 1, false)
		o.SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	})
	connectPaho(t, server, "same", nil)
	select {
	case <-lost:
	case <-time.After(10 * time.Second):
		t.Fatal("the first connection stays")
	}
	if got := log.messages(); len(got) != 1 || got[0].Topic != "status/same" {
		t.Errorf("the log has %v, want the will", got)
	}
}
