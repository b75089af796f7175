package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"sluice/gateway/message"
)

const (
	publishPath       = "/api/v1/messages"
	maxPublish        = 1 << 20 // bytes of a request, which has the payload as text, JSON or base64
	maxNewProperties  = 32
	maxPropertyBytes  = 1024
	longestNewExpiry  = 1 << 31 // seconds
	usualNewQoS       = 1
	encodingText      = "text"
	encodingJSON      = "json"
	encodingBase64    = "base64"
	publishedInAudits = "message published"
)

// NewMessage is a message that somebody publishes by hand.
type NewMessage struct {
	Topic      string
	Payload    []byte
	QoS        byte // 1 or 2
	Retain     bool
	Expiry     uint32 // seconds after which nobody wants it; 0: never
	Properties []MessageProperty
}

// publishRequest is the body of POST /api/v1/messages.
type publishRequest struct {
	Topic      string            `json:"topic"`
	Payload    json.RawMessage   `json:"payload,omitempty"`
	Encoding   string            `json:"encoding,omitempty"` // text, json or base64; text where it is not said
	QoS        *int              `json:"qos,omitempty"`
	Retain     bool              `json:"retain,omitempty"`
	Expiry     int64             `json:"expiry_seconds,omitempty"`
	Properties []MessageProperty `json:"properties,omitempty"`
}

func (s *Server) publishMessage(c *gin.Context) {
	var request publishRequest
	if !read(c, &request) {
		return
	}
	m, err := request.message()
	if err != nil {
		s.publishFailed(c, err)
		return
	}
	sent, err := s.options.Messages.Publish(c.Request.Context(), m)
	if err != nil {
		s.publishFailed(c, err)
		return
	}
	s.log.Info("a message was published on request", "topic", m.Topic, "position", sent.Position, "user", who(c).user)
	s.record(c, who(c).user, publishedInAudits, fmt.Sprintf("%s, %d bytes, at %d", m.Topic, len(m.Payload), sent.Position))
	answer(c, http.StatusCreated, sent)
}

func (s *Server) publishFailed(c *gin.Context, err error) {
	wrong, isWrong := errors.AsType[*FieldError](err)
	switch {
	case isWrong:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: wrong.Field, Detail: wrong.Text})
	case errors.Is(err, message.ErrTopic):
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "topic", Detail: err.Error()})
	case errors.Is(err, message.ErrTooLarge):
		refuse(c, problem{Status: http.StatusRequestEntityTooLarge, Field: "payload", Detail: err.Error()})
	default:
		s.messagesFailed(c, err)
	}
}

// message checks a request as the MQTT listener checks a PUBLISH.
func (r *publishRequest) message() (m NewMessage, err error) {
	wrong := func(field, format string, a ...any) (NewMessage, error) {
		return NewMessage{}, &FieldError{Field: field, Text: fmt.Sprintf(format, a...)}
	}
	m = NewMessage{Topic: r.Topic, QoS: usualNewQoS, Retain: r.Retain, Properties: r.Properties}
	if err := message.CheckTopic(r.Topic); err != nil {
		return wrong("topic", "%v", err)
	}
	if r.Topic[0] == '$' {
		return wrong("topic", "topics that begin with $ are the gateway's own")
	}
	if m.Payload, err = r.payload(); err != nil {
		return NewMessage{}, err
	}
	if r.QoS != nil {
		if *r.QoS != 1 && *r.QoS != 2 {
			return wrong("qos", "qos is 1 or 2: what is published here is stored")
		}
		m.QoS = byte(*r.QoS)
	}
	if r.Expiry < 0 || r.Expiry > longestNewExpiry {
		return wrong("expiry_seconds", "expiry_seconds is a number from 0, for never, to %d", int64(longestNewExpiry))
	}
	m.Expiry = uint32(r.Expiry)
	if len(r.Properties) > maxNewProperties {
		return wrong("properties", "a message has at most %d properties here", maxNewProperties)
	}
	for i, p := range r.Properties {
		if p.Name == "" || len(p.Name)+len(p.Value) > maxPropertyBytes || strings.ContainsRune(p.Name+p.Value, 0) || !utf8.ValidString(p.Name+p.Value) {
			return wrong(fmt.Sprintf("properties.%d", i), "a property has a name, and with its value at most %d bytes of text", maxPropertyBytes)
		}
	}
	return m, nil
}

func (r *publishRequest) payload() ([]byte, error) {
	if r.Encoding == encodingJSON {
		if len(r.Payload) == 0 {
			return nil, &FieldError{Field: "payload", Text: "with encoding json the payload is any JSON value"}
		}
		return r.Payload, nil
	}
	var text string
	if len(r.Payload) > 0 {
		if err := json.Unmarshal(r.Payload, &text); err != nil || r.Payload[0] != '"' {
			return nil, &FieldError{Field: "payload", Text: "the payload is a text in quotes; any other JSON value goes with encoding json"}
		}
	}
	switch r.Encoding {
	case "", encodingText:
		return []byte(text), nil
	case encodingBase64:
		payload, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, &FieldError{Field: "payload", Text: "the payload is not base64: " + err.Error()}
		}
		return payload, nil
	}
	return nil, &FieldError{Field: "encoding", Text: "encoding is text, json or base64"}
}
