package bridge

import (
	"slices"
	"sync"
	"sync/atomic"

	"sluice/gateway/message"
)

// Watcher is told what becomes of records on their way up. Its methods are called where every message
// passes, one of a route at a time: they must not wait for anything, and not keep the record.
type Watcher interface {
	// Sent is told of a record as it is put on its way, each time that it is, with the bytes of what was made of it.
	Sent(route *Route, r *message.Record, bytes int, again bool)
	// Acknowledged is told of a record once the cursor passes it because the cloud has taken everything that
	// was made of it. Of one that was set aside it is not told.
	Acknowledged(route *Route, r *message.Record)
}

// watchers costs one atomic load for a message while nobody watches.
type watchers struct {
	mu   sync.Mutex // of those who change the list
	list atomic.Pointer[[]Watcher]
}

// Watch lets w hear of every record until stop is called. A call that has begun may end after that.
func (f *Forwarder) Watch(w Watcher) (stop func()) {
	f.watchers.change(func(list []Watcher) []Watcher { return append(list, w) })
	return sync.OnceFunc(func() {
		f.watchers.change(func(list []Watcher) []Watcher {
			i := slices.Index(list, w)
			return slices.Delete(list, i, i+1)
		})
	})
}

// change puts another list in place: those who read the old one are left alone.
func (ws *watchers) change(how func([]Watcher) []Watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var list []Watcher
	if old := ws.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if list = how(list); len(list) == 0 {
		ws.list.Store(nil)
		return
	}
	ws.list.Store(&list)
}

func (ws *watchers) sent(l *lane, r *message.Record) {
	list := ws.list.Load()
	if list == nil {
		return
	}
	bytes := 0
	for _, m := range l.made {
		bytes += len(m.Payload)
	}
	for _, w := range *list {
		w.Sent(l.Route, r, bytes, r.Position <= l.sent)
	}
}

func (ws *watchers) acknowledged(route *Route, r *message.Record) {
	if list := ws.list.Load(); list != nil {
		for _, w := range *list {
			w.Acknowledged(route, r)
		}
	}
}
