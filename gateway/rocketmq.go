package gateway

import (
	"context"
	"net"

	"sluice/gateway/config"
	"sluice/gateway/rocketmq"
	"sluice/gateway/rocketmq/acl"
	"sluice/gateway/transport"
	"sluice/web"
)

// rocketCluster is the cluster that clients find the gateway in: the name that Apache's tools and examples
// expect.
const rocketCluster = "DefaultCluster"

// rocketListener is the RocketMQ listener in its place.
type rocketListener struct{ *rocketmq.Server }

func (g *Gateway) rocketPlace(c *config.Config) place {
	type spec struct {
		rocketmq config.RocketMQ
		name     string
	}
	return place{name: "rocketmq", spec: spec{*c.RocketMQ, c.Gateway.Name}, open: func(replaces part) (part, error) {
		var before *rocketmq.Server
		if old, ok := replaces.(rocketListener); ok {
			before = old.Server
		}
		r := c.RocketMQ
		access, err := acl.New(rocketAccounts(r.Access))
		if err != nil {
			return nil, err
		}
		options := rocketmq.Options{
			Name: c.Gateway.Name, Cluster: rocketCluster, Advertise: r.Advertise, Version: g.options.Version,
			Access: access,
		}
		for _, address := range []string{r.Listen, r.NameServer} {
			if address != "" {
				at := transport.Spec{Address: address, ProxyProtocol: r.Proxy}
				if tls := r.TLS; tls != nil {
					at.TLS = &transport.TLS{Cert: tls.Cert, Key: tls.Key, ClientCA: tls.ClientCA, Plain: !tls.Only}
				}
				options.Listen = append(options.Listen, at)
				warnOpen(g, address, len(r.Access) == 0)
			}
		}
		g.queues.UseQueues(r.Queues)
		server := rocketmq.New(options, g.queues, g.log.With("part", "rocketmq"))
		if err := server.TakeOver(before); err != nil {
			return nil, err
		}
		return rocketListener{server}, nil
	}}
}

// warnOpen says so when anybody who reaches an address gets in.
func warnOpen(g *Gateway, address string, open bool) {
	host, _, err := net.SplitHostPort(address)
	if at := net.ParseIP(host); err == nil && open && (at == nil || !at.IsLoopback()) && host != "localhost" {
		g.log.Warn("anybody who reaches this address gets in without a key", "part", "rocketmq", "address", address)
	}
}

func rocketAccounts(list []config.RocketMQAccess) (all []acl.Account) {
	for _, a := range list {
		all = append(all, acl.Account{
			AccessKey: a.AccessKey, SecretKey: string(a.SecretKey), Publish: a.Publish, Subscribe: a.Subscribe, Groups: a.Groups, Admin: a.Admin,
		})
	}
	return all
}

func (l rocketListener) Run(ctx context.Context) error { return l.Server.Run(ctx) }

func (l rocketListener) Close() { l.Server.Close() }

func (l rocketListener) show() *web.RocketMQ {
	s := l.Stats()
	shown := &web.RocketMQ{
		Connections: s.Connections, Received: s.Sent, Delivered: s.Delivered, Groups: s.Groups, Producers: s.Producers,
		Waiting: s.Held, Unwelcome: s.Unwelcome, Excess: s.Refused,
	}
	for _, at := range l.Addrs() {
		shown.Listen = append(shown.Listen, at.String())
	}
	return shown
}
