package gateway

import (
	"context"
	"time"

	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/mqtt"
	"sluice/gateway/transport"
	"sluice/web"
)

// listener is the MQTT listener in its place.
type listener struct {
	server *mqtt.Server
	listen []string
	guard  guard
	broker *broker.Broker

	readable *readable
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
			Access:           guard,
			Readable:         g.readable.payload,
			Listen:           c.MQTT.Listen,
			Listeners:        listenersOf(&c.MQTT),
			Anonymous:        c.MQTT.Anonymous,
			MaxPacket:        int(c.MQTT.MaxPacket),
			MaxConnections:   c.MQTT.MaxConnections,
			MaxSubscriptions: c.MQTT.MaxSubscriptions,
			MaxLevels:        c.MQTT.MaxLevels,
			MaxRate:          c.MQTT.MaxRate,
			MaxKeepAlive:     time.Duration(c.MQTT.MaxKeepAlive),
			Version:          g.options.Version,
			Tell:             g.tellUplinks,
		}, backend{g.broker, g.store}, g.log.With("part", "mqtt"))
		if err != nil {
			return nil, err
		}
		if err := server.TakeOver(before.server); err != nil {
			return nil, err
		}
		return &listener{server, mqttListen(&c.MQTT), guard, g.broker, &g.readable}, nil
	}}
}

// listenersOf gives the addresses that have settings of their own: those of the list, and the two that
// the short forms tls and websocket stand for.
func listenersOf(m *config.MQTT) (all []mqtt.Listener) {
	if tls := m.TLS; tls != nil {
		all = append(all, mqtt.Listener{Anonymous: m.Anonymous, Spec: transport.Spec{
			Address: tls.Listen,
			TLS:     &transport.TLS{Cert: tls.Cert, Key: tls.Key, ClientCA: tls.ClientCA},
		}})
	}
	if m.WebSocket != nil {
		all = append(all, mqtt.Listener{Anonymous: m.Anonymous, Spec: transport.Spec{
			Address: m.WebSocket.Listen, WebSocket: &transport.WebSocket{},
		}})
	}
	for _, l := range m.Listeners {
		next := mqtt.Listener{Anonymous: m.Anonymous, Spec: transport.Spec{
			Address: l.Listen, ProxyProtocol: l.ProxyProtocol, Connections: l.MaxConnections,
		}}
		if l.Anonymous != nil {
			next.Anonymous = *l.Anonymous
		}
		if tls := l.TLS; tls != nil {
			next.TLS = &transport.TLS{Cert: tls.Cert, Key: tls.Key, ClientCA: tls.ClientCA, Optional: tls.ClientCert == "optional"}
		}
		if l.WebSocket {
			next.WebSocket = &transport.WebSocket{Path: l.Path, Origins: l.Origins}
		}
		all = append(all, next)
	}
	return all
}

// mqttListen are all addresses for MQTT.
func mqttListen(m *config.MQTT) []string {
	all := append([]string(nil), m.Listen...)
	for _, l := range listenersOf(m) {
		all = append(all, l.Address)
	}
	return all
}

func (l *listener) Run(ctx context.Context) error { return l.server.Run(ctx) }

func (l *listener) Close() { l.server.Close() }

func (l *listener) show() web.MQTT {
	s := l.server.Stats()
	shown := web.MQTT{
		Listen: l.listen, Connections: s.Connections, Received: s.Received, Delivered: s.Delivered,
		Dropped: s.Dropped + l.broker.Stats().Dropped, Sleeping: l.broker.Stats().Sleeping, Unwelcome: l.guard.Stats().Refused,
		Unreadable: l.readable.failed.Load(),
	}
	for _, address := range s.Listeners {
		shown.Excess += address.Refused
	}
	return shown
}
