package rocketmqgrpc

import (
	"context"
	"slices"
	"strings"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice/gateway/queue"
)

// Bounds of what consumers ask for, as the stock proxy has them.
const (
	shortestPoll = 5 * time.Second
	longestPoll  = 20 * time.Second
	// answerMargin is what is left of a call's deadline to bring the answer home.
	answerMargin = 500 * time.Millisecond

	leastInvisible   = 10 * time.Second
	mostInvisible    = 12 * time.Hour
	renewedInvisible = 60 * time.Second
)

// ReceiveMessage implements v2.MessagingServiceServer: messages of any queue of a topic, as soon as there are any, each
// to be acknowledged within a time.
func (s *Server) ReceiveMessage(r *v2.ReceiveMessageRequest, stream v2.MessagingService_ReceiveMessageServer) error {
	ctx := stream.Context()
	who, end, err := s.begin(ctx)
	defer end()
	var messages []*v2.Message
	if err == nil {
		messages, err = s.receive(ctx, who, r)
	}
	if err == nil && len(messages) == 0 {
		err = refuse(v2.Code_MESSAGE_NOT_FOUND, "no new message")
	}
	if err := stream.Send(&v2.ReceiveMessageResponse{Content: &v2.ReceiveMessageResponse_Status{Status: s.statusOf(err)}}); err != nil {
		return err
	}
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if err := stream.Send(&v2.ReceiveMessageResponse{Content: &v2.ReceiveMessageResponse_Message{Message: m}}); err != nil {
			return err // what it did not get comes again
		}
		s.stats.delivered.Add(1)
	}
	return stream.Send(&v2.ReceiveMessageResponse{Content: &v2.ReceiveMessageResponse_DeliveryTimestamp{DeliveryTimestamp: timestamppb.Now()}})
}

// receive pops, and waits for something when there is nothing.
func (s *Server) receive(ctx context.Context, who caller, r *v2.ReceiveMessageRequest) (messages []*v2.Message, err error) {
	pop, group, err := s.readReceive(ctx, who, r)
	if err != nil {
		return nil, err
	}
	patience, err := pollFor(ctx, who, longPolling(r))
	if err != nil {
		return nil, err
	}
	look := func() (found bool, err error) {
		got, err := s.queues.Pop(pop)
		if err != nil {
			return false, err
		}
		messages, err = s.popped(ctx, &got, pop, group, r.GetMessageQueue().GetTopic())
		return len(messages) > 0, err
	}
	wait := func(wake func()) (waiter, error) { return s.queues.WaitPop(pop, wake) }
	return messages, s.poll(ctx, patience, look, wait)
}

func (s *Server) readReceive(ctx context.Context, who caller, r *v2.ReceiveMessageRequest) (p queue.PopRequest, group queue.Group, err error) {
	topic, group, err := s.mayConsume(ctx, who, r.GetMessageQueue().GetTopic(), r.GetGroup())
	if err != nil {
		return p, group, err
	}
	// Any queue, whichever the client names: it would else wait at one while there is something in another.
	p = queue.PopRequest{Group: group.Name, Topic: topic, Queue: -1, FromLast: true, Ordered: group.Ordered, AttemptID: attemptID(r)}
	p.Most = min(max(int(r.GetBatchSize()), 1), maxReceived)
	var given bool
	switch p.Invisible, given = duration(r.GetInvisibleDuration()); {
	case r.GetAutoRenew():
		p.Invisible, p.Holder = renewedInvisible, s.clients.holder(who, s.queues)
	case !given || p.Invisible < leastInvisible || p.Invisible > mostInvisible:
		return p, group, refuse(v2.Code_ILLEGAL_INVISIBLE_TIME, "a message is invisible for %v to %v, not %v", leastInvisible, mostInvisible, p.Invisible)
	}
	if p.Filter, err = filterOf(r.GetFilterExpression()); err != nil {
		return p, group, err
	}
	if _, known := s.queues.Topic(topic); !known {
		_, err = s.queues.UseTopic(ctx, topic)
	}
	return p, group, err
}

// popped gives what a pop found as the client reads it. What a group that wants its messages in order could not deal
// with often enough becomes a dead letter, so that those behind it come.
func (s *Server) popped(ctx context.Context, got *queue.Popped, pop queue.PopRequest, group queue.Group, topic *v2.Resource) (messages []*v2.Message, err error) {
	var m queue.Message
	for b := range got.Batches {
		batch := &got.Batches[b]
		for i := range batch.Records {
			m.Load(&batch.Records[i])
			attempt := int(m.Reconsumed) + batch.Times[i] + 1
			if attempt > group.MaxRetries+1 {
				if err := s.queues.BuryPopped(ctx, group.Name, batch.Topic, batch.Queue, m.Offset, got.Time); err != nil {
					s.log.Warn("a message that was handed out often enough cannot be put among the dead letters", "group", group.Name, "topic", batch.Topic, "err", err)
				}
				continue
			}
			shown := s.shown(&m, topic)
			shown.SystemProperties.ReceiptHandle = new(got.HandleOf(batch, s.options.Name, m.Offset).String())
			shown.SystemProperties.InvisibleDuration = durationpb.New(pop.Invisible)
			shown.SystemProperties.DeliveryAttempt = new(int32(attempt))
			messages = append(messages, shown)
		}
	}
	return messages, nil
}

// maxExpression bounds a filter in bytes.
const maxExpression = 64 << 10

// filterOf reads what a consumer wants of a topic; nil is everything.
func filterOf(f *v2.FilterExpression) (queue.Filter, error) {
	expression := f.GetExpression()
	if len(expression) > maxExpression {
		return nil, refuse(v2.Code_ILLEGAL_FILTER_EXPRESSION, "a filter has at most %d bytes, not %d", maxExpression, len(expression))
	}
	switch f.GetType() {
	case v2.FilterType_FILTER_TYPE_UNSPECIFIED, v2.FilterType_TAG:
		return queue.TagFilter(expression), nil
	case v2.FilterType_SQL:
		filter, err := queue.SQLFilter(expression)
		if err != nil {
			return nil, refusal{v2.Code_ILLEGAL_FILTER_EXPRESSION, err.Error()}
		}
		return filter, nil
	}
	return nil, refuse(v2.Code_ILLEGAL_FILTER_EXPRESSION, "a filter of type %d is not known", f.GetType())
}

// pollFor is how long a call may wait for messages: as the client says, within bounds and its deadline.
func pollFor(ctx context.Context, who caller, asked time.Duration) (time.Duration, error) {
	left := longestPoll + answerMargin
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	if asked <= 0 {
		asked = left - answerMargin
	}
	asked = min(max(asked, shortestPoll), longestPoll)
	if asked <= left-answerMargin {
		return asked, nil
	}
	if left < shortestPoll {
		code := illegalPollingTime
		if older(who.version, "5.0.3") {
			code = v2.Code_BAD_REQUEST
		}
		return 0, refuse(code, "the deadline of the call leaves %v, the shortest poll is %v", left.Round(time.Millisecond), shortestPoll)
	}
	return left - answerMargin, nil
}

// older compares versions of three numbers; what is no version is older.
func older(version, than string) bool {
	parse := func(text string) (v [3]int) {
		for i, part := range strings.SplitN(text, ".", 3) {
			for _, c := range part {
				if c < '0' || c > '9' || v[i] > 1e6 {
					break
				}
				v[i] = v[i]*10 + int(c-'0')
			}
		}
		return v
	}
	a, b := parse(version), parse(than)
	return slices.Compare(a[:], b[:]) < 0
}

// waiter is what the engine gives those who wait.
type waiter interface{ Stop() bool }

// poll looks, and again whenever it is woken, until it has found something, patience ends or the gateway does.
func (s *Server) poll(ctx context.Context, patience time.Duration, look func() (found bool, err error), wait func(wake func()) (waiter, error)) error {
	if found, err := look(); found || err != nil || patience <= 0 {
		return err
	}
	s.stats.held.Add(1)
	defer s.stats.held.Add(-1)
	over := time.NewTimer(patience)
	defer over.Stop()
	woken := make(chan struct{}, 1)
	for {
		w, err := wait(func() { woken <- struct{}{} })
		if err != nil {
			return err
		}
		select {
		case <-woken:
		case <-over.C:
			w.Stop()
			return nil
		case <-s.stopping:
			w.Stop()
			return nil
		case <-ctx.Done():
			w.Stop()
			return ctx.Err()
		}
		if found, err := look(); found || err != nil {
			return err
		}
	}
}
