package gateway

import (
	"sluice/gateway/config"
	"sluice/gateway/rocketmq/acl"
	"sluice/gateway/rocketmqgrpc"
	"sluice/gateway/transport"
	"sluice/web"
)

// rocket5Listener is the listener for RocketMQ 5 clients in its place.
type rocket5Listener struct{ *rocketmqgrpc.Server }

func (g *Gateway) rocket5Place(c *config.Config) place {
	type spec struct {
		listen string
		tls    *config.RocketMQTLS
		proxy  bool
		access []config.RocketMQAccess
		name   string
	}
	r := c.RocketMQ
	name := c.Gateway.Name
	if r.Cluster != nil {
		name = r.Cluster.Broker
	}
	return place{name: "rocketmq grpc", spec: spec{r.GRPC, r.TLS, r.Proxy, r.Access, name}, open: func(replaces part) (part, error) {
		var before *rocketmqgrpc.Server
		if old, ok := replaces.(rocket5Listener); ok {
			before = old.Server
		}
		access, err := acl.New(rocketAccounts(r.Access))
		if err != nil {
			return nil, err
		}
		// Clients of version 5 begin with TLS unless they are told otherwise, and ask for no proof.
		at := transport.Spec{Address: r.GRPC, ProxyProtocol: r.Proxy, TLS: &transport.TLS{Plain: true, Protocols: []string{"h2"}}}
		if own := r.TLS; own != nil {
			at.TLS.Cert, at.TLS.Key, at.TLS.ClientCA, at.TLS.Plain = own.Cert, own.Key, own.ClientCA, !own.Only
		}
		warnOpen(g, r.GRPC, len(r.Access) == 0)
		server := rocketmqgrpc.New(rocketmqgrpc.Options{Listen: at, Name: name, Access: access}, g.queues, g.log.With("part", "rocketmq"))
		if err := server.TakeOver(before); err != nil {
			return nil, err
		}
		return rocket5Listener{server}, nil
	}}
}

func (l rocket5Listener) show() *web.RocketMQ5 {
	s := l.Stats()
	shown := &web.RocketMQ5{
		Connections: s.Connections, Received: s.Sent, Delivered: s.Delivered, Groups: s.Groups, Producers: s.Producers,
		Waiting: s.Held, Unwelcome: s.Unwelcome, Excess: s.Refused,
	}
	if at := l.Addr(); at != nil {
		shown.Listen = at.String()
	}
	return shown
}
