package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/bridge"
	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
	"sluice/store"
	"sluice/web"
)

// messages lets queues and log be what the page asks about messages.
type messages struct {
	queues    *queue.Queues
	log       *store.Store
	readable  *readable
	consumers func(group string) (clients int, broadcast, known bool)
	broker    *broker.Broker
	forwards  func(uplink, topic string) bool
}

// machinery are what the names of topics begin with that the gateway keeps for itself.
var machinery = []string{queue.RetryPrefix, queue.DeadPrefix, "RMQ_SYS_", "rmq_sys_", "SCHEDULE_TOPIC_", "TRANS_CHECK_MAX_TIME_TOPIC", queue.DefaultTopic}

func isMachinery(topic string) bool {
	return slices.ContainsFunc(machinery, func(prefix string) bool { return strings.HasPrefix(topic, prefix) })
}

// Topics lists the topics by name.
func (m messages) Topics() ([]web.Topic, error) {
	list, err := m.TopicsWithoutQueues()
	for i := 0; i < len(list) && err == nil; i++ {
		list[i].Queues, err = m.QueuesOf(list[i].Name)
	}
	return list, err
}

// TopicsWithoutQueues lists the topics by name.
func (m messages) TopicsWithoutQueues() (list []web.Topic, err error) {
	for _, t := range m.queues.Topics() {
		shown := web.Topic{Name: t.Name, WriteQueues: t.WriteQueues, Internal: isMachinery(t.Name), Queues: []web.Queue{}}
		if t.Permission&queue.MayRead != 0 {
			shown.Permission += "r"
		}
		if t.Permission&queue.MayWrite != 0 {
			shown.Permission += "w"
		}
		list = append(list, shown)
	}
	return list, nil
}

// QueuesOf lists the queues of a topic.
func (m messages) QueuesOf(name string) ([]web.Queue, error) {
	t, known := m.queues.Topic(name)
	if !known {
		return nil, fmt.Errorf("%w: topic %s", web.ErrUnknown, name)
	}
	list := []web.Queue{}
	for number := range t.ReadQueues {
		first, next, err := m.queues.Range(name, number)
		if err != nil {
			return nil, err
		}
		list = append(list, web.Queue{Number: number, First: first, Next: next})
	}
	return list, nil
}

// Groups lists the consumer groups by name.
func (m messages) Groups() (list []web.Group, err error) {
	for _, g := range m.queues.Groups() {
		shown := web.Group{Name: g.Name, MaxRetries: g.MaxRetries, Ordered: g.Ordered, Disabled: g.ConsumeDisabled, Queues: []web.GroupQueue{}}
		m.queues.EachOffset(g.Name, func(topic string, number int, next int64) {
			shown.Queues = append(shown.Queues, web.GroupQueue{Topic: topic, Queue: number, Next: next})
		})
		for i := range shown.Queues {
			at := &shown.Queues[i]
			first, end, err := m.queues.Range(at.Topic, at.Queue)
			if err != nil {
				return nil, err
			}
			at.End = end
			if from := max(first, uint64(max(at.Next, 0))); from < end {
				at.Lag = end - from
			}
			shown.Lag += at.Lag
		}
		if clients, broadcast, known := m.consumers(g.Name); known {
			shown.Clients = &clients
			switch {
			case clients > 0 && broadcast:
				shown.Mode = "broadcasting"
			case clients > 0:
				shown.Mode = "clustering"
			}
		}
		list = append(list, shown)
	}
	return list, nil
}

// Search finds messages by key, or those of a topic by time.
func (m messages) Search(ctx context.Context, wanted web.Search) (found []web.MessageHead, err error) {
	if wanted.Key == "" {
		return m.searchTime(ctx, wanted)
	}
	records, err := m.log.FindByKey(ctx, wanted.Key, wanted.From, wanted.To, 4*wanted.Limit) // other topics' are among them
	for i := range records {
		head := headOf(&records[i], queue.FromRecord(&records[i]))
		if len(found) < wanted.Limit && (wanted.Topic == "" || head.Topic == wanted.Topic) {
			found = append(found, head)
		}
	}
	if left := wanted.Limit - len(found); err == nil && left > 0 && (wanted.Topic == "" || wanted.Topic == queue.ReadingsTopic) {
		records, err = m.queues.Readings(ctx, wanted.Key, wanted.From, wanted.To, left)
		for i := range records {
			found = append(found, headOf(&records[i], queue.FromRecord(&records[i])))
		}
	}
	return found, err
}

// searchTime finds the first messages of a topic that were stored between two times.
func (m messages) searchTime(ctx context.Context, wanted web.Search) (found []web.MessageHead, err error) {
	topic, known := m.queues.Topic(wanted.Topic)
	if !known {
		return nil, fmt.Errorf("%w: topic %s", web.ErrUnknown, wanted.Topic)
	}
	for number := range topic.ReadQueues {
		from, err := m.searchFrom(wanted, number)
		if err != nil {
			return nil, err
		}
		inQueue := 0
		for more := true; more && inQueue < wanted.Limit && ctx.Err() == nil; {
			pulled, err := m.queues.Pull(topic.Name, number, from, wanted.Limit-inQueue, searchBytes, nil)
			if err != nil {
				return nil, explain(err)
			}
			more = pulled.Next > from
			from = pulled.Next
			for i := range pulled.Records {
				r := &pulled.Records[i]
				if !wanted.To.IsZero() && r.Time > wanted.To.UnixMilli() {
					more = false
					break
				}
				found = append(found, headOf(r, queue.FromRecord(r)))
				inQueue++
			}
		}
	}
	slices.SortFunc(found, func(a, b web.MessageHead) int { return cmp.Compare(a.Position, b.Position) })
	return found[:min(len(found), wanted.Limit)], ctx.Err()
}

// Newest finds the last messages of a topic that were stored between two times and lie before a position.
func (m messages) Newest(ctx context.Context, wanted web.Search, before uint64) (found []web.MessageHead, err error) {
	topic, known := m.queues.Topic(wanted.Topic)
	if !known {
		return nil, fmt.Errorf("%w: topic %s", web.ErrUnknown, wanted.Topic)
	}
	for number := range topic.ReadQueues {
		first, err := m.searchFrom(wanted, number)
		if err != nil {
			return nil, err
		}
		_, end, err := m.queues.Range(topic.Name, number)
		if err == nil && !wanted.To.IsZero() {
			end, err = m.queues.OffsetAt(topic.Name, number, wanted.To.UnixMilli()+1)
		}
		if err != nil {
			return nil, err
		}
		if before != 0 {
			if end, err = m.offsetBefore(topic.Name, number, first, end, before); err != nil {
				return nil, err
			}
		}
		for inQueue := 0; end > first && inQueue < wanted.Limit && ctx.Err() == nil; {
			from := max(first, end-min(end, uint64(wanted.Limit-inQueue)))
			read, err := m.readRange(topic.Name, number, from, end)
			if err != nil {
				return nil, err
			}
			found = append(found, read...)
			inQueue += len(read)
			end = from
		}
	}
	slices.SortFunc(found, func(a, b web.MessageHead) int { return cmp.Compare(b.Position, a.Position) })
	return found[:min(len(found), wanted.Limit)], ctx.Err()
}

// readRange reads what is there of a queue from an offset on and up to another.
func (m messages) readRange(topic string, number int, from, end uint64) (found []web.MessageHead, err error) {
	for from < end {
		pulled, err := m.queues.Pull(topic, number, from, int(end-from), searchBytes, nil)
		if err != nil {
			return nil, explain(err)
		}
		for i := range pulled.Records {
			if r := &pulled.Records[i]; r.QueueOffset < end {
				found = append(found, headOf(r, queue.FromRecord(r)))
			}
		}
		if pulled.Next <= from {
			break
		}
		from = pulled.Next
	}
	return found, nil
}

// offsetBefore gives the offset, from first to end, up to which a queue's messages lie before a position.
func (m messages) offsetBefore(topic string, number int, first, end, before uint64) (uint64, error) {
	for first < end {
		middle := first + (end-first)/2
		pulled, err := m.queues.Pull(topic, number, middle, 1, searchBytes, nil)
		if err != nil {
			return 0, explain(err)
		}
		if len(pulled.Records) > 0 && uint64(pulled.Records[0].Position) < before {
			first = pulled.Records[0].QueueOffset + 1
		} else {
			end = middle
		}
	}
	return first, nil
}

// searchBytes is how much a search reads at once.
const searchBytes = 1 << 20

func (m messages) searchFrom(wanted web.Search, number int) (uint64, error) {
	if !wanted.From.IsZero() {
		return m.queues.OffsetAt(wanted.Topic, number, wanted.From.UnixMilli())
	}
	first, _, err := m.queues.Range(wanted.Topic, number)
	return first, err
}

// PositionOf reads a message id of RocketMQ.
func (m messages) PositionOf(id string) (uint64, error) {
	_, position, err := remoting.ParseOffsetID(strings.TrimSpace(id))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", web.ErrUnknown, err)
	}
	return position, nil
}

// record reads the record at a position.
func (m messages) record(position uint64) (*message.Record, error) {
	found, err := m.log.Read(nil, message.Position(position), 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].Position != message.Position(position) {
		return nil, fmt.Errorf("%w: no message at position %d", web.ErrUnknown, position)
	}
	return &found[0], nil
}

// shownPayload is how much of a payload is shown.
const shownPayload = 64 << 10

// Message gives one message with its track.
func (m messages) Message(position uint64) (web.Message, error) {
	r, err := m.record(position)
	if err != nil {
		return web.Message{}, err
	}
	as := queue.FromRecord(r)
	shown := web.Message{MessageHead: headOf(r, as), Born: time.UnixMilli(as.BornTime), Properties: []web.MessageProperty{}, Track: []web.Track{}}
	if as.BornHost.IsValid() {
		shown.BornHost = as.BornHost.String()
	}
	for _, p := range as.Properties {
		shown.Properties = append(shown.Properties, web.MessageProperty{Name: p.Name, Value: p.Value})
	}
	all, encoding := m.readable.payload(r)
	if encoding != "" {
		shown.Properties = append(shown.Properties, web.MessageProperty{Name: "content-encoding", Value: encoding})
	}
	body := all
	if shown.Cut = len(body) > shownPayload; shown.Cut {
		body = body[:shownPayload]
		for i := 1; i < utf8.UTFMax && !utf8.Valid(body); i++ {
			body = all[:shownPayload-i] // not in the middle of a character
		}
	}
	if utf8.Valid(body) {
		shown.Text = string(body)
	} else {
		shown.Binary = all[:min(len(all), shownPayload)]
	}
	shown.Sparkplug = sparkplugOf(r.Topic, all)
	if r.Queue == message.NoQueue {
		return shown, nil
	}
	for _, g := range m.queues.Groups() {
		next, known := m.queues.Offset(g.Name, as.Topic, as.Queue)
		switch {
		case !known:
		case next > int64(as.Offset):
			shown.Track = append(shown.Track, web.Track{Group: g.Name, State: "consumed", Next: next})
		default:
			shown.Track = append(shown.Track, web.Track{Group: g.Name, State: "waiting", Next: next})
		}
	}
	return shown, nil
}

func headOf(r *message.Record, m *queue.Message) web.MessageHead {
	head := web.MessageHead{
		Position: uint64(r.Position), Topic: m.Topic, MQTTTopic: r.Topic, Queue: m.Queue, Offset: m.Offset, Stored: time.UnixMilli(r.Time), Bytes: len(r.Payload),
		UniqueKey: m.Property(queue.UniqueKey), Keys: m.Property(queue.Keys), Tags: m.Property(queue.Tags), Retries: int(m.Reconsumed),
	}
	if r.Queue == message.NoQueue {
		head.Queue, head.Offset = -1, 0
	}
	return head
}

// spent are the properties that say what became of a message before it is sent again.
var spent = []string{
	queue.Delay, queue.TimerDelaySec, queue.TimerDelayMs, queue.TimerDeliverMs, queue.Transaction, queue.RealTopic, queue.RealQueue,
	queue.CheckTimes, queue.CheckImmunity, queue.MaxRetriesName,
	"RECONSUME_TIME", "1ST_POP_TIME", "ORIGIN_GROUP", "TIMER_OUT_MS",
}

// Resend puts a copy of a message on the retry topic of a group, with all its tries before it, or where it
// came from first.
func (m messages) Resend(ctx context.Context, position uint64, group string) (web.Resent, error) {
	r, err := m.record(position)
	if err != nil {
		return web.Resent{}, err
	}
	if uplink, topic, aside := bridge.AsideOrigin(r.Topic); aside {
		if group != "" {
			return web.Resent{}, fmt.Errorf("%w: message %d was set aside for uplink %s, no group has had it", web.ErrNotAllowed, position, uplink)
		}
		return m.resendAside(ctx, r, uplink, topic)
	}
	again := queue.FromRecord(r)
	origin := cmp.Or(again.Property(queue.RetryTopicName), again.Topic)
	given := strings.HasPrefix(again.Topic, queue.RetryPrefix) || strings.HasPrefix(again.Topic, queue.DeadPrefix)
	if isMachinery(origin) || isMachinery(again.Topic) && !given {
		return web.Resent{}, fmt.Errorf("%w: message %d lies in %s, which is the gateway's own", web.ErrNotAllowed, position, again.Topic)
	}
	again.Unset(spent...)
	again.Queue, again.Reconsumed, again.Prepared = -1, 0, 0
	if group == "" {
		again.Unset(queue.RetryTopicName, queue.OriginID)
		again.Topic = origin
	} else {
		if _, known := m.queues.Group(group); !known {
			return web.Resent{}, fmt.Errorf("%w: group %s", web.ErrUnknown, group)
		}
		if again.Topic, err = m.queues.RetriesOf(ctx, group, origin); err != nil {
			return web.Resent{}, explain(err)
		}
		again.Set(queue.RetryTopicName, origin)
	}
	return m.send(ctx, again)
}

// send sends and waits until the message is durable.
func (m messages) send(ctx context.Context, again *queue.Message) (web.Resent, error) {
	type outcome struct {
		sent queue.Sent
		err  error
	}
	heard := make(chan outcome, 1)
	if err := m.queues.Send(ctx, again, 0, func(sent queue.Sent, err error) { heard <- outcome{sent, err} }); err != nil {
		return web.Resent{}, explain(err)
	}
	o := <-heard
	return web.Resent{Topic: again.Topic, Queue: o.sent.Queue, Offset: o.sent.Offset, Position: uint64(o.sent.Position)}, o.err
}

// Reset sets where a group goes on in all queues of a topic. Its consumers that are connected go on there, too.
func (m messages) Reset(ctx context.Context, group, name string, to time.Time) (list []web.Reset, err error) {
	if _, known := m.queues.Group(group); !known {
		return nil, fmt.Errorf("%w: group %s", web.ErrUnknown, group)
	}
	topic, known := m.queues.Topic(name)
	if !known {
		return nil, fmt.Errorf("%w: topic %s", web.ErrUnknown, name)
	}
	for number := range topic.ReadQueues {
		after, err := m.queues.OffsetAt(name, number, to.UnixMilli())
		if err != nil {
			return nil, err
		}
		list = append(list, web.Reset{Queue: number, After: after})
	}
	places := make([]queue.Place, len(list))
	for i := range list { // only when all are known
		if before, known := m.queues.Offset(group, name, list[i].Queue); known {
			list[i].Before = &before
		}
		places[i] = queue.Place{Topic: name, Queue: list[i].Queue, Next: int64(list[i].After)}
	}
	return list, m.queues.Reset(ctx, group, places)
}

// explain says an error of the engine in the page's words.
func explain(err error) error {
	switch {
	case errors.Is(err, queue.ErrNoTopic), errors.Is(err, queue.ErrNoGroup), errors.Is(err, queue.ErrNoMessage):
		return fmt.Errorf("%w: %w", web.ErrUnknown, err)
	case errors.Is(err, queue.ErrForbidden), errors.Is(err, queue.ErrIllegal):
		return fmt.Errorf("%w: %w", web.ErrNotAllowed, err)
	}
	return err
}
