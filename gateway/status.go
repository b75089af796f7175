package gateway

import (
	"fmt"
	"strings"
	"time"

	"sluice/collectors"
	"sluice/store"
	"sluice/web"
)

// Status is what the page and the API show.
func (g *Gateway) Status() web.Status {
	g.mu.Lock()
	c, parts := g.config, g.placed
	g.mu.Unlock()
	cursors := g.store.Cursors() // once: sessions may be thousands
	status := web.Status{
		Gateway: c.Gateway.Name,
		Version: g.options.Version,
		Started: g.started,
		Devices: []web.Device{},
		Uplinks: []web.Uplink{},
		Log:     g.showLog(cursors),
		Alarms:  g.countAlarms(),

		Abandoned: abandoned(c, cursors),
	}
	lit := g.lines.lit()
	for _, p := range parts {
		switch part := p.part.(type) {
		case *device:
			status.Devices = append(status.Devices, g.showDevice(part, lit))
		case *uplink:
			status.Uplinks = append(status.Uplinks, g.showUplink(part, pinned(cursors)))
		case *listener:
			status.MQTT = part.show()
		case rocketListener:
			status.RocketMQ = part.show()
		case rocket5Listener: // it stands behind the one that it is shown with
			status.RocketMQ.GRPC = part.show()
		}
	}
	if g.options.Demo != nil {
		status.Demo = g.options.Demo()
	}
	return status
}

// consumers counts the connected clients of a consumer group; known is false when there is no listener for
// them.
func (g *Gateway) consumers(group string) (clients int, broadcast, known bool) {
	g.mu.Lock()
	parts := g.placed
	g.mu.Unlock()
	for _, p := range parts {
		if l, ok := p.part.(rocketListener); ok {
			clients, broadcast = l.Consumers(group)
			known = true
		}
		if l, ok := p.part.(rocket5Listener); ok {
			clients += l.Consumers(group)
		}
	}
	return clients, broadcast, known
}

// showDevice adds to a device how its line does, and what only the log knows before its first reading since
// the start.
func (g *Gateway) showDevice(d *device, lit map[string]light) web.Device {
	shown := d.show()
	l := lit[shown.Name]
	shown.Line, shown.Lamps = l.line, lampsOf(&shown, l)
	if shown.State != collectors.Online {
		shown.Advice = g.lines.adviceFor(shown.Name)
	}
	if shown.Seq == 0 {
		if _, last, err := g.broker.Sequence(shown.Name); err == nil {
			shown.Seq = last
		}
	}
	return shown
}

// showUplink adds to an uplink how long its backlog will last, and how much of the log it keeps.
func (g *Gateway) showUplink(u *uplink, kept map[string]int64) web.Uplink {
	shown := u.show()
	if seconds, ok := g.watcher.drain(shown.Name, shown.Backlog); ok {
		shown.Drain = &seconds
	}
	for i := range shown.Routes {
		r := &shown.Routes[i]
		r.Bytes = kept[cursorName(shown.Name, u.config.Forward[i].Place())]
		shown.BacklogBytes = max(shown.BacklogBytes, r.Bytes)
	}
	return shown
}

// pinned is how many bytes of the log each cursor of an uplink keeps.
func pinned(cursors []store.CursorStatus) map[string]int64 {
	kept := make(map[string]int64)
	for i := range cursors {
		if strings.HasPrefix(cursors[i].Name, uplinkCursors) {
			kept[cursors[i].Name] = cursors[i].Bytes
		}
	}
	return kept
}

func (g *Gateway) showLog(cursors []store.CursorStatus) web.Log {
	s := g.store.Stats()
	shown := web.Log{
		State:    string(s.Health),
		Error:    s.Error,
		Messages: s.Messages,
		Bytes:    s.Bytes,
		Limit:    s.Limit,
		First:    uint64(s.First),
		Last:     uint64(s.Last),
		Rate:     g.watcher.appendRate(),
		Dropped:  s.Dropped,
		Expired:  s.Expired,
		Volatile: g.options.Volatile,
	}
	shown.Cursors, shown.CursorsTotal = g.showCursors(cursors)
	if s.Oldest != 0 {
		oldest := time.UnixMilli(s.Oldest)
		shown.Oldest = &oldest
	}
	return shown
}

// Ready is nil when every part runs, else it names those that do not.
func (g *Gateway) Ready() error {
	problems := g.parts.dead()
	if s := g.store.Stats(); s.Health == store.Failed {
		problems = append(problems, "the log ("+s.Error+")")
	}
	for _, u := range g.uplinks() {
		if _, counted := u.waiting(); !counted {
			problems = append(problems, "uplink "+u.config.Name+" (its backlog is still being counted)")
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("not running: %s", strings.Join(problems, ", "))
	}
	return nil
}

// uplinks are the uplinks in their places.
func (g *Gateway) uplinks() (all []*uplink) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.placed {
		if u, ok := p.part.(*uplink); ok {
			all = append(all, u)
		}
	}
	return all
}
