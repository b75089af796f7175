package rocketmqgrpc

import (
	"context"
	"fmt"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"sluice/gateway/queue"
)

// Heartbeat implements v2.MessagingServiceServer: a client is still there.
func (s *Server) Heartbeat(ctx context.Context, r *v2.HeartbeatRequest) (*v2.HeartbeatResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	if err == nil {
		err = s.heartbeat(who, r)
	}
	return &v2.HeartbeatResponse{Status: s.statusOf(err)}, nil
}

func (s *Server) heartbeat(who caller, r *v2.HeartbeatRequest) error {
	switch r.GetClientType() {
	case v2.ClientType_PRODUCER:
		return s.clients.beat(who, "", true, time.Now())
	case v2.ClientType_PUSH_CONSUMER, v2.ClientType_SIMPLE_CONSUMER, pullConsumer:
		name, err := groupOf(r.GetGroup())
		if err != nil {
			return err
		}
		if !who.account.MayUse(name) {
			return fmt.Errorf("%w: consuming with the group %s", queue.ErrForbidden, name)
		}
		return s.clients.beat(who, name, false, time.Now())
	}
	return refuse(v2.Code_UNRECOGNIZED_CLIENT_TYPE, "a client of type %d is not known", r.GetClientType())
}

// pullConsumer is a type of client that the stubs have no name for.
const pullConsumer v2.ClientType = 4

// NotifyClientTermination implements v2.MessagingServiceServer: a client leaves.
func (s *Server) NotifyClientTermination(ctx context.Context, _ *v2.NotifyClientTerminationRequest) (*v2.NotifyClientTerminationResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	if err == nil {
		s.clients.leave(who)
	}
	return &v2.NotifyClientTerminationResponse{Status: s.statusOf(err)}, nil
}
