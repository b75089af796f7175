package mqtt

import (
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"sluice/bridge/cloudsim"
	"sluice/bridge/uplinktest"
)

const benchWindow = 100

// BenchmarkBarePaho is the yardstick: paho as it comes, with a window of tokens.
func BenchmarkBarePaho(b *testing.B) {
	o := paho.NewClientOptions().AddBroker("tcp://" + uplinktest.StartCloud(b, cloudsim.Options{}).Addr().String()).SetClientID("bare").SetAutoReconnect(false)
	client := paho.NewClient(o)
	if t := client.Connect(); t.Wait() && t.Error() != nil {
		b.Fatal(t.Error())
	}
	payload := make([]byte, 256)
	tokens := make(chan paho.Token, benchWindow)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for t := range tokens {
			t.Wait()
		}
	}()
	b.ReportAllocs()
	b.SetBytes(256)
	for b.Loop() {
		tokens <- client.Publish("plants/readings/line-3/press", 1, false, payload)
	}
	close(tokens)
	<-done
	client.Disconnect(100)
}

// BenchmarkForwarder is the same through a Forwarder and an Uplink.
func BenchmarkForwarder(b *testing.B) {
	uplinktest.Drain(b, uplink(b, "tcp://"+uplinktest.StartCloud(b, cloudsim.Options{}).Addr().String(), nil), 1, benchWindow)
}
