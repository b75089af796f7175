package mqtt

import (
	"bytes"
	"testing"
	"testing/synctest"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

func TestClientsGetReadablePayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Readable: func(m *message.Record) ([]byte, string) {
			if bytes.HasPrefix(m.Payload, []byte("bad")) {
				return m.Payload, "lz4"
			}
			return bytes.ToUpper(m.Payload), ""
		}})
		old := r.connect(t, "old")
		old.subscribe("t", 1)
		c := r.dial(t)
		connect := packet.Connect{Version: packet.V5, CleanStart: true, ClientID: []byte("new")}
		c.write(connect.Append(nil))
		c.next()
		subscribe := packet.Subscribe{ID: 9, Filters: []packet.Filter{{Filter: []byte("t"), QoS: 0}}}
		c.write(subscribe.Append(nil, packet.V5))
		c.next()
		publisher := r.connect(t, "publisher")
		for _, test := range []struct{ payload, want, encoding string }{{"good", "GOOD", ""}, {"bad", "bad", "lz4"}} {
			publisher.publish(1, 1, "t", test.payload)
			if got := old.nextPublish(); string(got.Payload) != test.want {
				t.Errorf("MQTT 3.1.1: %q", got.Payload)
			}
			old.send("4002" + "0001")
			var got packet.Publish
			f, ok := c.next()
			if !ok || got.Decode(f, packet.V5) != nil || string(got.Payload) != test.want {
				t.Fatalf("MQTT 5: %v %x", ok, f.Body)
			}
			encoding := ""
			for _, p := range got.Properties {
				if p.ID == packet.UserProperty && string(p.Name) == "content-encoding" {
					encoding = string(p.Data)
				}
			}
			if encoding != test.encoding {
				t.Errorf("MQTT 5: encoding %q, want %q", encoding, test.encoding)
			}
		}
	})
}
