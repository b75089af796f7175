package rocketmq

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// encode appends records one behind the other as consumers read them.
func (s *Server) encode(b []byte, c *conn, records []message.Record) (_ []byte, err error) {
	e := s.encoder(c)
	var m queue.Message
	for i := range records {
		m.Load(&records[i])
		if b, err = e.append(b, &m); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendMessage writes one message as it is stored.
func (s *Server) appendMessage(b []byte, c *conn, m *queue.Message) ([]byte, error) {
	e := s.encoder(c)
	return e.append(b, m)
}

// encoder writes messages for one client. It keeps what it needs for each of them.
type encoder struct {
	own        [3]remoting.Property // what only the broker knows
	born, host netip.AddrPort       // born: of messages that do not say where
	properties []remoting.Property
}

func (s *Server) encoder(c *conn) encoder {
	return encoder{
		own:  [3]remoting.Property{{Name: propertyRegion, Value: region}, {Name: propertyTrace, Value: "true"}, {Name: propertyCluster, Value: s.options.Cluster}},
		born: c.local, host: s.host(c),
	}
}

// append writes one message as it is stored, in the form that every client reads: a topic of at most
// 127 bytes has the first version's magic.
func (e *encoder) append(b []byte, m *queue.Message) ([]byte, error) {
	e.properties = e.properties[:0]
	for i := range m.Properties {
		switch p := &m.Properties[i]; p.Name {
		case propertyRegion, propertyTrace, propertyCluster:
		default:
			e.properties = append(e.properties, remoting.Property(*p))
		}
	}
	e.properties = append(e.properties, e.own[:]...)
	born := m.BornHost
	if !born.IsValid() {
		born = e.born
	}
	return remoting.AppendStored(b, &remoting.Stored{
		QueueID: int32(m.Queue), Flag: m.Flag, QueueOffset: int64(m.Offset), PhysicalOffset: int64(m.Position),
		SysFlag: m.SysFlag, BornTime: m.BornTime, BornHost: born, StoreTime: m.StoreTime, StoreHost: e.host,
		Reconsumed: m.Reconsumed, Prepared: int64(m.Prepared), Body: m.Body, Topic: m.Topic,
	}, e.properties...)
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
