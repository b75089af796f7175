package gateway

import (
	"slices"
	"testing"
	"time"

	"sluice/gateway/mqtt"
	"sluice/store"
	"sluice/web"
)

// A session that ends while its client is away leaves nothing behind, in the broker and in the log.
func TestASessionThatEndsLeavesNothing(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "store: {dir: ./data}\ngateway: {name: g}\nweb: {listen: \"\"}\n"))
	start(t, g.Run)
	b := backend{g.broker, g.store}
	filters := []string{"a/#", "$share/group/b/#"}
	for _, id := range []string{"expires", "dropped"} {
		s, present, err := b.OpenSession(id, time.Hour, false)
		if err != nil || present {
			t.Fatal(present, err)
		}
		sub := b.Subscribe(mqtt.Now)
		for _, f := range filters {
			if err := s.Subscribe(mqtt.Subscribed{Filter: f, From: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sub.Join("group", "b/#", true); err != nil {
			t.Fatal(err)
		}
		s.Close(time.Hour)
		sub.Close()
	}
	if got := g.broker.Stats(); got.Sleeping != 2 || got.Shares != 1 || !g.broker.Wanted("b/x") {
		t.Fatalf("two sleep: %+v", got)
	}
	names := map[string]bool{}
	for _, c := range g.Status().Log.Cursors {
		names[c.Name] = true
		if c.InUse && c.Name != "share/group/b/#" && c.Name != "commands/g" {
			t.Errorf("%s is in use", c.Name)
		}
	}
	if !names["mqtt/expires"] || !names["mqtt/dropped"] {
		t.Errorf("the cursors are shown as %v", names)
	}
	if err := (keeper{g}).DropCursor("mqtt/dropped"); err != nil {
		t.Error(err)
	}
	if err := (keeper{g}).DropCursor("mqtt/dropped"); err != web.ErrUnknown {
		t.Errorf("dropped twice: %v", err)
	}
	if err := g.store.DropSession(t.Context(), "expires"); err != nil { // as the log does when it expires
		t.Fatal(err)
	}
	b.tendOnce()
	b.tendOnce()
	if got := g.broker.Stats(); got.Sleeping != 0 || got.Shares != 0 || g.broker.Wanted("b/x") {
		t.Errorf("something is left: %+v", got)
	}
	if list := g.store.Cursors(); slices.ContainsFunc(list, func(c store.CursorStatus) bool { return c.Name != "commands/g" }) {
		t.Errorf("cursors are left: %+v", list)
	}
}
