package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sluice/gateway/config"
	"sluice/web"
)

// unconfirmed is a change that is taken back unless somebody says, over the address that it made, that it
// works. It lies in the data directory while it waits, so that a kill does not make it one that stays.
type unconfirmed struct {
	ID       string    `json:"id"`
	Until    time.Time `json:"until"`
	Path     string    `json:"path"`     // of the configuration's file
	Previous string    `json:"previous"` // what it said before, secrets included
}

// markFile is where an unconfirmed change lies in the data directory.
const markFile = "unconfirmed-change.json"

func (c *configurator) markPath(dir string) string { return filepath.Join(dir, markFile) }

// mark makes it durable that a change is about to begin which has to be confirmed.
func (c *configurator) mark(previous string) (*unconfirmed, error) {
	path, err := filepath.Abs(c.gateway.options.Path)
	if err != nil {
		return nil, err
	}
	waiting := &unconfirmed{ID: rand.Text(), Until: time.Now().Add(c.grace), Path: path, Previous: previous}
	data, err := json.Marshal(waiting)
	if err != nil {
		return nil, err
	}
	if err := config.WriteAtomic(c.markPath(c.gateway.Config().Store.Dir), data); err != nil {
		return nil, fmt.Errorf("prepare to take the change back: %w", err)
	}
	return waiting, nil
}

func (c *configurator) unmark() error {
	err := os.Remove(c.markPath(c.gateway.Config().Store.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// wait begins the time in which a change must be confirmed.
func (c *configurator) wait(waiting *unconfirmed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting.Until = time.Now().Add(c.grace)
	c.pending = waiting
	c.turnLocked()
}

func (c *configurator) turnLocked() {
	select {
	case c.turned <- struct{}{}:
	default: // it will be looked at anyway
	}
}

func (c *configurator) shownPending() *web.PendingChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		return nil
	}
	return &web.PendingChange{ID: c.pending.ID, Until: c.pending.Until}
}

// Confirm keeps the change that waits.
func (c *configurator) Confirm(id string) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	if waiting := c.shownPending(); waiting == nil || waiting.ID != id {
		return fmt.Errorf("no such change waits to be confirmed: %w", web.ErrUnknown)
	}
	return c.settle()
}

// settle ends the waiting; what runs stays.
func (c *configurator) settle() error {
	if err := c.unmark(); err != nil {
		return fmt.Errorf("confirm the change: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = nil
	c.turnLocked()
	c.gateway.log.Info("the changed configuration is confirmed")
	return nil
}

// RollBack takes the change that waits back at once.
func (c *configurator) RollBack(user string) ([]web.KeyChange, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.shownPending() == nil {
		return nil, fmt.Errorf("no change waits to be confirmed: %w", web.ErrUnknown)
	}
	return c.takeBack(user)
}

func (c *configurator) takeBack(author string) ([]web.KeyChange, error) {
	c.mu.Lock()
	waiting := c.pending
	c.mu.Unlock()
	previous, err := config.Parse(c.name(), []byte(waiting.Previous), Kinds())
	if err != nil {
		return nil, fmt.Errorf("take the change back: %w", err)
	}
	running := c.gateway.Config()
	next := c.gateway.withStore(running, previous)
	if err := c.gateway.Apply(next, author); err != nil {
		return nil, fmt.Errorf("take the change back: %w", err)
	}
	c.noteStore(previous, next)
	if err := config.WriteAtomic(c.gateway.options.Path, []byte(waiting.Previous)); err != nil {
		return nil, fmt.Errorf("take the change back: %w", err)
	}
	if err := c.unmark(); err != nil {
		return nil, fmt.Errorf("take the change back: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = nil
	c.turnLocked()
	return keyChanges(running.Text, waiting.Previous, nil), nil
}

// again is how long the gateway waits after a change could not be taken back.
const again = 10 * time.Second

// run takes back what nobody confirms in time. What still waits when ctx ends is taken back at the next
// start.
func (c *configurator) run(ctx context.Context) error {
	for {
		var over <-chan time.Time
		if waiting := c.shownPending(); waiting != nil {
			over = time.After(time.Until(waiting.Until))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.turned:
		case <-over:
			c.expire()
		}
	}
}

func (c *configurator) expire() {
	c.changing.Lock()
	defer c.changing.Unlock()
	waiting := c.shownPending()
	if waiting == nil || time.Until(waiting.Until) > 0 {
		return
	}
	c.gateway.log.Warn("nobody confirmed the changed configuration; the one before it runs again")
	changes, err := c.takeBack(ByRollBack)
	if err != nil {
		c.gateway.log.Error("the change could not be taken back", "err", err, "retry_in", again)
		c.mu.Lock()
		c.pending.Until = time.Now().Add(again)
		c.mu.Unlock()
		return
	}
	c.gateway.recordConfig(ByRollBack, "configuration rolled back", changes)
}

// recovered gives the configuration to start with: that of the file, or, when a change of it was not
// confirmed before the gateway ended, the one before.
func (c *configurator) recovered(file *config.Config) (start *config.Config, author string) {
	path := c.gateway.options.Path
	if path == "" {
		return file, ByFile
	}
	mark := c.markPath(file.Store.Dir)
	data, err := os.ReadFile(mark)
	if errors.Is(err, fs.ErrNotExist) {
		return file, ByFile
	}
	var waiting unconfirmed
	if err == nil {
		err = json.Unmarshal(data, &waiting)
	}
	own, _ := filepath.Abs(path)
	var previous *config.Config
	if err == nil && waiting.Path == own {
		if previous, err = config.Parse(path, []byte(waiting.Previous), Kinds()); err == nil {
			err = config.WriteAtomic(path, []byte(waiting.Previous))
		}
	}
	if err != nil {
		c.gateway.log.Error("an unconfirmed change of the configuration could not be taken back", "err", err)
		return file, ByFile
	}
	if err := os.Remove(mark); err != nil {
		c.gateway.log.Error("an unconfirmed change of the configuration could not be forgotten", "err", err)
	}
	if previous == nil {
		return file, ByFile // it was about another file
	}
	if previous.Text != file.Text {
		c.gateway.log.Warn("the gateway ended before anybody confirmed the changed configuration; the one before it runs again")
	}
	return previous, ByRollBack
}
