package rocketmq

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"sync"
	"time"

	"sluice/gateway/queue"
	"sluice/gateway/rocketmq/acl"
)

// Join says how the gateway becomes one more broker of a cluster that has name servers of its own.
type Join struct {
	NameServers []string // host:port
	// DefaultTopics registers the template TBW102 and the cluster's reply topic too. Beside other brokers
	// they draw messages here that were meant for those.
	DefaultTopics bool
	Account       acl.Account // whose keys sign; without an access key nothing is signed
	TLS           *tls.Config // nil: plain text
}

// lookEvery is how soon a topic that a message has made is registered. One that a tool has made is at once.
const lookEvery = time.Second

// cluster keeps a broker registered with the name servers of a cluster.
type cluster struct {
	join       Join
	name       string // of the cluster
	broker     string // its name
	topics     func() map[string]topicConfig
	reachable  func(local net.Addr) string // where clients find the broker
	dial       func(ctx context.Context, address string) (net.Conn, error)
	log        *slog.Logger
	changed    chan struct{} // capacity 1: somebody has changed a topic
	registrars []*registrar

	mu   sync.Mutex // guards roll
	roll roll
}

// roll is what a registration says: all topics, and a version that tells name servers whether they know them.
type roll struct {
	version dataVersion
	topics  []byte // JSON
}

// newCluster makes what keeps the server registered, or nil when it shall not be.
func (s *Server) newCluster() *cluster {
	join := s.options.Join
	if join == nil {
		return nil
	}
	dialer := &net.Dialer{Timeout: askLimit}
	c := &cluster{
		join: *join, name: s.options.Cluster, broker: s.options.Name, log: s.log,
		topics: s.ownTopics, reachable: s.reachable, changed: make(chan struct{}, 1),
		dial: func(ctx context.Context, address string) (net.Conn, error) {
			if join.TLS != nil {
				return (&tls.Dialer{NetDialer: dialer, Config: join.TLS}).DialContext(ctx, "tcp", address)
			}
			return dialer.DialContext(ctx, "tcp", address)
		},
	}
	c.enlist()
	return c
}

func (c *cluster) enlist() {
	for _, address := range c.join.NameServers {
		c.registrars = append(c.registrars, newRegistrar(c, address))
	}
}

// run keeps the broker registered until ctx ends, and then takes it back.
func (c *cluster) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	c.look()
	for _, r := range c.registrars {
		all.Go(func() { r.run(ctx) })
	}
	for pause := lookEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		case <-time.After(pause):
		}
		began := time.Now()
		if c.look() {
			for _, r := range c.registrars {
				wake(r.changed)
			}
		}
		pause = max(lookEvery, 50*time.Since(began)) // thousands of topics take two hundredths of a core at most
	}
}

// look says whether the topics are others than the last time.
func (c *cluster) look() bool {
	table, err := json.Marshal(c.topics())
	if err != nil {
		panic("bug: topics cannot be written: " + err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Equal(table, c.roll.topics) {
		return false
	}
	version := c.roll.version
	version.Counter++
	version.Timestamp = time.Now().UnixMilli()
	c.roll = roll{version, table}
	return true
}

func (c *cluster) current() roll {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.roll
}

// wake tells somebody that there is something to do, once.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ownTopics are the topics that other name servers hear of. A registration of a single topic would be refused
// as long as the broker is unknown; there are at least those of the cluster's and the broker's name.
func (s *Server) ownTopics() map[string]topicConfig {
	table := make(map[string]topicConfig)
	for _, name := range s.topicNames() {
		if !s.options.Join.DefaultTopics && (name == queue.DefaultTopic || name == s.options.Cluster+replySuffix) {
			continue
		}
		if topic, ok := s.route(name); ok {
			config := s.topicConfig(topic)
			if s.wiped.Load() {
				config.Permission &^= queue.MayWrite
			}
			table[name] = config
		}
	}
	return table
}

// reachable is where clients of other name servers find us: what is configured, or where we listen. Who
// listens everywhere is found where it talks to the name server from.
func (s *Server) reachable(local net.Addr) string {
	if s.options.Advertise != "" {
		return s.options.Advertise
	}
	addrs := s.Addrs()
	if len(addrs) == 0 {
		return ""
	}
	at, everywhere := addrs[0].(*net.TCPAddr)
	from, known := local.(*net.TCPAddr)
	if everywhere = everywhere && at.IP.IsUnspecified(); everywhere && known {
		return (&net.TCPAddr{IP: from.IP, Port: at.Port}).String()
	}
	return addrs[0].String()
}

// Registrations tell how the gateway stands with each name server of its cluster.
func (s *Server) Registrations() (all []Registration) {
	if s.cluster == nil {
		return nil
	}
	for _, r := range s.cluster.registrars {
		all = append(all, r.state())
	}
	return all
}
