package http

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/bridge/batch"
	"sluice/bridge/dial"
	"sluice/gateway/message"
)

const (
	// idleLife is how long a connection without requests is kept: below what middleboxes keep.
	idleLife = 50 * time.Second
	// maxFields bounds the header of an answer.
	maxFields = 64 << 10
	// roomy is how many batches may gather in a shard whose messages go to different addresses.
	roomy = 16
)

// link is what is sent through the connections to one address.
type link struct {
	*batch.Batcher
	uplink    *Uplink
	to        *address
	index     int // of the address
	fields    http.Header
	lines     lines
	transport *http.Transport
	zips      []*gzip.Writer // by shard

	cancel  context.CancelFunc
	workers sync.WaitGroup
}

func newLink(u *Uplink, i int, fields http.Header) *link {
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{uplink: u, to: u.addresses[i], index: i, fields: fields, cancel: cancel,
		lines: lines{dialer: &u.options.Options, ctx: ctx, open: make(map[*line]struct{})},
		zips:  make([]*gzip.Writer, u.options.Parallel)}
	o := batch.Options{Count: u.options.Count, Bytes: u.options.Bytes, Linger: u.options.Linger, Shards: u.options.Parallel}
	if l.to.varies {
		o.Group, o.Behind = l.to.of, roomy
	}
	l.Batcher = batch.New(o, l.post)
	l.transport = &http.Transport{
		DialContext:            func(ctx context.Context, _, host string) (net.Conn, error) { return l.lines.take(ctx, host, false) },
		DialTLSContext:         func(ctx context.Context, _, host string) (net.Conn, error) { return l.lines.take(ctx, host, true) },
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // nothing in an answer is worth unpacking what a stranger has packed
		MaxIdleConnsPerHost:    u.options.Parallel,
		IdleConnTimeout:        idleLife,
		MaxResponseHeaderBytes: maxFields,
	}
	return l
}

func (l *link) start() {
	l.workers.Go(func() { _ = l.Run(l.lines.ctx) }) // Err has the reason
}

// Send takes a message for the next request of its shard.
func (l *link) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	if err := message.CheckTopic(o.Topic); err != nil {
		return &bridge.RefusedError{Reason: err.Error()}
	}
	if to := &l.uplink.options; !to.Envelope && to.Body != singleBody && !isJSON(o.Payload) {
		return &bridge.RefusedError{Reason: "the payload is no JSON and cannot stand in a JSON body without an envelope"}
	}
	return l.Batcher.Send(ctx, o, done)
}

// Close ends what is in flight and waits for everything that the link started.
func (l *link) Close() error {
	l.end()
	l.workers.Wait()
	return nil
}

func (l *link) end() {
	l.cancel()
	l.lines.end()
	l.transport.CloseIdleConnections()
}

// post sends one request and judges the answer.
func (l *link) post(ctx context.Context, shard int, items []batch.Item) error {
	ctx, cancel := context.WithTimeout(ctx, l.uplink.options.Timeout)
	defer cancel()
	request, err := l.request(ctx, shard, items)
	if err != nil {
		return err
	}
	response, said, err := l.do(request)
	if err != nil {
		return l.useless(err)
	}
	return l.judge(shard, items, response, said)
}

// request makes the request that carries items.
func (l *link) request(ctx context.Context, shard int, items []batch.Item) (*http.Request, error) {
	o := &l.uplink.options
	body, contentType := o.content(items)
	if o.Gzip {
		if l.zips[shard] == nil {
			zip, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
			if err != nil {
				panic("bug: " + err.Error())
			}
			l.zips[shard] = zip
		}
		var err error
		if body, err = press(l.zips[shard], body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, o.Method, l.to.of(&items[0].Outgoing), bytes.NewReader(body))
	if err != nil {
		return nil, &bridge.RefusedError{Reason: "no request can be made of it: " + err.Error()}
	}
	for name, value := range o.Headers {
		request.Header.Set(name, value)
	}
	maps.Copy(request.Header, l.fields)
	request.Header.Set("Content-Type", contentType)
	if o.Gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	// With it net/http sends a request again by itself when a kept connection turns out to be dead.
	request.Header.Set("Idempotency-Key", idempotencyKey(items))
	if o.Body == singleBody {
		request.Header.Set(idHeader, escape(items[0].ID()))
		request.Header.Set(topicHeader, escape(items[0].Topic))
	}
	return request, nil
}

// do sends a request and gives the answer with the beginning of its body, which is closed already.
func (l *link) do(request *http.Request) (*http.Response, []byte, error) {
	request.Header.Set("User-Agent", "sluice")
	from := time.Now()
	response, err := l.transport.RoundTrip(request) // follows no redirect
	if err == nil {
		defer response.Body.Close()
		// The status is the answer. The rest is read to be quoted and to keep the connection, and
		// that it breaks off changes nothing.
		said, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		return response, said, nil
	}
	if request.Context().Err() != nil && l.lines.ctx.Err() == nil {
		return nil, nil, &dial.Error{Text: fmt.Sprintf("no answer from %s within %s", l.to.host, time.Since(from).Round(time.Millisecond)),
			Hint: "see timeout, and on a slow line bytes"}
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return nil, nil, fmt.Errorf("%s: %w", l.to.host, dial.Explain(err))
}

// useless lets the next connection begin with another address, if there is one.
func (l *link) useless(err error) error {
	l.uplink.turn.Avoid(l.index, len(l.uplink.addresses))
	return err
}

// judge decides what an answer says about items.
func (l *link) judge(shard int, items []batch.Item, response *http.Response, said []byte) error {
	verdict, hint := verdictOf(response.StatusCode)
	text := words(l.to.name(), response, said)
	refuse := func(retry bool) error {
		if hint != "" {
			text += "; " + hint
		}
		return &bridge.RefusedError{Reason: text, Retry: retry}
	}
	switch verdict {
	case taken2xx:
		return nil
	case refused:
		return refuse(false)
	case notNow:
		return refuse(true)
	case wrongURL:
		if l.to.varies {
			return refuse(true)
		}
	case busy:
		if wait := retryAfter(response.Header.Get("Retry-After"), time.Now()); wait > 0 {
			l.uplink.leaveAlone(l.index, wait)
			hint = "it asks to wait for " + wait.Round(time.Second).String()
		}
	case ill:
		if l.uplink.suspected(shard, items) {
			return refuse(true)
		}
	}
	return l.useless(&dial.Error{Text: text, Hint: hint})
}

// health asks the health path.
func (l *link) health(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.to.base+l.uplink.options.Health, nil)
	if err != nil {
		return "", err
	}
	for name, value := range l.uplink.options.Headers {
		request.Header.Set(name, value)
	}
	maps.Copy(request.Header, l.fields)
	response, said, err := l.do(request)
	if err != nil {
		return "", err
	}
	text := words(l.to.name(), response, said)
	if verdict, hint := verdictOf(response.StatusCode); verdict != taken2xx {
		return "", &dial.Error{Text: "asked for its health, " + text, Hint: hint}
	}
	return text, nil
}

// probe sends one message that says that it is a test.
func (l *link) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.uplink.options.Timeout)
	defer cancel()
	payload, err := json.Marshal(map[string]any{"test": true, "gateway": l.uplink.gateway, "ts": time.Now().UnixMilli()})
	if err != nil {
		return err
	}
	topic := "sluice/test/" + l.uplink.gateway
	items := []batch.Item{{Outgoing: bridge.Outgoing{Topic: topic, Key: topic, Payload: payload,
		Origin: fmt.Sprintf("%s-test-%d", l.uplink.gateway, time.Now().UnixMilli()), Record: &message.Record{}}}}
	var response *http.Response
	var said []byte
	err = dial.Take(ctx, bridge.Published, func() (string, error) {
		request, err := l.request(ctx, 0, items)
		if err != nil {
			return "", err
		}
		response, said, err = l.do(request)
		return fmt.Sprintf("%d bytes to %s", request.ContentLength, request.URL), err
	})
	if err != nil {
		return err
	}
	return dial.Take(ctx, bridge.Acknowledged, func() (string, error) {
		text := words(l.to.name(), response, said)
		if verdict, hint := verdictOf(response.StatusCode); verdict != taken2xx {
			return "", &dial.Error{Text: text, Hint: hint}
		}
		return text, nil
	})
}
