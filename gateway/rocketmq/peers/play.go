package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// patience is how long something that must come may take. No answer of a broker that works takes as long.
const patience = 40 * time.Second

// quiet is how long nothing comes when nothing more shall come.
const quiet = 1500 * time.Millisecond

// play is one scenario being played: its names, its clients and what it saw.
type play struct {
	name    string
	namesrv string
	mark    string // ends every name of this run, and is cut off in what is printed
	run     func(*play)
	atEnd   []func()
	clients int
	address string // of the broker, once it is known

	mu    sync.Mutex // guards what follows
	seen  []observation
	names map[string]string // what an id stands for
}

// observation is one thing seen.
type observation struct {
	Scenario string `json:"scenario"`
	Saw      string `json:"saw"`
	Value    any    `json:"value,omitempty"`
}

func newPlay(name, namesrv, mark string, run func(*play)) *play {
	return &play{name: name, namesrv: namesrv, mark: mark, run: run, names: map[string]string{}}
}

// perform runs the scenario in a goroutine of its own, which fail can end.
func (p *play) perform() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, end := range slices.Backward(p.atEnd) {
				end()
			}
		}()
		p.run(p)
	}()
	<-done
}

// fail ends the scenario; the goroutine of the scenario alone may call it.
func (p *play) fail(format string, args ...any) {
	p.saw("failed", fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// must is for what may not fail if anything is to be seen at all.
func (p *play) must(err error, doing string) {
	if err != nil {
		p.fail("%s: %v", doing, err)
	}
}

// saw notes something seen.
func (p *play) saw(what string, value any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, observation{p.name, what, value})
}

// call gives an id the name under which it is printed.
func (p *play) call(id, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id != "" {
		p.names[id] = name
	}
}

var someID = regexp.MustCompile(`\b[0-9A-Fa-f]{32}\b`)

func (p *play) print(w io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, o := range p.seen {
		line, err := json.Marshal(o)
		if err != nil {
			line = fmt.Appendf(nil, `{"scenario":%q,"saw":"failed","value":%q}`, p.name, err)
		}
		text := strings.ReplaceAll(string(line), "-"+p.mark, "")
		text = someID.ReplaceAllStringFunc(text, func(id string) string {
			if name, ok := p.names[id]; ok {
				return name
			}
			return "some id"
		})
		lines = append(lines, text)
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
}

// own makes a name of a topic or a group that no other run has.
func (p *play) own(name string) string { return "go-" + p.name + "-" + name + "-" + p.mark }

// instance is a name for a client of its own: clients of one name share a connection and a client id.
func (p *play) instance() string {
	p.clients++
	return fmt.Sprintf("%s-%d-%s", p.name, p.clients, p.mark)
}

// inbox keeps what consumers were given.
type inbox struct {
	mu    sync.Mutex // guards what follows
	items []*primitive.MessageExt
	news  chan struct{} // closed and replaced at every arrival
}

func newInbox() *inbox { return &inbox{news: make(chan struct{})} }

func (b *inbox) add(messages ...*primitive.MessageExt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = append(b.items, messages...)
	close(b.news)
	b.news = make(chan struct{})
}

func (b *inbox) look() ([]*primitive.MessageExt, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.items), b.news
}

// await waits until as many messages have come, and then a while for more that should not come. It returns
// what came in any case: what is missing is seen by the comparison.
func (b *inbox) await(many int) []*primitive.MessageExt {
	return b.awaitFor(many, patience, quiet)
}

func (b *inbox) awaitFor(many int, most, after time.Duration) []*primitive.MessageExt {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	for {
		items, news := b.look()
		if len(items) >= many {
			break
		}
		select {
		case <-news:
			continue
		case <-ctx.Done():
		}
		break
	}
	time.Sleep(after)
	items, _ := b.look()
	return items
}
