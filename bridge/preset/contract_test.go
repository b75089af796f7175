package preset

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/bridge/uplinktest"
)

// talking is a Sparkplug uplink for the contract's messages, each as the one point of a reading.
type talking struct{ bridge.Uplink }

func (u talking) Connect(ctx context.Context) (bridge.Link, error) {
	l, err := u.Uplink.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return talkingLink{l}, nil
}

type talkingLink struct{ bridge.Link }

func (l talkingLink) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	record := *o.Record
	if bytes.HasPrefix(record.Payload, []byte("message ")) {
		record.Payload = fmt.Appendf(nil, `{"values":{"text":"%s."}}`, record.Payload)
	}
	said := *o
	said.Record = &record
	return l.Link.Send(ctx, &said, done)
}

func TestUplinkContract(t *testing.T) {
	uplinktest.Run(t, func(t *testing.T) uplinktest.Harness {
		var mu sync.Mutex
		var received []string
		cloud, err := cloudsim.Listen("127.0.0.1:0", cloudsim.Options{
			Record: t.TempDir() + "/taken",
			Taken: func(topic string, payload []byte) {
				_, said, found := strings.Cut(string(payload), "message ")
				if strings.Contains(topic, "/DDATA/") && found {
					mu.Lock()
					defer mu.Unlock()
					received = append(received, "message "+said[:strings.IndexByte(said, '.')])
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- cloud.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the simulated cloud ended with %v", err)
			}
		})
		o := Sparkplug{Address: "tcp://" + cloud.Addr().String(), Group: "plant", Line: defaultLine()}
		u, err := o.open("line-3", quiet())
		if err != nil {
			t.Fatal(err)
		}
		return uplinktest.Harness{
			Uplink: talking{u},
			Received: func() []string {
				mu.Lock()
				defer mu.Unlock()
				return append([]string(nil), received...)
			},
			Mute:  func(mute bool) { cloud.SetFaults(cloudsim.Faults{NoAck: mute}) },
			SetUp: cloud.SetUp,
		}
	})
}
