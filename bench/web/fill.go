package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"sluice/gateway/message"
	"sluice/store"
)

const (
	alone  = "press" // the device with four points
	beside = 4       // devices with a point each, named by besideName
)

var pointNames = [...]string{"temperature", "pressure", "flow", "level"}

func besideName(i int) string { return fmt.Sprintf("meter-%d", i) }

// fill writes a day's readings into a log as the gateway writes them: in the order of time, those of the devices that
// are looked at among those of all others. It gives the time behind the last.
func (p *plan) fill(ctx context.Context, dir string) (end time.Time, err error) {
	log, err := store.Open(store.Options{Dir: dir, Limit: 32 << 30})
	if err != nil {
		return end, err
	}
	running, stop := context.WithCancel(ctx)
	var runner sync.WaitGroup
	var ran error
	runner.Go(func() { ran = log.Run(running) })
	end = time.Now().Truncate(time.Second)
	failed := &failure{}
	err = p.write(ctx, log, end, failed)
	stop()
	runner.Wait()
	return end, errors.Join(err, failed.err(), ran, log.Close())
}

// failure keeps the first thing that went wrong with a message.
type failure struct {
	mu    sync.Mutex // guards what follows
	first error
}

// Acknowledge implements message.Acknowledger.
func (f *failure) Acknowledge(_ uint64, _ message.Position, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first == nil {
		f.first = err
	}
}

func (f *failure) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first
}

func (p *plan) write(ctx context.Context, log *store.Store, end time.Time, ack message.Acknowledger) error {
	begin := end.Add(-time.Duration(p.readings) * time.Second)
	var payload []byte
	put := func(device string, seq int, at time.Time, points []message.Point) error {
		r := message.Reading{Gateway: gatewayName, Device: device, Epoch: 1, Seq: uint64(seq + 1), Time: at.UnixMilli(), Points: points}
		payload = r.AppendJSON(payload[:0])
		topic := "readings/" + gatewayName + "/" + device
		m := message.Message{Topic: topic, Payload: payload, Time: r.Time, QoS: 1, Device: device, Seq: r.Seq, Queue: message.QueueOf(topic, message.DefaultQueues)}
		return log.Append(ctx, &m, ack, 0)
	}
	points := make([]message.Point, len(pointNames))
	for second := range p.readings {
		at := begin.Add(time.Duration(second) * time.Second)
		for i, name := range pointNames {
			points[i] = message.Point{Name: name, Value: message.Float32(wave(second, i))}
		}
		if err := put(alone, second, at, points); err != nil {
			return err
		}
		for i := range beside {
			points[0] = message.Point{Name: "value", Value: message.Float32(wave(second, i+10))}
			if err := put(besideName(i), second, at.Add(time.Duration(i+1)*time.Millisecond), points[:1]); err != nil {
				return err
			}
		}
		// The others take turns within their interval.
		for d := second % p.every; d < p.others; d += p.every {
			for i, name := range pointNames {
				points[i] = message.Point{Name: name, Value: message.Float32(wave(second+d, i))}
			}
			if err := put(fmt.Sprintf("device-%03d", d), second/p.every, at.Add(time.Duration(d+10)*time.Millisecond), points); err != nil {
				return err
			}
		}
	}
	return nil
}

// wave is a value as machines give them: slow, with some noise, and rounded.
func wave(second, kind int) float32 {
	noise := float64((second*7919+kind*104729)%1000)/500 - 1
	v := 50 + 30*math.Sin(float64(second)/float64(600+kind*137)) + noise
	return float32(math.Round(v*100) / 100)
}
