package rocketmq

import (
	"cmp"
	"maps"
	"slices"

	"sluice/gateway/remoting"
)

// 203 GET_CONSUMER_CONNECTION_LIST, 204 GET_PRODUCER_CONNECTION_LIST
//
// Supported: the clients of a group with address, language and version; what a consumer group is subscribed to.
func (s *Server) consumerConnections(r *request) (answer, error) {
	group, err := r.text("consumerGroup")
	if err != nil {
		return answer{}, err
	}
	crew, online := s.members.consuming(group)
	if !online {
		return answer{}, refuse(remoting.ConsumerNotOnline, "the consumer group[%s] not online", group)
	}
	subscriptions := make(map[string]subscriptionData, len(crew.subscriptions))
	for _, one := range crew.subscriptions {
		subscriptions[one.Topic] = one
	}
	body, err := jsonBody(struct {
		Connections   []connection                `json:"connectionSet"`
		From          string                      `json:"consumeFromWhere"`
		Type          string                      `json:"consumeType"`
		Model         string                      `json:"messageModel"`
		Subscriptions map[string]subscriptionData `json:"subscriptionTable"`
	}{connections(crew.members), crew.from, crew.consumeType, crew.model, subscriptions})
	return answer{body: body}, err
}

func (s *Server) producerConnections(r *request) (answer, error) {
	group, err := r.text("producerGroup")
	if err != nil {
		return answer{}, err
	}
	list := s.members.producing(group)
	if len(list) == 0 {
		return answer{}, refuse(remoting.SystemError, "the producer group[%s] not exist", group)
	}
	body, err := jsonBody(struct {
		Connections []connection `json:"connectionSet"`
	}{connections(list)})
	return answer{body: body}, err
}

// connection is a client as tools show it.
type connection struct {
	Address  string `json:"clientAddr"`
	Client   string `json:"clientId"`
	Language string `json:"language"`
	Version  int    `json:"version"`
}

func connections(list []*member) []connection {
	shown := make([]connection, 0, len(list))
	for _, one := range list {
		shown = append(shown, connection{one.conn.remote.String(), one.client, one.peer.language.String(), one.peer.version})
	}
	return shown
}

// crew is a consumer group as it was at one moment.
type crew struct {
	members                  []*member
	subscriptions            []subscriptionData
	consumeType, model, from string
}

func (c crew) subscribes(topic string) bool {
	return slices.ContainsFunc(c.subscriptions, func(one subscriptionData) bool { return one.Topic == topic })
}

// consuming gives the clients and subscriptions of a consumer group that has any.
func (m *members) consuming(group string) (crew, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	g := m.consumers[group]
	if g == nil {
		return crew{}, false
	}
	now := crew{members: sorted(g.members), consumeType: g.consumeType, model: g.model, from: g.from}
	for _, one := range g.subscriptions {
		now.subscriptions = append(now.subscriptions, one.data.shown())
	}
	slices.SortFunc(now.subscriptions, func(a, b subscriptionData) int { return cmp.Compare(a.Topic, b.Topic) })
	return now, true
}

// shown gives the data without null, which some tools do not expect.
func (d subscriptionData) shown() subscriptionData {
	if d.Tags == nil {
		d.Tags = []string{}
	}
	if d.Codes == nil {
		d.Codes = []number{}
	}
	return d
}

// unique sorts names and drops what repeats.
func unique(names []string) []string {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return slices.Sorted(maps.Keys(set))
}
