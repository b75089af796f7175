package rocketmq

import (
	"context"
	"errors"
	"sync"
	"time"

	"sluice/bridge/dial"
	"sluice/gateway/remoting"
)

// nameServerPatience is how long a name server may take: it answers from memory.
const nameServerPatience = 5 * time.Second

// nameServerAnswered is a step of a test of the uplink.
const nameServerAnswered = "name server answered"

// names asks the name servers of a link, one of them at a time.
type names struct {
	options *Options
	turn    *dial.Turn
	open    func(ctx context.Context, address, name string) (*conn, error)

	mu   sync.Mutex // held while one is asked; guards conn
	conn *conn
}

// ask asks the last good name server, and the others in turn when it does not answer.
func (n *names) ask(ctx context.Context, code int, fields ...remoting.Field) (answer remoting.Command, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	request := func() *remoting.Command {
		return &remoting.Command{Code: code, Ext: append(remoting.Fields(nil), fields...)}
	}
	if n.conn != nil {
		if answer, err = n.conn.call(ctx, request(), nameServerPatience); err == nil || ctx.Err() != nil {
			return answer, err
		}
		n.conn = nil
	}
	err = n.turn.Try(ctx, len(n.options.NameServers), func(ctx context.Context, i int) error {
		address := n.options.NameServers[i]
		c, err := n.open(ctx, address, "name server "+address)
		if err != nil {
			return err
		}
		err = dial.Take(ctx, nameServerAnswered, func() (string, error) {
			answer, err = c.call(ctx, request(), nameServerPatience)
			return address, err
		})
		if err != nil {
			c.end(errClosed)
			return err
		}
		n.conn = c
		return nil
	})
	return answer, err
}

// errNoTopic is that the name servers do not know a topic.
var errNoTopic = errors.New("the cluster has no such topic")

// route asks for the route of a topic.
func (n *names) route(ctx context.Context, topic string) (remoting.Route, error) {
	answer, err := n.ask(ctx, remoting.GetRouteInfoByTopic,
		remoting.Field{Name: "topic", Value: topic}, remoting.Field{Name: "acceptStandardJsonOnly", Value: "true"})
	switch {
	case err != nil:
		return remoting.Route{}, err
	case answer.Code == remoting.TopicNotExist:
		return remoting.Route{}, errNoTopic
	case answer.Code != remoting.Success:
		return remoting.Route{}, &dial.Error{Text: "the name server answers " + describe(&answer) + " to the question for " + topic, Hint: keyHint(answer.Code)}
	}
	return remoting.ParseRoute(answer.Body)
}

// masters asks for the brokers of the cluster that can be written to: addresses by names.
func (n *names) masters(ctx context.Context) (map[string]string, error) {
	answer, err := n.ask(ctx, remoting.GetBrokerClusterInfo)
	if err != nil {
		return nil, err
	}
	if answer.Code != remoting.Success {
		return nil, &dial.Error{Text: "the name server answers " + describe(&answer) + " to the question for the brokers", Hint: keyHint(answer.Code)}
	}
	brokers, err := remoting.ParseCluster(answer.Body)
	if err != nil {
		return nil, err
	}
	masters := make(map[string]string)
	for name, b := range brokers {
		if address := b.Addresses[0]; address != "" {
			masters[name] = address
		}
	}
	return masters, nil
}

func keyHint(code int) string {
	if code == remoting.NoPermission {
		return "are access_key and secret_key_file right?"
	}
	return ""
}
