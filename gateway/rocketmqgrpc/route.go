package rocketmqgrpc

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"sluice/gateway/queue"
)

// QueryRoute implements v2.MessagingServiceServer: which queues a topic has, all of them here.
func (s *Server) QueryRoute(ctx context.Context, r *v2.QueryRouteRequest) (*v2.QueryRouteResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	var topic queue.Topic
	if err == nil {
		topic, err = s.route(r.GetTopic())
	}
	if err != nil {
		return &v2.QueryRouteResponse{Status: s.statusOf(err)}, nil
	}
	broker := s.broker(r.GetEndpoints(), who)
	answer := &v2.QueryRouteResponse{Status: okStatus}
	for i := range max(topic.ReadQueues, topic.WriteQueues) {
		permission := v2.Permission_NONE
		reads, writes := i < topic.ReadQueues && topic.Permission&queue.MayRead != 0, i < topic.WriteQueues && topic.Permission&queue.MayWrite != 0
		switch {
		case reads && writes:
			permission = v2.Permission_READ_WRITE
		case reads:
			permission = v2.Permission_READ
		case writes:
			permission = v2.Permission_WRITE
		}
		answer.MessageQueues = append(answer.MessageQueues, &v2.MessageQueue{
			Topic: r.GetTopic(), Id: int32(i), Permission: permission, Broker: broker, AcceptMessageTypes: accepts(topic),
		})
	}
	return answer, nil
}

// route gives a topic as clients are told; one that would be made for whoever used it is told as it would be.
func (s *Server) route(r *v2.Resource) (queue.Topic, error) {
	name, err := topicOf(r)
	if err != nil {
		return queue.Topic{}, err
	}
	if topic, known := s.queues.Topic(name); known {
		return topic, nil
	}
	if !s.queues.MakesTopics() {
		return queue.Topic{}, fmt.Errorf("%w: %s", queue.ErrNoTopic, name)
	}
	queues := s.queues.NewQueues()
	return queue.Topic{Name: name, TopicSettings: queue.TopicSettings{
		ReadQueues: queues, WriteQueues: queues, Permission: queue.MayRead | queue.MayWrite,
	}}, nil
}

// QueryAssignment implements v2.MessagingServiceServer: which queues a consumer asks for messages.
func (s *Server) QueryAssignment(ctx context.Context, r *v2.QueryAssignmentRequest) (*v2.QueryAssignmentResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	var (
		topic queue.Topic
		group queue.Group
	)
	if err == nil {
		_, group, err = s.mayConsume(ctx, who, r.GetTopic(), r.GetGroup())
	}
	if err == nil {
		topic, err = s.route(r.GetTopic())
	}
	if err != nil {
		return &v2.QueryAssignmentResponse{Status: s.statusOf(err)}, nil
	}
	answer := &v2.QueryAssignmentResponse{Status: okStatus}
	add := func(id int) {
		answer.Assignments = append(answer.Assignments, &v2.Assignment{MessageQueue: &v2.MessageQueue{
			Topic: r.GetTopic(), Id: int32(id), Permission: v2.Permission_READ_WRITE, Broker: s.broker(r.GetEndpoints(), who),
		}})
	}
	if !group.Ordered {
		add(-1) // any
		return answer, nil
	}
	for i := range topic.ReadQueues {
		add(i)
	}
	return answer, nil
}

// broker is the gateway as clients know it: at the address that they came to, whatever stands in between.
func (s *Server) broker(asked *v2.Endpoints, who caller) *v2.Broker {
	if len(asked.GetAddresses()) == 0 {
		asked = endpoints(who.authority)
	}
	return &v2.Broker{Name: s.options.Name, Id: 0, Endpoints: asked}
}

// endpoints writes host:port as clients do; without a port it is that of the scheme.
func endpoints(authority string) *v2.Endpoints {
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		host, port = authority, "8081"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		number = 8081
	}
	scheme := v2.AddressScheme_DOMAIN_NAME
	if at, err := netip.ParseAddr(host); err == nil {
		scheme = v2.AddressScheme_IPv6
		if at.Is4() {
			scheme = v2.AddressScheme_IPv4
		}
	}
	return &v2.Endpoints{Scheme: scheme, Addresses: []*v2.Address{{Host: host, Port: int32(number)}}}
}

// kinds are what messages a topic takes, by its attribute message.type. One that does not say takes all.
var kinds = map[string][]v2.MessageType{
	"NORMAL":      {v2.MessageType_NORMAL},
	"FIFO":        {v2.MessageType_FIFO},
	"DELAY":       {v2.MessageType_DELAY},
	"TRANSACTION": {v2.MessageType_TRANSACTION},
}

var allKinds = []v2.MessageType{v2.MessageType_NORMAL, v2.MessageType_FIFO, v2.MessageType_DELAY, v2.MessageType_TRANSACTION}

func accepts(topic queue.Topic) []v2.MessageType {
	if some, ok := kinds[topic.Attributes[queue.MessageType]]; ok {
		return some
	}
	return allKinds
}
