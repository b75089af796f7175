package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"sluice/bench/measure"
	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/store"
)

// job is one run of one contestant, in a process of its own.
type job struct {
	Case    string
	Engine  string
	Dir     string
	N       int     // appenders, messages or group size, as the case says
	Seconds float64 // how long
	Linger  time.Duration
	Warm    bool // what is opened stays in the page cache; look-ups: the index has caught up
}

// result is what one run measured; what the case does not measure is 0.
type result struct {
	Rate       float64 // messages a second
	Messages   int
	P50, P99   float64 // microseconds until the acknowledgement
	CPU        float64 // microseconds a message
	Anon, RSS  float64 // MB, the largest seen
	DiskMedian float64 // MB
	DiskPeak   float64
	Live       float64 // MB of blocks that are not trimmed
	Cold, Warm float64 // messages a second read
	Delivered  float64 // messages a second through a consumer
	Open       float64 // milliseconds
	Written    float64 // bytes written per payload byte
	PerDay     float64 // MB written a day at this pace
	Longest    float64 // microseconds
	Lag        float64 // seconds until the index had caught up
}

// Failed is never so: a run that fails ends the benchmark.
func (result) Failed() bool { return false }

const mb = 1 << 20

func (j job) run() (result, error) {
	switch j.Case {
	case "append":
		return j.measured(func(e engine) (result, error) { return waitingAppenders(e, j.N, j.Seconds) })
	case "pipelined":
		return j.measured(func(e engine) (result, error) {
			return pipelined(e, readings(false), j.N, 0, j.Seconds)
		})
	case "groups":
		return j.measured(func(e engine) (result, error) { return inGroups(e, j.N, j.Seconds) })
	case "fill", "fillkill":
		return j.fill()
	case "open":
		return j.open()
	case "keyfill":
		return j.fillKeys()
	case "keys":
		return j.lookUpKeys()
	case "read":
		return j.read()
	case "churn":
		return j.churn()
	case "smallchurn":
		return j.smallChurn()
	case "pace":
		return j.pace()
	case "month":
		return j.oneByOne()
	case "trickle":
		return j.trickle()
	}
	return result{}, fmt.Errorf("there is no case %q", j.Case)
}

// measured runs a load on a fresh log and counts what it cost.
func (j job) measured(load func(engine) (result, error)) (result, error) {
	e, err := open(j.Engine, j.Dir)
	if err != nil {
		return result{}, err
	}
	seen := measure.Follow(os.Getpid())
	wrote, used := written(), cpu()
	r, err := load(e)
	if err != nil {
		return r, err
	}
	payload := float64(r.Messages) * meanPayload(readings(false))
	r.Written = float64(written()-wrote) / payload
	r.CPU = float64((cpu() - used).Microseconds()) / float64(r.Messages)
	seen.End()
	r.Anon, r.RSS = seen.Anon(), seen.Most().RSS()
	return r, e.Close()
}

// inGroups appends n messages at once and waits for all of them, again and again.
func inGroups(e engine, n int, seconds float64) (result, error) {
	list := readings(false)
	w := newWindow(n)
	began := time.Now()
	sent := 0
	for time.Since(began).Seconds() < seconds {
		if err := w.take(n); err != nil {
			return result{}, err
		}
		for i := range n {
			if err := e.Append(&list[(sent+i)%len(list)], w, 0); err != nil {
				return result{}, err
			}
		}
		sent += n
	}
	if err := w.wait(); err != nil {
		return result{}, err
	}
	return result{Rate: float64(sent) / time.Since(began).Seconds(), Messages: sent}, nil
}

// fill makes a log of n readings and leaves it closed or killed.
func (j job) fill() (result, error) {
	e, err := open(j.Engine, j.Dir)
	if err != nil {
		return result{}, err
	}
	r, err := pipelined(e, readings(true), 65536, j.N, 0)
	if err != nil {
		return r, err
	}
	if j.Case == "fillkill" {
		return r, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return r, e.Close()
}

// open opens our log and says how long that took and what it took of memory.
func (j job) open() (result, error) {
	if !j.Warm {
		forget(j.Dir)
	}
	began := time.Now()
	l, err := openOurs(store.Options{Dir: j.Dir})
	if err != nil {
		return result{}, err
	}
	r := result{Open: float64(time.Since(began).Microseconds()) / 1000}
	st := l.Stats()
	if int(st.Messages) < j.N {
		return r, fmt.Errorf("%d messages were found, %d are there", st.Messages, j.N)
	}
	r.Anon = anonymous()
	return r, l.Close()
}

// read reads a log from its beginning: cold, warm, and through a consumer.
func (j job) read() (result, error) {
	if j.Engine == file {
		return j.readFile()
	}
	forget(j.Dir)
	l, err := openOurs(store.Options{Dir: j.Dir})
	if err != nil {
		return result{}, err
	}
	var r result
	for _, into := range []*float64{&r.Cold, &r.Warm} {
		began, used := time.Now(), cpu()
		var batch []message.Record
		n, next := 0, message.Position(1)
		for n < j.N {
			if batch, err = l.Read(batch[:0], next, 500); err != nil || len(batch) == 0 {
				return r, fmt.Errorf("%d of %d messages were read: %v", n, j.N, err)
			}
			n += len(batch)
			next = batch[len(batch)-1].Position + 1
		}
		*into = float64(n) / time.Since(began).Seconds()
		r.CPU = float64((cpu() - used).Nanoseconds()) / 1000 / float64(n)
	}
	c, err := broker.New(durable{l.Store}).Consumer(fmt.Sprint("bench-", os.Getpid()), []string{"readings/#"}, broker.Oldest)
	if err != nil {
		return r, err
	}
	began := time.Now()
	var batch []message.Record
	n := 0
	for n < j.N {
		if batch, err = c.Next(context.Background(), batch[:0], 256); err != nil {
			return r, err
		}
		n += len(batch)
		c.Ack(batch[len(batch)-1].Position)
	}
	r.Delivered = float64(n) / time.Since(began).Seconds()
	return r, l.Close()
}

// durable lets the store be the broker's log, as the gateway does it.
type durable struct{ *store.Store }

func (d durable) OpenCursor(name string, done message.Position) (broker.Cursor, error) {
	return d.Store.OpenCursor(name, done+1)
}

// churn appends as fast as the log takes it while a reader follows n messages behind and what it has
// passed is trimmed. Counting begins once the backlog is there.
func (j job) churn() (result, error) {
	l, err := openOurs(store.Options{Dir: j.Dir, RetentionSize: 1})
	if err != nil {
		return result{}, err
	}
	return j.followed(l, func() (result, error) {
		return pipelined(l, readings(true), 65536, 0, j.Seconds)
	})
}

// smallChurn is the same with 64 appenders that wait, so that groups are small.
func (j job) smallChurn() (result, error) {
	l, err := openOurs(store.Options{Dir: j.Dir, RetentionSize: 1})
	if err != nil {
		return result{}, err
	}
	return j.followed(l, func() (result, error) { return waitingAppenders(l, 64, j.Seconds) })
}

// pace appends 20,000 readings a second in the same way.
func (j job) pace() (result, error) {
	l, err := openOurs(store.Options{Dir: j.Dir, RetentionSize: 1})
	if err != nil {
		return result{}, err
	}
	return j.followed(l, func() (result, error) {
		const rate = 20_000
		list := slices.Clone(readings(true)[:256])
		debug.SetGCPercent(50) // as the gateway does
		debug.FreeOSMemory()
		w := newWindow(rate)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		began, n := time.Now(), 0
		for time.Since(began).Seconds() < j.Seconds {
			<-tick.C
			for due := int(time.Since(began).Seconds() * rate); n < due; n++ {
				if err := w.take(1); err != nil {
					return result{}, err
				}
				m := &list[n%len(list)]
				m.Seq = uint64(n + 1)
				if err := l.Append(m, w, 0); err != nil {
					return result{}, err
				}
			}
		}
		if err := w.wait(); err != nil {
			return result{}, err
		}
		return result{Rate: float64(n) / time.Since(began).Seconds(), Messages: n}, nil
	})
}

// followed runs a load while a reader stays j.N messages behind it.
func (j job) followed(l *log, load func() (result, error)) (result, error) {
	c, err := l.OpenCursor("follower", 1) // first: without it everything would be trimmed
	if err != nil {
		return result{}, err
	}
	if _, err := pipelined(l, readings(true), 2048, j.N, 0); err != nil {
		return result{}, err
	}
	debug.FreeOSMemory() // what filling took says nothing about the run
	live := float64(l.Stats().BlockBytes) / mb
	ctx, stop := context.WithCancel(context.Background())
	var behind error
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		behind = follow(ctx, l, c, j.N)
	}()
	seen, disk := measure.Follow(os.Getpid()), followDisk(j.Dir)
	wrote, used := written(), cpu()
	r, err := load()
	if err != nil {
		stop()
		return r, err
	}
	r.CPU = float64((cpu() - used).Microseconds()) / float64(r.Messages)
	r.Written = float64(written()-wrote) / (float64(r.Messages) * meanPayload(readings(true)))
	seen.End()
	r.DiskMedian, r.DiskPeak = disk.end()
	stop()
	<-followed
	if behind != nil {
		return r, behind
	}
	r.Live, r.Anon, r.RSS = live, seen.Anon(), seen.Most().RSS()
	return r, l.Close()
}

// follow reads everything but the last n messages and moves the cursor behind what it has read.
func follow(ctx context.Context, l *log, c *store.Cursor, n int) error {
	var batch []message.Record
	next := message.Position(1)
	for {
		tail, grown := l.Tail()
		if tail < next+message.Position(n) {
			select {
			case <-ctx.Done():
				return nil
			case <-grown:
			}
			continue
		}
		var err error
		if batch, err = l.Read(batch[:0], next, min(1000, int(tail-message.Position(n)-next)+1)); err != nil {
			return err
		}
		for i := range batch {
			if batch[i].Position != next {
				return fmt.Errorf("message %d came after %d", batch[i].Position, next-1)
			}
			next++
		}
		c.Move(next - 1)
	}
}

// trickle is ten readings a second, one by one, as collectors append them.
func (j job) trickle() (result, error) {
	l, err := openOurs(store.Options{Dir: j.Dir, Linger: j.Linger})
	if err != nil {
		return result{}, err
	}
	list := readings(true)
	w := newWindow(64)
	wrote, used := written(), cpu()
	began, n := time.Now(), 0
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for time.Since(began).Seconds() < j.Seconds {
		<-tick.C
		if err := w.take(1); err != nil {
			return result{}, err
		}
		m := &list[n%len(list)]
		m.Seq = uint64(n + 1)
		n++
		if err := l.AppendLazy(context.Background(), m, w, 0); err != nil {
			return result{}, err
		}
	}
	if err := w.wait(); err != nil {
		return result{}, err
	}
	took := time.Since(began).Seconds()
	bytes := float64(written() - wrote)
	return result{
		Messages: n, Rate: float64(n) / took,
		Written: bytes / (float64(n) * meanPayload(list)),
		PerDay:  bytes / took * 86400 / mb,
		CPU:     100 * (cpu() - used).Seconds() / took, // here: per cent of a core
		Anon:    anonymous(),
	}, l.Close()
}
