package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/goccy/go-yaml"

	"sluice/collectors/finder"
	"sluice/web"
)

// What is kept of searches. Two at once leave a small machine room for its work.
const (
	keptSearches   = 8
	searchesAtOnce = 2
	mostFound      = 1000 // devices of one search; a line has 247 units, a network of this size many
)

// searches runs searches for devices and keeps the last of them.
type searches struct {
	gateway *Gateway

	mu      sync.Mutex      // guards what follows
	ctx     context.Context // of Run; nil while nothing runs
	running sync.WaitGroup
	next    int
	list    []*search // the oldest first
}

// search is one of them.
type search struct {
	cancel context.CancelFunc

	mu    sync.Mutex // guards what follows
	state web.DeviceSearch
}

// Run lets searches be started until ctx ends, and returns when the last has ended.
func (s *searches) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// Options gives what there is to search.
func (s *searches) Options() web.SearchOptions { return s.gateway.searchOptions() }

// List gives the searches that are kept, the newest first.
func (s *searches) List() (list []web.DeviceSearch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range slices.Backward(s.list) {
		list = append(list, one.show())
	}
	return list
}

// Find gives one of them.
func (s *searches) Find(id string) (web.DeviceSearch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		if shown := one.show(); shown.ID == id {
			return shown, nil
		}
	}
	return web.DeviceSearch{}, web.ErrUnknown
}

// Start begins a search.
func (s *searches) Start(wanted web.SearchRequest) (web.DeviceSearch, error) {
	plan, err := s.gateway.plan(wanted)
	if err != nil {
		return web.DeviceSearch{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		return web.DeviceSearch{}, errors.Join(errors.New("the gateway does not run"), plan.close())
	}
	if err := s.roomLocked(plan.place); err != nil {
		return web.DeviceSearch{}, errors.Join(err, plan.close())
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.next++
	one := &search{cancel: cancel, state: web.DeviceSearch{
		ID: "s" + strconv.Itoa(s.next), Kind: wanted.Kind, State: "running", Place: plan.place, Started: time.Now(), Found: []web.FoundDevice{},
	}}
	s.list = append(s.list, one)
	s.forgetLocked()
	s.running.Go(func() {
		defer cancel()
		err := plan.run(ctx, finder.Report{Progress: one.progress, Found: one.found})
		one.end(ctx, errors.Join(err, plan.close()))
	})
	return one.show(), nil
}

// roomLocked tells why a search of a place cannot begin now.
func (s *searches) roomLocked(place string) error {
	running := 0
	for _, one := range s.list {
		if shown := one.show(); shown.State == "running" {
			running++
			if shown.Place == place {
				return fmt.Errorf("%w: %s is being searched already, by %s", web.ErrSearching, place, shown.ID)
			}
		}
	}
	if running >= searchesAtOnce {
		return fmt.Errorf("%w: %d run already", web.ErrSearching, running)
	}
	return nil
}

// forgetLocked keeps the list short: those that have ended go first.
func (s *searches) forgetLocked() {
	for len(s.list) > keptSearches {
		i := slices.IndexFunc(s.list, func(one *search) bool { return one.show().State != "running" })
		if i < 0 {
			return // fewer run than are kept
		}
		s.list = slices.Delete(s.list, i, i+1)
	}
}

// Stop cancels a search that runs, and forgets one that has ended.
func (s *searches) Stop(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.list {
		shown := one.show()
		if shown.ID != id {
			continue
		}
		one.cancel()
		if shown.State != "running" {
			s.list = slices.Delete(s.list, i, i+1)
		}
		return nil
	}
	return web.ErrUnknown
}

func (one *search) show() web.DeviceSearch {
	one.mu.Lock()
	defer one.mu.Unlock()
	shown := one.state
	shown.Found = slices.Clone(shown.Found)
	return shown
}

func (one *search) progress(p finder.Progress) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.state.Done, one.state.All, one.state.Now, one.state.Left = p.Done, p.All, p.Now, p.Left.Seconds()
}

func (one *search) found(f finder.Found) {
	shown := web.FoundDevice{
		Place: f.Place, Protocol: f.Protocol, Settings: f.Settings, Unit: f.Unit, Answer: f.Answer, Raw: f.Raw,
		Guesses: []web.DeviceGuess{}, YAML: f.YAML,
	}
	for _, g := range f.Guesses {
		shown.Guesses = append(shown.Guesses, web.DeviceGuess{Profile: g.Profile, Title: g.Title, Score: g.Score, Why: g.Why})
	}
	shown.Device, shown.Bus = sections(f.YAML)
	one.mu.Lock()
	defer one.mu.Unlock()
	if len(one.state.Found) < mostFound {
		one.state.Found = append(one.state.Found, shown)
	}
}

// sections takes apart what the finder wrote: one device, and the line that it needs.
func sections(text string) (device, bus map[string]any) {
	var written struct {
		Buses   []map[string]any `yaml:"buses"`
		Devices []map[string]any `yaml:"devices"`
	}
	if yaml.Unmarshal([]byte(text), &written) != nil || len(written.Devices) == 0 {
		return nil, nil
	}
	if len(written.Buses) > 0 {
		bus = written.Buses[0]
	}
	return written.Devices[0], bus
}

func (one *search) end(ctx context.Context, err error) {
	one.mu.Lock()
	defer one.mu.Unlock()
	now := time.Now()
	one.state.Ended, one.state.Now, one.state.Left = &now, "", 0
	switch {
	case ctx.Err() != nil:
		one.state.State = "cancelled"
	case err != nil:
		one.state.State, one.state.Error = "failed", err.Error()
	default:
		one.state.State = "done"
	}
}
