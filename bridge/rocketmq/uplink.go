package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/gateway/remoting"
)

// mostRemembered is how many topics a new link looks up before it counts as connected.
const mostRemembered = 16

// Uplink is a configured way to one cluster.
type Uplink struct {
	options  Options
	gateway  string
	group    string
	clientID string
	turn     dial.Turn
	log      *slog.Logger

	mu       sync.Mutex // guards what follows
	topics   []string   // that were sent to
	replicas map[string]bool
}

// New makes an uplink. It touches neither network nor files.
func New(o Options, gateway string, log *slog.Logger) (*Uplink, error) {
	var problem error
	o.Validate(func(path, text string) {
		if problem == nil {
			problem = fmt.Errorf("rocketmq uplink: %s %s", path, text)
		}
	})
	if problem != nil {
		return nil, problem
	}
	if log == nil {
		log = slog.Default()
	}
	group := o.Group
	if group == "" {
		group = "sluice-" + topicName(gateway)
		group = group[:min(len(group), longestGroup)]
	}
	return &Uplink{options: o, gateway: gateway, group: group, clientID: topicName(gateway) + "@sluice", log: log,
		replicas: make(map[string]bool)}, nil
}

// Connect asks a name server for the brokers, and connects to those that the topics of the link before
// are at; to any one when there was none.
func (u *Uplink) Connect(ctx context.Context) (bridge.Link, error) {
	l, err := u.connect(ctx, u.remembered())
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (u *Uplink) connect(ctx context.Context, topics []string) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	secret, err := dial.Secret(u.options.SecretKeyFile)
	if err != nil {
		return nil, err
	}
	l := newLink(u, account{u.options.AccessKey, secret})
	if err := l.begin(ctx, topics); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *link) begin(ctx context.Context, topics []string) error {
	found := false
	for _, topic := range topics {
		err := l.ensure(ctx, topic)
		if _, refused := errors.AsType[*bridge.RefusedError](err); err != nil && !refused {
			return err
		}
		found = found || err == nil
	}
	if found {
		return l.Err()
	}
	masters, err := l.names.masters(ctx)
	if err != nil {
		return err
	}
	if len(masters) == 0 {
		return &dial.Error{Text: "the name server knows no broker", Hint: "do brokers register with it?"}
	}
	var unreachable []error
	for _, name := range slices.Sorted(maps.Keys(masters)) {
		err := l.reach(ctx, name, masters[name])
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		unreachable = append(unreachable, err)
	}
	return errors.Join(unreachable...)
}

func (u *Uplink) remember(topic string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.topics) < mostRemembered && !slices.Contains(u.topics, topic) {
		u.topics = append(u.topics, topic)
	}
}

func (u *Uplink) remembered() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.topics)
}

// noteReplicas says once of each broker that what it stores has no second copy for now.
func (u *Uplink) noteReplicas(broker string, code int) {
	u.mu.Lock()
	known := u.replicas[broker]
	u.replicas[broker] = true
	u.mu.Unlock()
	if !known {
		u.log.Warn("a broker stores messages, but its replica does not follow", "broker", broker, "code", remoting.ResponseName(code))
	}
}
