package remoting

import (
	"maps"
	"reflect"
	"slices"
	"testing"
)

// As name servers of 5.5.0 and 4.9.8 answer, to clients that are new and old.
var routes = []string{
	`{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911","1":"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":8}]}`,
	`{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":8}]}`,
}

func TestParseRouteReadsBothWaysOfWritingNumbers(t *testing.T) {
	want := Route{
		Queues:  []RouteQueues{{Broker: "broker-a", Read: 4, Write: 8, Permission: MayRead | MayWrite}},
		Brokers: []RouteBroker{{Cluster: "DefaultCluster", Name: "broker-a", Addresses: map[int64]string{0: "10.0.0.1:10911", 1: "10.0.0.2:10911"}}},
	}
	for _, text := range routes {
		if got, err := ParseRoute([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}

func TestParseClusterReadsWhatNameServersWrite(t *testing.T) {
	text := `{"brokerAddrTable":{"b:1":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"b:1","cluster":"C","enableActingMaster":false}},"clusterAddrTable":{"C":["b:1"]}}`
	got, err := ParseCluster([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Collect(maps.Keys(got)); !slices.Equal(names, []string{"b:1"}) || got["b:1"].Addresses[0] != "10.0.0.1:10911" {
		t.Errorf("got %+v", got)
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, text := range routes {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"a\":1":"\`))
	f.Fuzz(func(t *testing.T, in []byte) {
		once := standard(in)
		if again := standard(once); string(again) != string(once) {
			t.Errorf("%q becomes %q, and then %q", in, once, again)
		}
		ParseRoute(in)   //nolint:errcheck // refusing is fine, panicking is not
		ParseCluster(in) //nolint:errcheck
	})
}

// What is signed is each value, AccessKey among them, in the order of the names, and the body at the end.
func TestSignIsOverTheValuesInTheOrderOfTheirNames(t *testing.T) {
	c := Command{Ext: Fields{{"topic", "t"}, {"b", "2"}, {"Z", "1"}}, Body: []byte("body")}
	c.Sign("key", "secret")
	again := Command{Ext: Fields{{"Z", "1"}, {"Signature", "old"}, {"b", "2"}, {"topic", "t"}}, Body: []byte("body")}
	again.Sign("key", "secret")
	// printf 'key12tbody' | openssl dgst -sha1 -hmac secret -binary | base64
	const want = "DOpeIVOuKyIv9F85ECF0fuNB4mo="
	if got := c.Ext.Get("Signature"); got != want || again.Ext.Get("Signature") != want || c.Ext.Get("AccessKey") != "key" {
		t.Errorf("got %s and %s, want %s", got, again.Ext.Get("Signature"), want)
	}
}
