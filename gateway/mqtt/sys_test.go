package mqtt

import (
	"testing"
	"testing/synctest"
	"time"
)

// What dashboards made for mosquitto look for is there, as retained messages, and follows what happens.
func TestSysTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Version: "1.2"})
		r.conns.Go(func() { r.keepHouse(r.ctx) })
		publisher := r.connect(t, "p")
		for range 60 {
			publisher.publish(0, 0, "t", "12345")
		}
		time.Sleep(12 * time.Second)
		c := r.connect(t, "c")
		c.subscribe("$SYS/broker/#", 0)
		synctest.Wait()
		got := map[string]string{}
		for len(c.frames) > 0 {
			p := c.nextPublish()
			if !p.Retain {
				t.Errorf("%s is not marked as retained", p.Topic)
			}
			got[string(p.Topic)] = string(p.Payload)
		}
		for topic, want := range map[string]string{
			"version":                     "sluice 1.2",
			"uptime":                      "11 seconds",
			"clients/connected":           "1",
			"clients/active":              "1",
			"clients/maximum":             "1",
			"clients/disconnected":        "0",
			"messages/received":           "60",
			"publish/messages/received":   "60",
			"publish/messages/dropped":    "0",
			"messages/stored":             "60",
			"store/messages/count":        "60",
			"retained messages/count":     "0",
			"subscriptions/count":         "0",
			"bytes/received":              "615", // CONNECT and 60 of 10 bytes
			"bytes/sent":                  "4",
			"load/messages/received/1min": "0.00", // all of it came before the first round
		} {
			if got["$SYS/broker/"+topic] != want {
				t.Errorf("%s is %q, want %q", topic, got["$SYS/broker/"+topic], want)
			}
		}
	})
}
