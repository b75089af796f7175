package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"sluice/bench/measure"
)

// silence is how long nothing may reach the cloud until a measurement counts as over.
const silence = 30 * time.Second

// drain lets messages come in while the cloud is away, and then opens the cloud. If it is told so, it kills the
// contestant before, with kill -9, and starts it again when the cloud is there.
func (p *plan) drain(ctx context.Context, c contestant, dir string, kill bool) (o outcome, err error) {
	address, err := measure.FreeAddress()
	if err != nil {
		return o, err
	}
	cloud := p.cloud(dir, address)
	if c.relay == nil {
		return p.bareMQTT(ctx, cloud, dir)
	}
	r, err := c.relay(dir, address)
	if err != nil {
		return o, err
	}
	if r.needsCloud {
		if err := cloud.up(ctx); err != nil {
			return o, err
		}
		defer cloud.kill()
	}
	if err := r.up(ctx); err != nil {
		return o, err
	}
	defer func() { r.kill() }()
	cloud.kill()
	seen := measure.Follow(r.pids()...)
	came, err := p.fill(ctx, "", r.in, dir, p.messages)
	if err = errors.Join(err, r.alive()); err == nil {
		m, gone := measure.MemoryOf(r.pids()...)
		o.waiting, err = m.RSS(), gone
	}
	seen.End()
	if err != nil {
		return o, err
	}
	o.filled, o.held = came.Published, seen.Most().RSS()
	if kill {
		r.kill()
	}
	err = p.goUp(ctx, r, cloud, dir, c.name, kill, &o)
	return o, err
}

// goUp opens the cloud, starts the contestant again if it is told so, and measures until all is there.
func (p *plan) goUp(ctx context.Context, r, cloud *relay, dir, name string, again bool, o *outcome) error {
	l, err := p.open(ctx, "", r, cloud, dir)
	defer cloud.kill()
	if err != nil {
		return err
	}
	if again {
		if err := r.up(ctx); err != nil {
			return errors.Join(err, l.cmd.Process.Kill())
		}
	}
	stopProfile := func() error { return nil }
	if p.profile != "" && name == ours {
		if stopProfile, err = measure.Profile(p.profile, caseDrain, r.pids()[0]); err != nil {
			return err
		}
	}
	seen := measure.Follow(r.pids()...)
	began := time.Now()
	got, err := l.end()
	until := time.Now()
	seen.End()
	if err := errors.Join(err, stopProfile(), r.alive(), cloud.alive()); err != nil {
		return err
	}
	o.took(got)
	if got.Delivered > 0 {
		o.cpu = 1e6 * seen.Cores(began, until) * until.Sub(began).Seconds() / float64(got.Delivered)
	}
	o.held = max(o.held, seen.Most().RSS())
	return nil
}

func (o *outcome) took(got report) {
	o.rate, o.lost, o.twice, o.late = got.rate(), got.Lost, got.Duplicates, got.Reordered
}

// bareMQTT is a loop around paho with as many messages in flight, and nothing to keep.
func (p *plan) bareMQTT(ctx context.Context, cloud *relay, dir string) (o outcome, err error) {
	if err := cloud.up(ctx); err != nil {
		return o, err
	}
	defer cloud.kill()
	if err := writeState(dir, p.messages); err != nil {
		return o, err
	}
	l, err := p.count(ctx, "", cloud.in, dir, silence)
	if err != nil {
		return o, err
	}
	measure.Pause(ctx, time.Second) // the counter has subscribed
	if err := p.pahoLoop(ctx, cloud.in); err != nil {
		return o, errors.Join(err, l.cmd.Process.Kill())
	}
	got, err := l.end()
	if err != nil {
		return o, err
	}
	o.took(got)
	return o, cloud.alive()
}

func (p *plan) pahoLoop(ctx context.Context, address string) error {
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("bare").SetAutoReconnect(false))
	if t := client.Connect(); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	defer client.Disconnect(100)
	tokens := make(chan paho.Token, p.window)
	var wrong error
	done := make(chan struct{})
	go func() {
		defer close(done)
		for t := range tokens {
			if t.Wait(); t.Error() != nil && wrong == nil {
				wrong = t.Error()
			}
		}
	}()
	for i := 0; i < p.messages && ctx.Err() == nil; i++ {
		tokens <- client.Publish(topicOf(i%publishers), 1, false, payload(i%publishers, i/publishers))
	}
	close(tokens)
	<-done
	return errors.Join(wrong, ctx.Err())
}

func topicOf(publisher int) string { return fmt.Sprintf("mqttload/%s/%d", run, publisher) }

// payload is what the load tool would send.
func payload(publisher, seq int) []byte {
	head := fmt.Sprintf(`{"id":"6d716c64%08x%08x%016x%016x","data":"`, 7, publisher, seq, 1)
	return append(append(make([]byte, 0, 256), head...), filler[:256-len(head)-2]+`"}`...)
}

// writeState says what the load tool would keep of messages that were acknowledged.
func writeState(dir string, messages int) error {
	type published struct {
		Sent  int      `json:"sent"`
		Acked [][2]int `json:"acked"`
	}
	var all []published
	for i := range publishers {
		n := (messages - i + publishers - 1) / publishers
		all = append(all, published{n, [][2]int{{0, n - 1}}})
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(state(dir), text, 0o600)
}

var filler = strings.Repeat("k7Gq2xZp", 32)
