package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
)

// supervisor starts every long-lived part of the gateway and waits for each. Nothing else in the
// gateway starts a goroutine that outlives a call, but for the connections that a part serves.
type supervisor struct {
	log *slog.Logger
	// died hears of the first part that ended without being stopped.
	died chan error

	mu      sync.Mutex // guards what follows
	parts   []*running // in the order they were started
	leaving []*running // told to end, and not waited for yet
}

type running struct {
	name   string
	cancel context.CancelFunc
	ended  chan struct{}
}

func newSupervisor(log *slog.Logger) *supervisor {
	return &supervisor{log: log, died: make(chan error, 1)}
}

// start runs a part until stop is called for its name. The part must return when its context ends.
func (s *supervisor) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	part := &running{name: name, cancel: cancel, ended: make(chan struct{})}
	s.mu.Lock()
	s.parts = append(s.parts, part)
	s.mu.Unlock()
	go func() {
		defer close(part.ended)
		err := run(ctx)
		if ctx.Err() != nil {
			if err != nil {
				s.log.Error("part ended badly", "part", name, "err", err)
			}
			return
		}
		if err == nil {
			err = fmt.Errorf("it ended by itself")
		}
		select {
		case s.died <- fmt.Errorf("%s: %w", name, err):
		default: // the first one is reason enough
		}
	}()
}

// stop ends the part of that name and waits for it. Stopping what does not run does nothing.
func (s *supervisor) stop(name string) {
	s.mu.Lock()
	var part *running
	for i, p := range s.parts {
		if p.name == name {
			part = p
			s.parts = append(s.parts[:i], s.parts[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	if part == nil {
		return
	}
	part.cancel()
	<-part.ended
}

// retire tells the part of that name to end and does not wait: stopAll does. It is for a part that may be
// what asks for it. False says that no such part runs.
func (s *supervisor) retire(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = slices.DeleteFunc(s.leaving, func(p *running) bool {
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	})
	for i, p := range s.parts {
		if p.name == name {
			p.cancel()
			s.leaving = append(s.leaving, p)
			s.parts = append(s.parts[:i], s.parts[i+1:]...)
			return true
		}
	}
	return false
}

// stopAll ends the parts whose names keep does not name, all at once, and waits for them.
func (s *supervisor) stopAll(keep ...string) {
	s.mu.Lock()
	ending, kept := s.leaving, []*running(nil)
	s.leaving = nil
	for _, p := range s.parts {
		if slices.Contains(keep, p.name) {
			kept = append(kept, p)
		} else {
			ending = append(ending, p)
		}
	}
	s.parts = kept
	s.mu.Unlock()
	for _, p := range ending {
		p.cancel()
	}
	for _, p := range ending {
		<-p.ended
	}
}

// dead names the parts that have ended although nobody stopped them.
func (s *supervisor) dead() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		select {
		case <-p.ended:
			names = append(names, p.name)
		default:
		}
	}
	return names
}
