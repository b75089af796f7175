package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/bridge"
	"sluice/bridge/dial"
)

// Probe connects, logs in and writes one record to the test topic, and reports each step.
func (u *Uplink) Probe(ctx context.Context, report func(bridge.Step)) error {
	ctx, cancel := context.WithTimeout(ctx, 2*u.options.ConnectTimeout)
	defer cancel()
	l := newLink(&u.options, u.log)
	steps := &steps{report: report, went: make(map[string]bool)}
	from := time.Now()
	err := u.login(ctx, l, u.dialer(l, steps.connecting))
	if failed := steps.end(); failed && err != nil {
		return err // the last step has said so
	}
	report(bridge.Step{Name: bridge.LoggedIn, Detail: u.options.loginDetail(), Took: time.Since(from), Err: err})
	if err != nil {
		return err
	}
	defer l.client.Close()
	return u.probeTopic(ctx, l.client, report)
}

func (o *Options) loginDetail() string {
	if o.SASL.mechanism() == nil {
		return "without a user name"
	}
	return "as " + o.SASL.Username
}

func (u *Uplink) probeTopic(ctx context.Context, client *kgo.Client, report func(bridge.Step)) error {
	topic, err := topicName(u.options.TestTopic)
	if err != nil {
		return err
	}
	from := time.Now()
	r := &kgo.Record{
		Topic: topic, Key: []byte(u.options.ClientID), Value: []byte("this is a test of the uplink"),
		Headers: []kgo.RecordHeader{{Key: "sluice-test", Value: []byte("true")}},
	}
	outcome := make(chan error, 1)
	client.Produce(ctx, r, func(_ *kgo.Record, err error) { outcome <- err })
	report(bridge.Step{Name: bridge.Published, Detail: "one record for the topic " + topic, Took: time.Since(from)})
	from = time.Now()
	if err := client.Flush(ctx); err != nil {
		err = fmt.Errorf("no acknowledgement within %s", 2*u.options.ConnectTimeout)
		report(bridge.Step{Name: bridge.Acknowledged, Took: time.Since(from), Err: err})
		return err
	}
	err = <-outcome
	if refused, _ := refusal(topic, err); refused != nil {
		err = refused
	} else if err != nil {
		err = plainWords(err)
	}
	step := bridge.Step{Name: bridge.Acknowledged, Took: time.Since(from), Err: err}
	if err == nil {
		step.Detail = fmt.Sprintf("partition %d, offset %d", r.Partition, r.Offset)
	}
	report(step)
	return err
}

// steps hands on those of the first connections, until one is there: franz-go opens several, from
// goroutines of its own.
type steps struct {
	mu     sync.Mutex // guards what follows
	report func(bridge.Step)
	went   map[string]bool // steps that went well
	failed bool
	ended  bool
}

func (s *steps) connecting(step dial.Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.went[step.Name] {
		return
	}
	s.failed = step.Err != nil
	s.went[step.Name] = !s.failed
	s.report(bridge.Step{Name: step.Name, Detail: step.Detail, Took: step.Took, Err: step.Err})
}

// end hands on nothing any more, and says whether the last step failed.
func (s *steps) end() (failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	return s.failed
}
