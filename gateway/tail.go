package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/web"
)

// A person reads no more than so much, and looking must not slow down what is looked at.
const (
	tailEvery   = 250 * time.Millisecond
	tailSilence = time.Second           // after which it is told that nothing came
	tailShown   = 12                    // messages each time: about 50 a second
	tailWork    = 50 * time.Millisecond // each time, after which the rest is passed over
	tailRecords = 256                   // that are read at once
	tailText    = 240                   // bytes of a payload that are shown
)

// Follow implements web.Messages. It keeps nothing between two looks but a position.
func (m messages) Follow(ctx context.Context, filters []string, tell func(web.TailNews) error) error {
	at, _ := m.log.Tail()
	at++
	ticks := time.NewTicker(tailEvery)
	defer ticks.Stop()
	told := time.Now()
	var records []message.Record
	for first := true; ; first = false {
		news := web.TailNews{}
		begun := time.Now()
		for tail, _ := m.log.Tail(); at <= tail; {
			if time.Since(begun) > tailWork {
				news.Unread += uint64(tail - at + 1)
				at = tail + 1
				break
			}
			var err error
			if records, at, err = m.log.ReadMatching(records[:0], at, tailRecords, filters); err != nil {
				return fmt.Errorf("follow messages: %w", err)
			}
			for i := range records {
				if len(news.Items) < tailShown {
					news.Items = append(news.Items, m.tailItem(&records[i]))
				} else {
					news.Hidden++
				}
			}
		}
		clear(records) // let go of the blocks behind them
		if first || len(news.Items) > 0 || news.Unread > 0 || time.Since(told) >= tailSilence {
			told = time.Now()
			if err := tell(news); err != nil {
				return err
			}
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (m messages) tailItem(r *message.Record) web.TailItem {
	item := web.TailItem{MessageHead: headOf(r, queue.FromRecord(r)), Retain: r.Retain}
	body, _ := m.readable.payload(r)
	shown := body[:min(len(body), tailText)]
	for i := 1; i < utf8.UTFMax && len(shown) < len(body) && !utf8.Valid(shown); i++ {
		shown = body[:tailText-i] // not in the middle of a character
	}
	if utf8.Valid(shown) && !strings.ContainsRune(string(shown), 0) {
		item.Text = string(shown)
	}
	return item
}
