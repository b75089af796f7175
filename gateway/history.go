package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/bridge"
	"sluice/bridge/hj212"
	"sluice/bridge/payload"
	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/store"
)

// What a look back at the log takes at once, and how long it then gives way to those who deliver.
const (
	historyRecords = 256
	historyPause   = 2 * time.Millisecond
)

// lookBack gives the log to an uplink whose cloud asks for what is past.
func (g *Gateway) lookBack(way bridge.Uplink, gateway string, u config.Uplink) {
	if asked, can := way.(interface{ LookBack(hj212.Past) }); can {
		asked.LookBack(&history{store: g.store, readable: &g.readable, gateway: gateway, uplink: u})
	}
}

// history is the log as one uplink's cloud may see it: what its routes forward, made as they make it.
type history struct {
	store    *store.Store
	readable *readable
	gateway  string
	uplink   config.Uplink
}

// pastRoute is one of the uplink's routes.
type pastRoute struct {
	filter string
	maker  bridge.Maker
}

// routes are made for each look back: a maker has one user at a time.
func (h *history) routes() (routes []pastRoute, filters []string, err error) {
	for _, r := range h.uplink.Forward {
		filter := strings.ReplaceAll(r.From, "{gateway}", h.gateway)
		maker, err := payload.New(payload.Options(r.Payload), h.gateway)
		if err != nil {
			return nil, nil, err
		}
		routes = append(routes, pastRoute{filter, readableMaker{h.readable, maker}})
		filters = append(filters, filter)
	}
	return routes, filters, nil
}

// Readings implements hj212.Past.
func (h *history) Readings(ctx context.Context, devices []string, since time.Time, take func(payload []byte, r *message.Record) error) error {
	routes, filters, err := h.routes()
	if err != nil {
		return err
	}
	end, _ := h.store.Tail()
	at := max(h.store.PositionAt(since.UnixMilli()), h.store.Head())
	pause := time.NewTimer(0)
	defer pause.Stop()
	var found []message.Record
	var made []bridge.Made
	for at <= end {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if found, at, err = h.store.ReadMatching(found[:0], at, historyRecords, filters); err != nil {
			return fmt.Errorf("look back at the log: %w", err)
		}
		for i := range found {
			r := &found[i]
			if r.Position > end {
				break
			}
			if !h.forwards(r) || r.Device != "" && len(devices) > 0 && !slices.Contains(devices, r.Device) {
				continue
			}
			route := slices.IndexFunc(routes, func(r pastRoute) bool { return message.Match(r.filter, found[i].Topic) })
			if made, err = routes[route].maker.Make(made[:0], r); err != nil {
				continue // nor was it sent when it was new
			}
			for _, m := range made {
				if err := take(m.Payload, r); err != nil {
					return err
				}
			}
		}
		pause.Reset(historyPause)
	}
	return nil
}

// forwards says whether the uplink would have forwarded a record: not what it has brought down itself, nor
// what is sent again for another one.
func (h *history) forwards(r *message.Record) bool {
	if from, known := r.Property(message.FromUplink); known && from == h.uplink.Name {
		return false
	}
	only, known := r.Property(message.OnlyUplink)
	return !known || only == h.uplink.Name
}
