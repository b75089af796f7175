package gateway

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"sluice/bridge"
	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

const (
	// readableMost is the longest body that is made readable: so much Java's producers take, before they
	// compress it.
	readableMost = 4 << 20

	keptReadable      = 64 // bodies, and
	keptReadableBytes = readableMost
)

// readable gives those who do not speak RocketMQ, MQTT clients, clouds and the page, what a producer sent,
// where the log has the compressed bytes that it came as. It remembers the last few bodies: subscribers
// to the same message ask for it one after the other. Its methods may be called from any goroutine.
type readable struct {
	log    *slog.Logger
	failed atomic.Uint64

	mu    sync.Mutex // guards what follows, and lets one body at a time be inflated
	kept  []readableBody
	bytes int
}

type readableBody struct {
	at       message.Position
	body     []byte
	encoding string
}

// payload is what can be read of a message. encoding is empty, or names the compression of a payload
// that stays as it is: it would have more than readableMost bytes, or is damaged.
func (r *readable) payload(m *message.Record) (body []byte, encoding string) {
	flag := queue.SysFlagOf(m)
	if flag&remoting.SysCompressed == 0 {
		return m.Payload, ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.kept {
		if k := &r.kept[i]; k.at == m.Position {
			if k.encoding != "" {
				return m.Payload, k.encoding
			}
			return k.body, ""
		}
	}
	body, err := remoting.Inflate(m.Payload, flag, readableMost)
	if err != nil {
		encoding = remoting.Compression(flag)
		r.failed.Add(1)
		r.log.Debug("a compressed message stays as it is", "position", m.Position, "err", err)
	}
	r.keepLocked(readableBody{m.Position, body, encoding})
	if err != nil {
		return m.Payload, encoding
	}
	return body, ""
}

func (r *readable) keepLocked(k readableBody) {
	for len(r.kept) > 0 && (len(r.kept) >= keptReadable || r.bytes+len(k.body) > keptReadableBytes) {
		r.bytes -= len(r.kept[0].body)
		r.kept = slices.Delete(r.kept, 0, 1)
	}
	r.kept = append(r.kept, k)
	r.bytes += len(k.body)
}

// readableUplink is an Uplink to a cloud that does not know RocketMQ's compression.
type readableUplink struct {
	bridge.Uplink
	readable *readable
}

// Connect implements bridge.Uplink.
func (u readableUplink) Connect(ctx context.Context) (bridge.Link, error) {
	link, err := u.Uplink.Connect(ctx)
	if err != nil {
		return nil, err
	}
	plain := readableLink{link, u.readable}
	if receiver, able := link.(bridge.Receiver); able {
		return readableReceiver{plain, receiver}, nil
	}
	return plain, nil
}

type readableLink struct {
	bridge.Link
	readable *readable
}

type readableReceiver struct {
	readableLink
	bridge.Receiver
}

// Send implements bridge.Link.
func (l readableLink) Send(ctx context.Context, topic string, r *message.Record, qos byte, done func(error)) error {
	body, _ := l.readable.payload(r)
	if len(body) == len(r.Payload) && (len(body) == 0 || &body[0] == &r.Payload[0]) {
		return l.Link.Send(ctx, topic, r, qos, done)
	}
	as := *r
	as.Payload = body
	return l.Link.Send(ctx, topic, &as, qos, done)
}
