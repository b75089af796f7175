package rocketmqgrpc

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"sluice/gateway/queue"
	"sluice/gateway/rocketmq/acl"
)

// The headers of a call that mean something here.
const (
	clientHeader        = "x-mq-client-id"
	timeHeader          = "x-mq-date-time"
	versionHeader       = "x-mq-client-version"
	authorizationHeader = "authorization"
	authorityHeader     = ":authority"
)

// maxClientName bounds a client's identifier in bytes.
const maxClientName = 1024

// caller is who makes a call.
type caller struct {
	client    string
	account   *acl.Account
	authority string // where the client came to, as it says: host:port
	version   string
	remote    netip.AddrPort
}

// begin finds out who makes a call, and counts the call until end is called, which it always must be.
func (s *Server) begin(ctx context.Context) (who caller, end func(), err error) {
	s.calls.Add(1)
	who, err = s.caller(ctx)
	return who, s.end, err
}

func (s *Server) end() { s.calls.Add(-1) }

func (s *Server) caller(ctx context.Context) (who caller, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	who = caller{client: first(md, clientHeader), authority: first(md, authorityHeader), version: first(md, versionHeader)}
	if p, ok := peer.FromContext(ctx); ok {
		who.remote = addrPort(p.Addr)
	}
	select {
	case <-s.stopping:
		return who, refuse(v2.Code_INTERNAL_SERVER_ERROR, "the gateway is stopping")
	default:
	}
	if who.client == "" || len(who.client) > maxClientName {
		return who, refuse(v2.Code_CLIENT_ID_REQUIRED, "the header %s has 1 to %d bytes, not %d", clientHeader, maxClientName, len(who.client))
	}
	key, signature := parseAuthorization(first(md, authorizationHeader))
	who.account, err = s.options.Access.AuthenticateContent(key, []byte(first(md, timeHeader)), signature)
	if err != nil {
		return who, refusal{v2.Code_UNAUTHORIZED, err.Error()}
	}
	return who, nil
}

func first(md metadata.MD, name string) string {
	if values := md[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	at, _ := netip.ParseAddrPort(a.String())
	return at
}

// maxAuthorization bounds the header that says who signed a call.
const maxAuthorization = 4 << 10

// parseAuthorization reads "MQv2-HMAC-SHA1 Credential=KEY/region/Rocketmq, SignedHeaders=x-mq-date-time,
// Signature=HEX". What is missing or cannot be read is empty.
func parseAuthorization(header string) (accessKey string, signature []byte) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "MQv2-HMAC-SHA1") || len(header) > maxAuthorization {
		return "", nil
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case strings.EqualFold(name, "Credential"):
			accessKey, _, _ = strings.Cut(value, "/")
		case strings.EqualFold(name, "Signature"):
			var err error
			if signature, err = hex.DecodeString(value); err != nil {
				signature = nil
			}
		}
	}
	return accessKey, signature
}

// nameOf gives the name that a resource has here: with its namespace, if it has one, as older clients write it.
func nameOf(r *v2.Resource) string {
	if r.GetResourceNamespace() == "" {
		return r.GetName()
	}
	return r.GetResourceNamespace() + "%" + r.GetName()
}

// topicOf gives a topic that may be one.
func topicOf(r *v2.Resource) (string, error) {
	name := nameOf(r)
	if err := queue.CheckTopic(name); err != nil {
		return "", refusal{v2.Code_ILLEGAL_TOPIC, err.Error()}
	}
	return name, nil
}

// groupOf gives a consumer group that may be one.
func groupOf(r *v2.Resource) (string, error) {
	name := nameOf(r)
	if name == "" || queue.CheckTopic(queue.RetryTopic(name)) != nil {
		return "", refuse(v2.Code_ILLEGAL_CONSUMER_GROUP, "%.80q is no name of a consumer group", name)
	}
	return name, nil
}

// mayConsume checks what a call that reads names, and makes the group.
func (s *Server) mayConsume(ctx context.Context, who caller, topicName, groupName *v2.Resource) (topic string, group queue.Group, err error) {
	if topic, err = topicOf(topicName); err != nil {
		return "", group, err
	}
	name, err := groupOf(groupName)
	if err != nil {
		return "", group, err
	}
	if !who.account.MaySubscribe(topic) || !who.account.MayUse(name) {
		return "", group, fmt.Errorf("%w: %s consuming %s", queue.ErrForbidden, name, topic)
	}
	group, known := s.queues.Group(name)
	if !known {
		if group, err = s.queues.UseGroup(ctx, name); err != nil {
			return "", group, err
		}
	}
	if group.ConsumeDisabled {
		return "", group, fmt.Errorf("%w: the group %s may not consume", queue.ErrForbidden, name)
	}
	if s.queues.IsForbidden(name, topic) {
		return "", group, fmt.Errorf("%w: the group %s may not read %s", queue.ErrForbidden, name, topic)
	}
	return topic, group, nil
}
