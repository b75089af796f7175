package gateway

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/gateway/config"
	"sluice/store"
	"sluice/web"
)

// uplinkCursors begins the names of the cursors of uplinks.
const uplinkCursors = "uplink/"

// cursorName is the name of the cursor of an uplink's route.
func cursorName(uplink, from string) string { return uplinkCursors + uplink + "/" + from }

// routeOf takes apart what cursorName made.
func routeOf(cursor string) (uplink, from string, ok bool) {
	rest, ok := strings.CutPrefix(cursor, uplinkCursors)
	uplink, from, cut := strings.Cut(rest, "/")
	return uplink, from, ok && cut
}

// abandoned gives the routes that are not configured any more but keep their places in the log, those
// that keep most first. Nothing of theirs goes by itself: somebody must drop it, or configure it again.
func abandoned(c *config.Config, cursors []store.CursorStatus) []web.Abandoned {
	list := []web.Abandoned{}
	for _, cursor := range cursors {
		uplink, from, ours := routeOf(cursor.Name)
		known, wanted := configured(c, uplink, from)
		if !ours || wanted {
			continue
		}
		a := web.Abandoned{Uplink: uplink, From: from, Gone: !known, Cursor: cursor.Name, Messages: cursor.Messages, Bytes: cursor.Bytes}
		if cursor.Oldest != 0 {
			oldest := time.UnixMilli(cursor.Oldest)
			a.Oldest = &oldest
		}
		list = append(list, a)
	}
	slices.SortStableFunc(list, func(a, b web.Abandoned) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return list
}

func configured(c *config.Config, uplink, from string) (known, route bool) {
	for _, u := range c.Uplinks {
		if u.Name == uplink {
			return true, slices.ContainsFunc(u.Forward, func(r config.ForwardRoute) bool { return r.From == from })
		}
	}
	return false, false
}

// tellAbandoned logs what a configuration leaves behind, and notes which routes have places in the
// log, for sluice check.
func (g *Gateway) tellAbandoned(c *config.Config) {
	for _, a := range abandoned(c, g.store.Cursors()) {
		g.log.Warn("a route is not configured any more; what waits for it stays in the log until it is configured again or dropped",
			"uplink", a.Uplink, "from", a.From, "messages", a.Messages, "bytes", a.Bytes, "cursor", a.Cursor)
	}
	g.noteRoutes(c)
}

// routesFile is where the names of the cursors of uplinks are noted, in the folder of the log. They
// are in the log, too, but nobody else can read that while the gateway runs.
const routesFile = "routes.json"

// noteRoutes writes the names of the cursors that are there, and of those that c is about to open.
func (g *Gateway) noteRoutes(c *config.Config) {
	names := []string{}
	for _, cursor := range g.store.Cursors() {
		if _, _, ours := routeOf(cursor.Name); ours {
			names = append(names, cursor.Name)
		}
	}
	for _, u := range c.Uplinks {
		for _, r := range u.Forward {
			names = append(names, cursorName(u.Name, r.Place()))
		}
	}
	slices.Sort(names)
	text, err := json.Marshal(slices.Compact(names))
	if err == nil {
		err = config.WriteAtomic(filepath.Join(c.Store.Dir, routesFile), text)
	}
	if err != nil {
		g.log.Warn("sluice check will not know which routes have places in the log", "err", err)
	}
}

// Abandons says of each route that has a place in the log, but none in c, that its backlog would stay
// there. It reads what the gateway noted last and works while the gateway runs.
func Abandons(c *config.Config) (warnings []string, err error) {
	text, err := os.ReadFile(filepath.Join(c.Store.Dir, routesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no gateway has run there
	}
	var names []string
	if err == nil {
		err = json.Unmarshal(text, &names)
	}
	if err != nil {
		return nil, fmt.Errorf("read which routes have places in the log: %w", err)
	}
	for _, name := range names {
		uplink, from, ours := routeOf(name)
		known, wanted := configured(c, uplink, from)
		if !ours || wanted {
			continue
		}
		what := fmt.Sprintf("uplink %s is not configured, but has a place in the log for %s", uplink, from)
		if known {
			what = fmt.Sprintf("uplink %s has no route from %s, but a place in the log for it", uplink, from)
		}
		warnings = append(warnings, what+": what waits there stays, and keeps the log, until it is configured again under the same name or dropped on the page")
	}
	return warnings, nil
}
