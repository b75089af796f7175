package store

import (
	"errors"
	"runtime"
	"testing"

	"sluice/gateway/message"
)

func TestCacheTakesBackWhatItDropped(t *testing.T) {
	c := cache{bound: 1000}
	load := func(at span, cost int) *cached {
		b := c.entry(at)
		c.loaded(b, cost, false)
		return b
	}
	first := load(span{1, 10}, 600)
	load(span{11, 20}, 600)
	if c.order.Len() != 1 || c.cost != 600 {
		t.Fatalf("%d blocks of %d bytes, want one of 600", c.order.Len(), c.cost)
	}
	if got := c.peek(first.span); got != first || c.cost != 600 {
		t.Errorf("peek gives %p at %d bytes, want %p at 600", got, c.cost, first)
	}
	if got := c.entry(first.span); got != first || c.order.Len() != 1 || c.cost != 600 {
		t.Errorf("entry gives %p with %d blocks of %d bytes, want %p with one of 600", got, c.order.Len(), c.cost, first)
	}

	load(span{21, 30}, 600)
	c.loaded(first, 900, false) // it came into memory when it had been dropped
	if c.entry(first.span); c.cost != 900 {
		t.Errorf("%d bytes are counted, want 900", c.cost)
	}

	load(span{31, 40}, 600)
	first.err = errors.New("damaged")
	c.forget(first)
	if got := c.entry(first.span); got == first {
		t.Error("a block that could not be loaded came back")
	}
	runtime.KeepAlive(first)
}

func TestBlocksWithLanesHaveRoomOfTheirOwn(t *testing.T) {
	c := cache{bound: 1 << 20, lanes: 4 << 20}
	load := func(n int, lanes bool) {
		b := c.entry(span{messageAt(n), messageAt(n)})
		c.loaded(b, 512<<10, lanes)
	}
	for n := range 20 {
		load(n, true)
	}
	if c.order.Len() != 10 || c.cost != 10*512<<10 || c.laned != c.cost {
		t.Errorf("%d blocks of %d bytes, %d of them with lanes; want 10, of 5 MiB, all", c.order.Len(), c.cost, c.laned)
	}
	for n := range 20 {
		load(100+n, false)
	}
	if c.order.Len() != 2 || c.laned != 0 {
		t.Errorf("%d blocks, %d bytes with lanes; want the last 2 without", c.order.Len(), c.laned)
	}
}

func messageAt(n int) message.Position { return message.Position(n + 1) }
