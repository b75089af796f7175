package rocketmq_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway/remoting"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// joining are the lines that make a gateway a broker of a cluster.
func joining(broker, nameServer string) string {
	return fmt.Sprintf("  cluster: {broker: %s, name_servers: [%q]}\n", broker, nameServer)
}

// brokersOf waits until a name server knows a topic at just these brokers, none for an unknown one.
func brokersOf(t *testing.T, nameServer, topic string, within time.Duration, want ...string) {
	t.Helper()
	names := call(t, nameServer)
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		var route struct {
			Brokers []struct {
				Name string `json:"brokerName"`
			} `json:"brokerDatas"`
		}
		answer := names.ask(request(remoting.GetRouteInfoByTopic, "topic", topic, "acceptStandardJsonOnly", "true"))
		if answer.Code == remoting.Success {
			if err := json.Unmarshal(answer.Body, &route); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, one := range route.Brokers {
			got = append(got, one.Name)
		}
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is at %q for the name server after %v, want %q", topic, got, within, want)
		}
	}
}

// says runs mqadmin and checks that it says something.
func says(t *testing.T, nameServer string, want []string, command ...string) {
	t.Helper()
	got := rocketmqtest.Mqadmin(t, nameServer, command...)
	for _, one := range want {
		if !strings.Contains(got, one) {
			t.Errorf("mqadmin %s does not say %q:\n%s", strings.Join(command, " "), one, got)
		}
	}
}

// spread has the stock Go client send to a topic of two brokers and consume it, knowing the name server alone.
func spread(t *testing.T, path, nameServer, topic string, brokers ...string) {
	t.Helper()
	seen := perform(t, path, target{nameServer: nameServer}, "cluster", "TOPIC="+topic)["cluster"]
	names, err := json.Marshal(brokers)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"scenario":"cluster","saw":"sent to","value":` + string(names) + `}`,
		`{"scenario":"cluster","saw":"consumed from","value":` + string(names) + `}`,
		`{"scenario":"cluster","saw":"consumed","value":"m00 m01 m02 m03 m04 m05 m06 m07 m08 m09 m10 m11"}`,
	} {
		if !slices.Contains(seen, want) {
			t.Errorf("the Go client has not seen %s but\n%s", want, strings.Join(seen, "\n"))
		}
	}
}

// TestGatewaysAreBrokersOfACluster has two gateways register with a real name server, and a stock producer and
// consumer find both through it.
func TestGatewaysAreBrokersOfACluster(t *testing.T) {
	path := goClient(t)
	names := rocketmqtest.StartNameServer(t, rocketmqtest.Options{})
	one := startGateway(t, joining("line-1", names.Address))
	two, stopTwo := runGateway(t, "{dir: ./data}", joining("line-2", names.Address))
	brokersOf(t, names.Address, "line-1", patience, "line-1")
	brokersOf(t, names.Address, "line-2", patience, "line-2")

	for _, at := range []target{one, two} {
		call(t, at.broker).must(request(remoting.UpdateAndCreateTopic, "topic", "orders", "defaultTopic", "TBW102", "readQueueNums", "2", "writeQueueNums", "2",
			"perm", "6", "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false"))
	}
	brokersOf(t, names.Address, "orders", soon, "line-1", "line-2")
	spread(t, path, names.Address, "orders", "line-1", "line-2")
	call(t, two.broker).must(sending("recipes", "made by a message"))
	brokersOf(t, names.Address, "recipes", soon, "line-2")

	stopTwo()
	brokersOf(t, names.Address, "recipes", soon)
	brokersOf(t, names.Address, "orders", soon, "line-1")

	names.Kill()
	names.Start(t)
	brokersOf(t, names.Address, "orders", patience, "line-1")
}

// soon is what a name server hears of at once, on a busy machine.
const soon = 5 * time.Second

// TestAGatewayBesideARealBroker has a broker and a gateway in one cluster.
func TestAGatewayBesideARealBroker(t *testing.T) {
	if !asksReal() {
		t.Skip("a real broker is asked in the long form: SLUICE_LONG=1")
	}
	path := goClient(t)
	real := startReal(t, rocketmqtest.Options{})
	at := startGateway(t, joining("line-1", real.nameServer))
	brokersOf(t, real.nameServer, "line-1", patience, "line-1")
	brokersOf(t, real.nameServer, "TBW102", soon, "broker-a") // new topics go on to be made there

	topic := ownName("orders")
	says(t, real.nameServer, []string{"create topic to " + real.broker, "create topic to " + at.broker}, "updateTopic", "-c", "DefaultCluster", "-t", topic, "-r", "2", "-w", "2")
	brokersOf(t, real.nameServer, topic, soon, "broker-a", "line-1")
	spread(t, path, real.nameServer, topic, "broker-a", "line-1")
	says(t, real.nameServer, []string{"broker-a", "line-1", real.broker, at.broker}, "clusterList")
	says(t, real.nameServer, []string{"broker-a", "line-1", real.broker, at.broker}, "topicRoute", "-t", topic)
	says(t, real.nameServer, []string{"putTps", "commitLogMaxOffset"}, "brokerStatus", "-b", at.broker)
	says(t, real.nameServer, []string{"line-1", "broker-a"}, "topicStatus", "-t", topic)
	says(t, real.nameServer, []string{"delete topic [" + topic + "] from cluster [DefaultCluster] success"}, "deleteTopic", "-c", "DefaultCluster", "-t", topic)
	brokersOf(t, real.nameServer, topic, soon)
}
