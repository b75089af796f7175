package rocketmq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/remoting"
)

// consumerPatience is how long a consumer may take to answer what a tool asks it through us.
const consumerPatience = 10 * time.Second

// 307 GET_CONSUMER_RUNNING_INFO, 309 CONSUME_MESSAGE_DIRECTLY
//
// Supported: what a consumer says of itself, with its stack traces; giving one message to one consumer,
// which answers what became of it.
func (s *Server) runningInfo(r *request) (answer, error) {
	to, err := s.consumer(r)
	if err != nil {
		return answer{}, err
	}
	return s.relay(r, to, r.kept(), nil)
}

func (s *Server) consumeDirectly(r *request) (answer, error) {
	to, err := s.consumer(r)
	if err != nil {
		return answer{}, err
	}
	id, err := r.text("msgId")
	if err != nil {
		return answer{}, err
	}
	_, at, err := remoting.ParseOffsetID(id)
	if err != nil {
		return answer{}, refuse(remoting.InvalidParameter, "%s", err)
	}
	m, err := s.queues.At(message.Position(at))
	if err != nil {
		return answer{}, err
	}
	body, err := s.appendMessage(nil, r.conn, m)
	if err != nil {
		return answer{}, err
	}
	fields := r.kept()
	fields.Set("brokerName", s.options.Name)
	return s.relay(r, to, fields, body)
}

// kept gives the request's fields so that they may be used later.
func (r *request) kept() remoting.Fields { return append(remoting.Fields(nil), r.frame.Ext...) }

// consumer finds the client of a group that a request is for.
func (s *Server) consumer(r *request) (*member, error) {
	group, err := r.text("consumerGroup")
	if err != nil {
		return nil, err
	}
	client := r.frame.Ext.Get("clientId")
	for _, one := range s.members.clients(group) {
		if one.client == client {
			return one, nil
		}
	}
	return nil, refuse(remoting.SystemError, "The Consumer <%s> <%s> not online", group, client)
}

// relay asks a client what a tool asked us, and answers what it answers.
func (s *Server) relay(r *request, to *member, fields remoting.Fields, body []byte) (answer, error) {
	code, reply := r.frame.Code, r.reply
	if !r.begin(func() {
		heard, err := s.askMember(r.conn.ctx, to, code, fields, body)
		if err != nil {
			reply.fail(err)
			return
		}
		reply.send(answer{code: heard.Code, remark: heard.Remark, fields: heard.Ext, body: heard.Body})
	}) {
		return answer{}, refuse(remoting.SystemBusy, "broker busy: too many questions to consumers at a time")
	}
	return answer{}, errLater
}

func (s *Server) askMember(ctx context.Context, to *member, code int, fields remoting.Fields, body []byte) (*remoting.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, consumerPatience)
	defer cancel()
	heard, err := to.conn.ask(ctx, code, fields, body)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, refuse(remoting.ConsumeMsgTimeout, "consumer <%s> Timeout: no answer in %v", to.client, consumerPatience)
	case err != nil:
		return nil, refuse(remoting.SystemError, "invoke consumer <%s> Exception: %v", to.client, err)
	}
	return heard, nil
}

// 221 GET_CONSUMER_STATUS_FROM_CLIENT, 223 INVOKE_BROKER_TO_GET_CONSUMER_STATUS
//
// Supported: where every client of a group says that it stands, or one of them.
func (s *Server) consumerStatus(r *request) (answer, error) {
	group, err := r.text("group")
	if err != nil {
		return answer{}, err
	}
	topic, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	clients := s.members.clients(group)
	if len(clients) == 0 {
		return answer{}, refuse(remoting.SystemError, "No Any Consumer online in the consumer group: [%s]", group)
	}
	only, reply := r.frame.Ext.Get("clientAddr"), r.reply
	fields := remoting.Fields{{Name: "topic", Value: topic}, {Name: "group", Value: group}}
	if !r.begin(func() {
		b := []byte(`{"consumerTable":{`)
		before := len(b)
		for _, one := range clients {
			if only != "" && only != one.client {
				continue
			}
			heard, err := s.askMember(r.conn.ctx, one, remoting.GetConsumerStatusFromClient, fields, nil)
			if err != nil {
				s.log.Info("a consumer does not say where it stands", "group", group, "consumer", one.client, "err", err)
				continue
			}
			if heard.Code != remoting.Success {
				continue
			}
			entries, err := remoting.ParseQueueMap(lastMember(heard.Body, "messageQueueTable"))
			if err != nil {
				continue
			}
			if len(b) > before {
				b = append(b, ',')
			}
			b = append(append(b, quote(one.client)...), ':')
			b = remoting.AppendQueueMap(b, entries)
		}
		reply.send(answer{body: append(b, `},"messageQueueTable":{}}`...)})
	}) {
		return answer{}, refuse(remoting.SystemBusy, "broker busy: too many questions to consumers at a time")
	}
	return answer{}, errLater
}

// lastMember cuts the last member of an object out of a text that is no JSON for its keys are objects.
func lastMember(text []byte, name string) []byte {
	_, value, found := bytes.Cut(text, fmt.Appendf(nil, "%q:", name))
	value = bytes.TrimSpace(value)
	if !found || len(value) == 0 {
		return []byte("{}")
	}
	return value[:len(value)-1]
}
