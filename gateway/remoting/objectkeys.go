package remoting

import (
	"bytes"
	"fmt"
	"strconv"
)

// maxEntries bounds the maps that are read; each entry costs more memory than bytes on the wire.
const maxEntries = 1 << 16

// MessageQueue names a queue of a topic on a broker.
type MessageQueue struct {
	Topic      string
	BrokerName string
	QueueID    int32
}

// QueueEntry is an entry of a map whose keys are queues. Value is JSON text.
type QueueEntry struct {
	Queue MessageQueue
	Value []byte
}

// AppendQueueMap appends entries as fastjson writes a map whose keys are objects, which is no JSON:
// {{"brokerName":"b","queueId":0,"topic":"t"}:VALUE}. Java's admin client expects just that.
func AppendQueueMap(b []byte, entries []QueueEntry) []byte {
	b = append(b, '{')
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"brokerName":`...)
		b = AppendQuoted(b, e.Queue.BrokerName)
		b = append(b, `,"queueId":`...)
		b = strconv.AppendInt(b, int64(e.Queue.QueueID), 10)
		b = append(b, `,"topic":`...)
		b = AppendQuoted(b, e.Queue.Topic)
		b = append(b, "}:"...)
		b = append(b, e.Value...)
	}
	return append(b, '}')
}

// ParseQueueMap reads a map whose keys are queues, written as objects or, by libraries that only know JSON, as strings that
// hold one.
func ParseQueueMap(text []byte) ([]QueueEntry, error) {
	s := scanner{b: bytes.Clone(text)} // keys are unescaped where they lie
	entries := []QueueEntry{}
	if s.peek() != '{' {
		return nil, s.wrong("no '{'")
	}
	err := s.members('}', func() (err error) {
		if len(entries) == maxEntries {
			return fmt.Errorf("map of more than %d queues: %w", maxEntries, ErrTooLarge)
		}
		var e QueueEntry
		if e.Queue, err = s.queue(); err != nil {
			return err
		}
		if err := s.take(':'); err != nil {
			return err
		}
		e.Value, err = s.raw()
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, s.end()
}

// queue reads a key, as an object or as a string that holds one.
func (s *scanner) queue() (q MessageQueue, err error) {
	if s.peek() == '"' {
		key, err := s.text()
		if err != nil {
			return q, err
		}
		inner := scanner{b: s.b[key.from:key.to]}
		if inner.peek() != '{' {
			return q, s.wrong("name that is no queue")
		}
		if q, err = inner.queue(); err != nil {
			return q, err
		}
		return q, inner.end()
	}
	if s.peek() != '{' {
		return q, s.wrong("name that is no queue")
	}
	return q, s.members('}', func() error {
		name, err := s.name()
		if err != nil {
			return err
		}
		switch string(s.b[name.from:name.to]) {
		case "topic":
			q.Topic, err = s.string()
		case "brokerName":
			q.BrokerName, err = s.string()
		case "queueId":
			var id int
			id, err = s.integer()
			q.QueueID = int32(id)
		default:
			err = s.skip(1)
		}
		return err
	})
}

// string reads a string; null is an empty one.
func (s *scanner) string() (string, error) {
	v, null, err := s.scalar()
	if err != nil || null {
		return "", err
	}
	return string(s.b[v.from:v.to]), nil
}

// raw passes over a value and gives its text.
func (s *scanner) raw() ([]byte, error) {
	s.peek()
	from := s.at
	if err := s.skip(1); err != nil {
		return nil, err
	}
	return s.b[from:s.at:s.at], nil
}

// IntEntry is an entry of a map whose keys are integers. Value is JSON text.
type IntEntry struct {
	Key   int64
	Value []byte
}

// AppendIntMap appends entries with their keys in quotes, as JSON wants it, or without, as fastjson writes them.
// The stock rule is: in quotes for clients of version 401 and above and for those that say acceptStandardJsonOnly.
func AppendIntMap(b []byte, entries []IntEntry, quoted bool) []byte {
	b = append(b, '{')
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		if quoted {
			b = append(b, '"')
		}
		b = strconv.AppendInt(b, e.Key, 10)
		if quoted {
			b = append(b, '"')
		}
		b = append(b, ':')
		b = append(b, e.Value...)
	}
	return append(b, '}')
}

// ParseIntMap reads a map whose keys are integers, in quotes or not.
func ParseIntMap(text []byte) ([]IntEntry, error) {
	s := scanner{b: bytes.Clone(text)}
	entries := []IntEntry{}
	if s.peek() != '{' {
		return nil, s.wrong("no '{'")
	}
	err := s.members('}', func() error {
		if len(entries) == maxEntries {
			return fmt.Errorf("map of more than %d entries: %w", maxEntries, ErrTooLarge)
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		key, err := strconv.ParseInt(string(s.b[name.from:name.to]), 10, 64)
		if err != nil {
			return s.wrong("name that is no integer")
		}
		value, err := s.raw()
		entries = append(entries, IntEntry{key, value})
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, s.end()
}
