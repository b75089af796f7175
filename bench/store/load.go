package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/bench/measure"
	"sluice/gateway/message"
)

// readings are JSON readings of about 256 bytes, all different.
func readings(devices bool) []message.Message {
	const variety = 4096
	list := make([]message.Message, variety)
	for i := range list {
		device := fmt.Sprintf("press-%d", i%20)
		list[i] = message.Message{
			Topic: "readings/line-3/" + device, QoS: 1, Time: 1795345665221 + int64(i)*50,
			Payload: fmt.Appendf(nil, `{"gateway":"line-3","device":"%s","epoch":1,"seq":%d,"ts":%d,"values":{"counter":%d,"temperature":%.2f,"pressure":%.3f,"speed":%d,"torque":%.1f,"running":true,"mode":"automatic","batch":"A-%06d","energy":%.3f}}`,
				device, i, 1795345665221+int64(i)*50, i*7, 20+float64(i%37)/7, 1+float64(i%91)/13, 900+i%50, 40+float64(i%23)/3, i*31%1000000, float64(i)*1.37),
		}
		if devices {
			list[i].Device, list[i].Seq = device, uint64(i+1)
		}
	}
	return list
}

func meanPayload(list []message.Message) float64 {
	n := 0
	for i := range list {
		n += len(list[i].Payload)
	}
	return float64(n) / float64(len(list))
}

// waitingAppenders keeps n producers busy, each with one message in flight, as publishers that wait
// for their PUBACK do.
func waitingAppenders(e engine, n int, seconds float64) (result, error) {
	list := readings(false)
	var stop atomic.Bool
	var failed atomic.Pointer[error]
	waits := make([][]time.Duration, n)
	var all sync.WaitGroup
	began := time.Now()
	for p := range n {
		all.Go(func() {
			done := make(chan error, 1)
			ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { done <- err })
			for i := p; !stop.Load(); i += n {
				at := time.Now()
				err := e.Append(&list[i%len(list)], ack, 0)
				if err == nil {
					err = <-done
				}
				if err != nil {
					failed.Store(&err)
					return
				}
				waits[p] = append(waits[p], time.Since(at))
			}
		})
	}
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	stop.Store(true)
	all.Wait()
	took := time.Since(began)
	if err := failed.Load(); err != nil {
		return result{}, *err
	}
	every := slices.Concat(waits...)
	return result{
		Rate: float64(len(every)) / took.Seconds(), Messages: len(every),
		P50: measure.Quantile(every, 0.5), P99: measure.Quantile(every, 0.99),
	}, nil
}

// window holds one producer back while too many messages are on their way.
type window struct {
	size int

	mu    sync.Mutex // guards what follows
	free  *sync.Cond
	open  int
	acked int
	err   error
}

func newWindow(n int) *window {
	w := &window{size: n, open: n}
	w.free = sync.NewCond(&w.mu)
	return w
}

func (w *window) take(n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.open < n {
		w.free.Wait()
	}
	w.open -= n
	return w.err
}

// Acknowledge frees a place. The producer is woken when a fair part of the window is free, not for
// each message.
func (w *window) Acknowledge(_ uint64, _ message.Position, err error) {
	w.mu.Lock()
	w.open++
	w.acked++
	if err != nil && w.err == nil {
		w.err = err
	}
	wake := w.open >= min(w.size, 64)
	w.mu.Unlock()
	if wake {
		w.free.Signal()
	}
}

// wait returns when nothing is on its way.
func (w *window) wait() error {
	if err := w.take(w.size); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = w.size
	return nil
}

// pipelined is one producer with a window of messages in flight. It ends after some time or, when
// count is not 0, after so many messages.
func pipelined(e engine, list []message.Message, size, count int, seconds float64) (result, error) {
	w := newWindow(size)
	began := time.Now()
	end := began.Add(time.Duration(seconds * float64(time.Second)))
	const step = 64
	n := 0
	for ; count == 0 || n < count; n += step {
		if count == 0 && n%1024 == 0 && time.Now().After(end) {
			break
		}
		if err := w.take(step); err != nil {
			return result{}, err
		}
		for i := range step {
			m := &list[(n+i)%len(list)]
			if m.Device != "" {
				m.Seq = uint64(n + i + 1)
			}
			if err := e.Append(m, w, 0); err != nil {
				return result{}, err
			}
		}
	}
	if err := w.wait(); err != nil {
		return result{}, err
	}
	return result{Rate: float64(n) / time.Since(began).Seconds(), Messages: n}, nil
}
