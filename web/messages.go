package web

import (
	"context"
	"errors"
	"time"
)

// Messages answers what is asked about messages, topics and consumer groups. Its methods may be called
// from any goroutine.
type Messages interface {
	Topics() ([]Topic, error)
	Groups() ([]Group, error)
	// Search finds messages by key, the newest first, or by time, the oldest first.
	Search(ctx context.Context, wanted Search) ([]MessageHead, error)
	// PositionOf gives the position that a message id of RocketMQ carries; ErrUnknown.
	PositionOf(id string) (uint64, error)
	// Message gives one message with its track; ErrUnknown.
	Message(position uint64) (Message, error)
	// Resend puts a copy of a message on the retry topic of a group, or where it came from if group is
	// empty, and returns when that is durable; ErrUnknown, ErrNotAllowed.
	Resend(ctx context.Context, position uint64, group string) (Resent, error)
	// Reset sets where a group goes on in a topic to the first message stored at a time or later, and
	// returns when that is durable; ErrUnknown.
	Reset(ctx context.Context, group, topic string, to time.Time) ([]Reset, error)
	// Publish stores a message and returns when it is durable; FieldError, message.ErrTopic, ErrTooLarge.
	Publish(ctx context.Context, m NewMessage) (Resent, error)
	// Follow tells of messages that come under one of the filters from now on, at least each second, also of
	// none, until ctx ends, which is no error, or tell fails.
	Follow(ctx context.Context, filters []string, tell func(TailNews) error) error
	// Dead lists where messages lie that nobody took.
	Dead(ctx context.Context) (DeadPlaces, error)
}

// Newest is what Messages may be able to do beside.
type Newest interface {
	// Newest finds messages of a topic from its end on: the newest first, and none from a position on.
	Newest(ctx context.Context, wanted Search, before uint64) ([]MessageHead, error)
}

// Outline is what Messages may be able to do beside: tell of ten thousand topics without a look into the
// queues of each.
type Outline interface {
	TopicsWithoutQueues() ([]Topic, error)
	QueuesOf(topic string) ([]Queue, error) // ErrUnknown
}

// ErrNotAllowed is what Messages gives for what the gateway does not do; its text says why.
var ErrNotAllowed = errors.New("this is not allowed")

// Topic is a topic as RocketMQ has them: the first level of MQTT topics.
type Topic struct {
	Name        string  `json:"name"`
	Permission  string  `json:"permission"` // r, w
	WriteQueues int     `json:"write_queues"`
	Internal    bool    `json:"internal"` // machinery: retries, dead letters and the like
	Queues      []Queue `json:"queues"`
}

// Queue is one queue of a topic. Its messages are counted from 0.
type Queue struct {
	Number int    `json:"number"`
	First  uint64 `json:"first"` // still in the log
	Next   uint64 `json:"next"`
}

// TopicDetail is a topic with who reads it.
type TopicDetail struct {
	Topic
	Last   *time.Time   `json:"last,omitempty"` // when its last message was stored, if that is known
	Groups []TopicGroup `json:"groups"`
}

// TopicGroup is a group that has a place in a topic.
type TopicGroup struct {
	Name string `json:"name"`
	Lag  uint64 `json:"lag"` // in this topic
}

// Group is a consumer group.
type Group struct {
	Name       string `json:"name"`
	Lag        uint64 `json:"lag"` // messages that it has not passed, in all its queues
	MaxRetries int    `json:"max_retries"`
	Ordered    bool   `json:"ordered"`
	Disabled   bool   `json:"disabled"`
	// Clients is how many consumers are connected; missing when that is not known.
	Clients *int         `json:"clients,omitempty"`
	Mode    string       `json:"mode,omitempty"` // clustering, broadcasting; as long as consumers are connected
	Queues  []GroupQueue `json:"queues"`
}

// GroupQueue is how far a group is in a queue.
type GroupQueue struct {
	Topic string `json:"topic"`
	Queue int    `json:"queue"`
	Next  int64  `json:"next"` // where the group goes on
	End   uint64 `json:"end"`  // the next message's
	Lag   uint64 `json:"lag"`
}

// Search says which messages are wanted: those with a key, or those of a topic, stored between two times.
type Search struct {
	Key, Topic string
	From, To   time.Time // zero: no bound
	Limit      int
}

// MessageHead is a message without what it carries.
type MessageHead struct {
	Position  uint64    `json:"position"`
	Topic     string    `json:"topic"`
	MQTTTopic string    `json:"mqtt_topic"` // under which MQTT clients see it
	Queue     int       `json:"queue"`      // -1: it belongs to none
	Offset    uint64    `json:"offset"`
	Stored    time.Time `json:"stored"`
	Bytes     int       `json:"bytes"`
	UniqueKey string    `json:"unique_key,omitempty"`
	Keys      string    `json:"keys,omitempty"`
	Tags      string    `json:"tags,omitempty"`
	Retries   int       `json:"retries"`
}

// Message is a message with what became of it.
type Message struct {
	MessageHead
	Born       time.Time         `json:"born"`
	BornHost   string            `json:"born_host,omitempty"`
	Properties []MessageProperty `json:"properties"`
	Text       string            `json:"text,omitempty"`   // the payload, if it is text
	Binary     []byte            `json:"binary,omitempty"` // else: in base64
	Cut        bool              `json:"cut"`              // only the beginning of the payload is shown
	Sparkplug  *Sparkplug        `json:"sparkplug,omitempty"`
	Track      []Track           `json:"track"`
}

// Sparkplug is what a Sparkplug B payload says.
type Sparkplug struct {
	Kind    string            `json:"kind"` // NBIRTH, DDATA and so on
	Group   string            `json:"group"`
	Node    string            `json:"node"`
	Device  string            `json:"device,omitempty"` // missing: it is about the node itself
	Time    time.Time         `json:"time,omitzero"`
	Seq     *uint64           `json:"seq,omitempty"`
	Metrics []SparkplugMetric `json:"metrics"`
	Count   int               `json:"count"` // of the metrics, of which the first are shown
}

// SparkplugMetric is one metric. Numbers of 64 bits are text: JavaScript would round them.
type SparkplugMetric struct {
	Name       string    `json:"name,omitempty"`  // missing: the birth of the alias tells
	Alias      string    `json:"alias,omitempty"` // a number
	Type       string    `json:"type,omitempty"`  // as the specification writes it
	Time       time.Time `json:"time,omitzero"`
	Historical bool      `json:"historical,omitempty"`
	Value      *string   `json:"value,omitempty"` // missing: null
	Bytes      int       `json:"bytes,omitempty"` // how long the value is, where only its beginning or its bytes are shown
}

// MessageProperty is one of a message's properties. Names may repeat.
type MessageProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Track is what a group that consumes the message's topic has done with it.
type Track struct {
	Group string `json:"group"`
	State string `json:"state"` // consumed: the group has passed it; waiting
	Next  int64  `json:"next"`  // where the group goes on
}

// Resent is the copy of a message.
type Resent struct {
	Topic    string `json:"topic"`
	Queue    int    `json:"queue"`
	Offset   uint64 `json:"offset"`
	Position uint64 `json:"position"`
}

// Reset is what became of a group's place in a queue.
type Reset struct {
	Queue  int    `json:"queue"`
	Before *int64 `json:"before,omitempty"` // absent: the group had none
	After  uint64 `json:"after"`
}
