package gateway

import (
	"reflect"
	"testing"

	"sluice/gateway/config"
	"sluice/gateway/mqtt"
	"sluice/gateway/transport"
)

func TestListenersAreWhatTheFileSays(t *testing.T) {
	c, err := config.Parse("test.yaml", []byte(`
mqtt:
  listen: ["127.0.0.1:1883"]
  anonymous: true
  tls: {listen: "127.0.0.1:8883", cert: c, key: k, client_ca: ca}
  websocket: {listen: "127.0.0.1:8083"}
  listeners:
    - {listen: "127.0.0.1:1"}
    - {listen: "127.0.0.1:2", anonymous: false, proxy_protocol: true, max_connections: 7}
    - {listen: "127.0.0.1:3", tls: {cert: c, key: k}, anonymous: true}
    - {listen: "127.0.0.1:4", tls: {cert: c, key: k, client_ca: ca, client_cert: optional}}
    - {listen: "127.0.0.1:5", websocket: true, path: /broker, origins: ["https://a.example"], tls: {cert: c, key: k, client_ca: ca}}
`), Kinds())
	if err != nil {
		t.Fatal(err)
	}
	plain := &transport.TLS{Cert: "c", Key: "k"}
	mutual := &transport.TLS{Cert: "c", Key: "k", ClientCA: "ca"}
	want := []mqtt.Listener{
		{Anonymous: true, Spec: transport.Spec{Address: "127.0.0.1:8883", TLS: mutual}},
		{Anonymous: true, Spec: transport.Spec{Address: "127.0.0.1:8083", WebSocket: &transport.WebSocket{}}},
		{Anonymous: true, Spec: transport.Spec{Address: "127.0.0.1:1"}},
		{Anonymous: false, Spec: transport.Spec{Address: "127.0.0.1:2", ProxyProtocol: true, Connections: 7}},
		{Anonymous: true, Spec: transport.Spec{Address: "127.0.0.1:3", TLS: plain}},
		{Anonymous: true, Spec: transport.Spec{Address: "127.0.0.1:4", TLS: &transport.TLS{Cert: "c", Key: "k", ClientCA: "ca", Optional: true}}},
		{Anonymous: true, Spec: transport.Spec{Address: "127.0.0.1:5", TLS: mutual, WebSocket: &transport.WebSocket{Path: "/broker", Origins: []string{"https://a.example"}}}},
	}
	got := listenersOf(&c.MQTT)
	if len(got) != len(want) {
		t.Fatalf("got %d listeners, want %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("listener %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	addresses := []string{"127.0.0.1:1883", "127.0.0.1:8883", "127.0.0.1:8083", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", "127.0.0.1:5"}
	if got := mqttListen(&c.MQTT); !reflect.DeepEqual(got, addresses) {
		t.Errorf("the addresses are %v, want %v", got, addresses)
	}
	if len(mqttListen(&config.MQTT{})) != 0 {
		t.Error("an empty section has an address")
	}
}
