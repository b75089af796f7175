//go:build linux

package nighttest

import (
	"bytes"
	"testing"
	"time"
)

// farCloud is a cloud that keeps its promises through what it can survive: kill -9, or for those that
// acknowledge before they save an orderly stop. It records what it was sent, topic by topic.
type farCloud interface {
	// front makes the door before it; uplink is what a configuration says of the way there, and refusals
	// are how it turns logins down.
	front(t *testing.T, m manners) *door
	uplink() []string
	refusals() []refusal
	// rest ends the cloud, return starts it again.
	rest(t *testing.T)
	comeBack(t *testing.T)
	// spent ends it for good.
	spent(t *testing.T)
	// far is what its own recorder may repeat for each rest.
	far() (rewinds, repeats int)
	// inOneOrder says whether it keeps one order over all devices, and not one for each.
	inOneOrder() bool
	records() *record
}

// farClouds are the clouds of the long outage test.
var farClouds = map[string]func(t *testing.T, s site) farCloud{
	"sink": func(t *testing.T, s site) farCloud {
		k := newSink(t, s, brokerAddress)
		k.options, k.record.parse = []string{"--topics"}, topicAndPayload
		k.start(t)
		return killedSink{k}
	},
	"mosquitto": func(t *testing.T, s site) farCloud { return stoppedMosquitto{newMosquitto(t, s, brokerAddress)} },
	"rocketmq":  func(t *testing.T, s site) farCloud { return newRocketMQ(t, s) },
}

type killedSink struct{ *sink }

func (k killedSink) rest(*testing.T)             { k.process.kill() }
func (k killedSink) comeBack(t *testing.T)       { k.start(t) }
func (k killedSink) far() (rewinds, repeats int) { return 0, 0 }
func (k killedSink) inOneOrder() bool            { return true }
func (k killedSink) records() *record            { return k.record }
func (k killedSink) uplink() []string            { return mqttUplink() }
func (k killedSink) refusals() []refusal         { return mqttRefusals() }

func (k killedSink) front(t *testing.T, m manners) *door { return newMQTTDoor(t, k.site, m) }

func (k killedSink) spent(t *testing.T) {
	t.Helper()
	if code, _, err := k.process.terminate(30 * time.Second); code != 0 || err != nil {
		t.Errorf("the sink ended with code %d: %v", code, err)
	}
}

type stoppedMosquitto struct{ *mosquitto }

func (m stoppedMosquitto) rest(t *testing.T)           { m.stop(t) }
func (m stoppedMosquitto) comeBack(t *testing.T)       { m.start(t) }
func (m stoppedMosquitto) far() (rewinds, repeats int) { return 2, subscriberLag }
func (m stoppedMosquitto) inOneOrder() bool            { return true }
func (m stoppedMosquitto) records() *record            { return m.record }
func (m stoppedMosquitto) spent(*testing.T)            {}
func (m stoppedMosquitto) uplink() []string            { return mqttUplink() }
func (m stoppedMosquitto) refusals() []refusal         { return mqttRefusals() }

func (m stoppedMosquitto) front(t *testing.T, good manners) *door {
	return newMQTTDoor(t, m.site, good)
}

// topicAndPayload reads what the sink writes with --topics.
func topicAndPayload(line []byte) (delivery, error) {
	topic, payload, _ := bytes.Cut(line, []byte(" "))
	d, err := payloadOnly(payload)
	d.topic = string(topic)
	return d, err
}
