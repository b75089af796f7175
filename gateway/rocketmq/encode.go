package rocketmq

import (
	"encoding/json"
	"strconv"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// encode writes records one behind the other as consumers read them.
func (s *Server) encode(c *conn, records []message.Record) (b []byte, err error) {
	size := 0
	for i := range records {
		size += len(records[i].Payload) + 512
	}
	b = make([]byte, 0, size)
	for i := range records {
		if b, err = s.appendMessage(b, c, queue.FromRecord(&records[i])); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendMessage writes one message as it is stored, in the form that every client reads: a topic of at most
// 127 bytes has the first version's magic.
func (s *Server) appendMessage(b []byte, c *conn, m *queue.Message) ([]byte, error) {
	properties := make([]remoting.Property, 0, len(m.Properties)+3)
	for _, p := range m.Properties {
		switch p.Name {
		case propertyRegion, propertyTrace, propertyCluster: // only the broker knows
		default:
			properties = append(properties, remoting.Property(p))
		}
	}
	properties = append(properties, remoting.Property{Name: propertyRegion, Value: region},
		remoting.Property{Name: propertyTrace, Value: "true"}, remoting.Property{Name: propertyCluster, Value: s.options.Cluster})
	text, err := remoting.AppendProperties(nil, properties)
	if err != nil {
		return nil, err
	}
	born := m.BornHost
	if !born.IsValid() {
		born = c.local
	}
	return remoting.AppendStored(b, &remoting.Stored{
		QueueID: int32(m.Queue), Flag: m.Flag, QueueOffset: int64(m.Offset), PhysicalOffset: int64(m.Position),
		SysFlag: m.SysFlag, BornTime: m.BornTime, BornHost: born, StoreTime: m.StoreTime, StoreHost: s.host(c),
		Reconsumed: m.Reconsumed, Prepared: int64(m.Prepared), Body: m.Body, Topic: m.Topic, Properties: string(text),
	})
}

// What a broker says of itself in every message.
const (
	propertyRegion  = "MSG_REGION"
	propertyTrace   = "TRACE_ON"
	propertyCluster = "CLUSTER"
)

// quote writes a JSON string.
func quote(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil { // a string can always be written
		return []byte(`""`)
	}
	return b
}

func parseInt(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }

func (s *Server) now() time.Time { return time.Now() }

// joinProperties writes properties as they travel.
func joinProperties(list []message.Property) (string, error) {
	properties := make([]remoting.Property, len(list))
	for i, p := range list {
		properties[i] = remoting.Property(p)
	}
	b, err := remoting.AppendProperties(nil, properties)
	return string(b), err
}
