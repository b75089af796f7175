package gateway

import (
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

// readableMaker makes what goes up to a cloud that does not know RocketMQ's compression.
type readableMaker struct {
	readable *readable
	then     bridge.Maker // of the readable record; nil: its payload
}

// Make implements bridge.Maker.
func (m readableMaker) Make(dst []bridge.Made, r *message.Record) ([]bridge.Made, error) {
	body, _ := m.readable.payload(r)
	if m.then == nil {
		return append(dst, bridge.Made{Payload: body}), nil
	}
	if len(body) == len(r.Payload) && (len(body) == 0 || &body[0] == &r.Payload[0]) {
		return m.then.Make(dst, r)
	}
	as := *r
	as.Payload = body
	return m.then.Make(dst, &as)
}
