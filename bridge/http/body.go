package http

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"sluice/bridge"
	"sluice/bridge/batch"
)

// What a body of a single payload says about itself beside Content-Type.
const (
	idHeader    = "Sluice-Id"
	topicHeader = "Sluice-Topic"
)

// isJSON says whether payload can stand in a JSON body as it is.
func isJSON(payload []byte) bool { return utf8.Valid(payload) && json.Valid(payload) }

// content makes the body of a request and says what it is.
func (o *Options) content(items []batch.Item) (body []byte, contentType string) {
	switch o.Body {
	case singleBody:
		if payload := items[0].Payload; isJSON(payload) {
			return payload, "application/json"
		}
		return items[0].Payload, "application/octet-stream"
	case ndjsonBody:
		for i := range items {
			body = append(o.appendMessage(body, &items[i].Outgoing), '\n')
		}
		return body, "application/x-ndjson"
	}
	body = append(body, '[')
	for i := range items {
		if i > 0 {
			body = append(body, ',')
		}
		body = o.appendMessage(body, &items[i].Outgoing)
	}
	return append(body, ']'), "application/json"
}

func (o *Options) appendMessage(b []byte, m *bridge.Outgoing) []byte {
	if !o.Envelope {
		return appendOneLine(b, m.Payload)
	}
	b = append(b, `{"id":`...)
	b = appendString(b, m.ID())
	b = append(b, `,"topic":`...)
	b = appendString(b, m.Topic)
	switch {
	case isJSON(m.Payload):
		b = append(b, `,"payload":`...)
		b = appendOneLine(b, m.Payload)
	case utf8.Valid(m.Payload):
		b = append(b, `,"text":`...)
		b = appendString(b, string(m.Payload))
	default:
		b = append(b, `,"base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, m.Payload)
		b = append(b, '"')
	}
	first := true
	for p := range m.UserProperties() { // a list: a name may come twice
		if first {
			b = append(b, `,"properties":[`...)
		} else {
			b = append(b, ',')
		}
		first = false
		b = append(b, `{"name":`...)
		b = appendString(b, p.Name)
		b = append(b, `,"value":`...)
		b = appendString(b, p.Value)
		b = append(b, '}')
	}
	if !first {
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendOneLine appends JSON without line breaks, which only stand between its values.
func appendOneLine(b, payload []byte) []byte {
	if !bytes.ContainsAny(payload, "\r\n") {
		return append(b, payload...)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, payload); err != nil {
		panic("bug: JSON that was checked is none: " + err.Error())
	}
	return append(b, line.Bytes()...)
}

func appendString(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("bug: a string cannot fail to marshal: " + err.Error())
	}
	return append(b, quoted...)
}

// idempotencyKey is the same for the same messages in the same order and for no others.
func idempotencyKey(items []batch.Item) string {
	hash := sha256.New()
	for i := range items {
		fmt.Fprintf(hash, "%s\n", items[i].ID())
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// press compresses a body. A level for speed: readings differ little from each other, and the
// processor is small.
func press(w *gzip.Writer, body []byte) ([]byte, error) {
	var pressed bytes.Buffer
	w.Reset(&pressed)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return pressed.Bytes(), nil
}
