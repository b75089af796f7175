package rocketmq_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"

	"sluice/gateway/message"
	"sluice/gateway/remoting"
)

// TestMQTTAndRocketMQShareTopics has mosquitto's clients on one side and RocketMQ's frames on the other.
func TestMQTTAndRocketMQShareTopics(t *testing.T) {
	for _, program := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	mqtt := freeAddress(t)
	at := startGateway(t, fmt.Sprintf("mqtt: {listen: [%q], anonymous: true}\n", mqtt))
	host, port, err := net.SplitHostPort(mqtt)
	if err != nil {
		t.Fatal(err)
	}
	const topic = "orders/press 1/in"
	if out, err := exec.CommandContext(t.Context(), "mosquitto_pub", "-h", host, "-p", port, "-V", "5", "-i", "press-1", "-q", "1", "-t", topic, "-m", "hello",
		"-D", "publish", "user-property", "shift", "night").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub: %v\n%s", err, out)
	}
	pull := with(pulling("scada", "orders", 0), "queueId", fmt.Sprint(message.QueueOf(topic, message.DefaultQueues)))
	found, rest, err := remoting.ParseStored(call(t, at.broker).must(pull).Body)
	if err != nil || len(rest) > 0 || string(found.Body) != "hello" || found.Topic != "orders" {
		t.Fatalf("pulled %+v, %d bytes more, %v", found, len(rest), err)
	}
	properties, err := remoting.ParseProperties(found.Properties)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []remoting.Property{
		{Name: "originMqttTopic", Value: topic}, {Name: "qosLevel", Value: "1"}, {Name: "clientId", Value: "press-1"},
		{Name: "TAGS", Value: "MQTT_COMMON"}, {Name: "extData", Value: `{"shift":"night"}`},
	} {
		if !slices.Contains(properties, want) {
			t.Errorf("%s is missing in %q", want, found.Properties)
		}
	}

	// A session that sleeps while the messages are sent, so that nobody has to guess when it listens.
	subscribe := func(more ...string) ([]byte, error) {
		args := []string{"-h", host, "-p", port, "-i", "panel", "-c", "-q", "1", "-t", "orders/#", "-t", "plain", "-t", "#", "-v", "-W", "20"}
		return exec.CommandContext(t.Context(), "mosquitto_sub", append(args, more...)...).CombinedOutput()
	}
	if out, err := subscribe("-E"); err != nil {
		t.Fatalf("mosquitto_sub: %v\n%s", err, out)
	}
	client := call(t, at.broker)
	client.must(with(sending("orders", "from RocketMQ"), "properties", "originMqttTopic\x01orders/a/b\x02"))
	client.must(sending("%RETRY%scada", "not for wildcards"))
	client.must(sending("plain", "no MQTT topic"))
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	fmt.Fprint(w, "compressed")
	w.Close()
	client.must(with(sending("plain", packed.String()), "sysFlag", "1"))
	out, err := subscribe("-C", "3")
	if want := "orders/a/b from RocketMQ\nplain no MQTT topic\nplain compressed\n"; err != nil || string(out) != want {
		t.Errorf("mosquitto_sub got %q, %v, want %q", out, err, want)
	}
}
