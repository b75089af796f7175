package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

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
type rocketListener struct {
	*rocketmq.Server
	keys bool   // requests must be signed
	tls  string // as web.RocketMQ has it
}

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
		if other := r.Cluster; other != nil {
			options.Name, options.Cluster = other.Broker, other.Name
			if options.Join, err = joining(other); err != nil {
				return nil, fmt.Errorf("cluster: %w", err)
			}
		}
		for _, address := range []string{r.Listen, r.NameServer} {
			if address != "" {
				at := transport.Spec{Address: address, ProxyProtocol: r.Proxy}
				if own := r.TLS; own != nil {
					at.TLS = &transport.TLS{Cert: own.Cert, Key: own.Key, ClientCA: own.ClientCA, Plain: !own.Only}
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
		return rocketListener{server, len(r.Access) > 0, tlsOf(r)}, nil
	}}
}

// joining is what it takes to speak with a cluster's name servers.
func joining(c *config.RocketMQCluster) (*rocketmq.Join, error) {
	join := &rocketmq.Join{
		NameServers: c.NameServers, DefaultTopics: c.DefaultTopics,
		Account: acl.Account{AccessKey: c.AccessKey, SecretKey: string(c.SecretKey)},
	}
	if c.TLS == nil {
		return join, nil
	}
	join.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.TLS.ServerName}
	if c.TLS.CA != "" {
		pem, err := os.ReadFile(c.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("cannot read tls.ca: %w", err)
		}
		join.TLS.RootCAs = x509.NewCertPool()
		if !join.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: there is no certificate in %s", c.TLS.CA)
		}
	}
	if c.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot use tls.cert and tls.key: %w", err)
		}
		join.TLS.Certificates = []tls.Certificate{pair}
	}
	return join, nil
}

// warnOpen says so when anybody who reaches an address gets in.
func warnOpen(g *Gateway, address string, open bool) {
	host, _, err := net.SplitHostPort(address)
	if at := net.ParseIP(host); err == nil && open && (at == nil || !at.IsLoopback()) && host != "localhost" {
		g.log.Warn("anybody who reaches this address gets in without a key", "part", "rocketmq", "address", address)
	}
}

// tlsOf says whether TLS is spoken, and whether plain text is taken beside it.
func tlsOf(r *config.RocketMQ) string {
	switch {
	case r.TLS == nil:
		return "off"
	case r.TLS.Only:
		return "only"
	}
	return "beside"
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
		Keys: &l.keys, TLS: l.tls,
		Connections: s.Connections, Received: s.Sent, Delivered: s.Delivered, Groups: s.Groups, Producers: s.Producers,
		Waiting: s.Held, Unwelcome: s.Unwelcome, Excess: s.Refused,
	}
	for _, at := range l.Addrs() {
		shown.Listen = append(shown.Listen, at.String())
	}
	for _, r := range l.Registrations() {
		shown.NameServers = append(shown.NameServers, web.NameServer{
			Address: r.NameServer, State: r.State, Since: r.Since, Broker: r.Broker, Error: r.Error,
		})
	}
	return shown
}
