package gateway

import (
	"context"

	"sluice/gateway/config"
	"sluice/gateway/mqtt"
	"sluice/web"
)

// listener is the MQTT listener in its place.
type listener struct {
	server *mqtt.Server
	listen []string
	guard  guard
}

func (g *Gateway) listenerPlace(c *config.Config) place {
	return place{name: "mqtt", spec: c.MQTT, open: func(replaces part) (part, error) {
		var before listener
		if old, ok := replaces.(*listener); ok {
			before = *old
		}
		guard, err := newGuard(&c.MQTT, before.guard, g.log.With("part", "mqtt"))
		if err != nil {
			return nil, err
		}
		server, err := mqtt.New(mqtt.Options{
			Access:    guard,
			Listen:    c.MQTT.Listen,
			Anonymous: c.MQTT.Anonymous,
			MaxPacket: int(c.MQTT.MaxPacket),
		}, backend{g.broker}, g.log.With("part", "mqtt"))
		if err != nil {
			return nil, err
		}
		if err := server.TakeOver(before.server); err != nil {
			return nil, err
		}
		return &listener{server, c.MQTT.Listen, guard}, nil
	}}
}

func (l *listener) Run(ctx context.Context) error { return l.server.Run(ctx) }

func (l *listener) Close() { l.server.Close() }

func (l *listener) show() web.MQTT {
	s := l.server.Stats()
	return web.MQTT{
		Listen: l.listen, Connections: s.Connections, Received: s.Received, Delivered: s.Delivered, Dropped: s.Dropped,
	}
}
