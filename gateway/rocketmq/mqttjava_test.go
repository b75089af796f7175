package rocketmq_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/collectors/modbus/modbussim"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// TestMQTTAndJavaShareTopics has mosquitto's clients, two simulated devices and the stock Java clients of both
// generations meet in one gateway. What Java has to see of MQTT and of readings stands in testdata/mqtt.jsonl;
// there is no other broker to ask, so it was held against the contract of the two worlds in ARCHITECTURE.md.
func TestMQTTAndJavaShareTopics(t *testing.T) {
	rocketmqtest.Require(t)
	requireMosquitto(t)
	for _, generation := range []rocketmqtest.Generation{rocketmqtest.Current, rocketmqtest.Old} {
		t.Run(string(generation), func(t *testing.T) {
			mqtt := freeAddress(t)
			at := startGateway(t, fmt.Sprintf("mqtt: {listen: [%q], anonymous: true}\ndevices:\n%s%s", mqtt, device(t, "press", 21), device(t, "oven", 480)))
			client := mosquitto(t, mqtt)
			client("sub", "-i", "panel", "-c", "-q", "1", "-t", "machine/#", "-E") // sleeps while Java sends
			client("pub", "-V", "5", "-i", "press-1", "-q", "1", "-t", "plant/press 1/in", "-m", "with properties",
				"-D", "publish", "user-property", "shift", "night", "-D", "publish", "user-property", "größe", "m² 😀",
				"-D", "publish", "content-type", "text/plain", "-D", "publish", "response-topic", "plant/answers")
			client("pub", "-V", "311", "-i", "press-2", "-q", "0", "-t", "plant", "-m", "of 3.1.1")
			client("pub", "-V", "5", "-i", "press-3", "-q", "2", "-t", "plant/a/b", "-m", "exactly once")

			const name = "mqtt"
			seen := rocketmqtest.Play(t, at.nameServer, rocketmqtest.Client{Generation: generation}, name)
			file := filepath.Join("testdata", name+".jsonl")
			if *record && generation == rocketmqtest.Current {
				keepObservations(t, file, []string{name}, seen)
			}
			for _, line := range rocketmqtest.Diff(readObservations(t, file)[name], seen[name]) {
				t.Errorf("%.4000s", line)
			}
			heard := received(t, client("sub", "-V", "5", "-i", "panel", "-c", "-q", "1", "-t", "machine/#",
				"-C", "2", "-W", "20", "-F", `{"topic":"%t","qos":%q,"body":"%p","user":"%P"}`))
			wantHeard(t, heard)
		})
	}
}

// heardOverMQTT is a message as mosquitto_sub prints it.
type heardOverMQTT struct {
	Topic string `json:"topic"`
	QoS   int    `json:"qos"`
	Body  string `json:"body"`
	User  string `json:"user"` // name:value, separated by blanks
}

func received(t *testing.T, out string) (all []heardOverMQTT) {
	t.Helper()
	for line := range strings.Lines(out) {
		var one heardOverMQTT
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("mosquitto_sub printed %q: %v", line, err)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b heardOverMQTT) int { return strings.Compare(a.Topic, b.Topic) })
	return all
}

// wantHeard compares what Java sent with what MQTT got of it: the producer's own properties as user properties.
func wantHeard(t *testing.T, got []heardOverMQTT) {
	t.Helper()
	want := []struct {
		topic, body string
		properties  []string
	}{
		{"machine", "stop at once", []string{"TAGS:fast", "KEYS:order-7", "shift:night", "größe:m² 😀"}},
		{"machine/press 1/out", "to a place", []string{"originMqttTopic:machine/press 1/out"}},
	}
	if len(got) != len(want) {
		t.Fatalf("MQTT got %+v, want %d messages", got, len(want))
	}
	for i, w := range want {
		if got[i].Topic != w.topic || got[i].Body != w.body || got[i].QoS != 1 {
			t.Errorf("MQTT got %+v, want %q under %s with QoS 1", got[i], w.body, w.topic)
		}
		for _, property := range w.properties {
			if !strings.Contains(" "+got[i].User+" ", " "+property+" ") {
				t.Errorf("%s: the user properties are %q, %q is missing", w.topic, got[i].User, property)
			}
		}
	}
}

// device is the section of a device whose one value stays what it is.
func device(t *testing.T, name string, temperature uint16) string {
	t.Helper()
	plc := &modbussim.Server{}
	if err := plc.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	plc.Set(modbussim.Holdings, 0, temperature)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- plc.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the device %s ended with: %v", name, err)
		}
	})
	return fmt.Sprintf("  - {name: %s, driver: modbus, address: \"tcp://%s\", unit: 1, interval: 100ms, points: [{name: temperature, address: \"holding:0\", type: uint16}]}\n", name, plc.Addr())
}

func requireMosquitto(t *testing.T) {
	t.Helper()
	for _, program := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// mosquitto gives a function that runs mosquitto_pub or mosquitto_sub at an address.
func mosquitto(t *testing.T, address string) func(which string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return func(which string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "mosquitto_"+which, append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("mosquitto_%s %q: %v\n%s", which, args, err, out)
		}
		return string(out)
	}
}
