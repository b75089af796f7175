package rocketmq

import (
	"fmt"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 105 GET_ROUTEINFO_BY_TOPIC
//
// Supported: every topic, the template TBW102 while topics may be made, the cluster's and the broker's name; keys that
// are numbers quoted or not, as the client's version wants them; the address that the client came to,
// unless another is configured; ORDER_TOPIC_CONFIG.
// Left out: static topics, zones.
func (s *Server) routeInfo(r *request) (answer, error) {
	topic, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	known, ok := s.route(topic)
	if !ok {
		return answer{}, fmt.Errorf("%w: no route info of %s", queue.ErrNoTopic, topic)
	}
	if s.wiped.Load() {
		known.Permission &^= queue.MayWrite
	}
	quoted := r.frame.Version >= standardJSON || r.flag("acceptStandardJsonOnly")
	b := []byte(`{"brokerDatas":[`)
	b = s.appendBroker(b, r.conn, quoted)
	b = append(b, `],"filterServerTable":{},`...)
	if order, ok := s.queues.Note(kvNote, orderNamespace, topic); ok {
		b = fmt.Appendf(b, `"orderTopicConf":%s,`, quote(order))
	}
	b = fmt.Appendf(b, `"queueDatas":[{"brokerName":%s,"perm":%d,"readQueueNums":%d,"topicSysFlag":0,"writeQueueNums":%d}]}`,
		quote(s.options.Name), known.Permission, known.ReadQueues, known.WriteQueues)
	return answer{body: b}, nil
}

// traceTopic is where clients send what they trace.
const traceTopic = "RMQ_SYS_TRACE_TOPIC"

// standardJSON is the client version from which on keys are quoted.
const standardJSON = 401

// orderNamespace is where it is configured how ordered topics are spread.
const orderNamespace = "ORDER_TOPIC_CONFIG"

// route gives a topic as the name server knows it.
func (s *Server) route(name string) (queue.Topic, bool) {
	if known, ok := s.queues.Topic(name); ok {
		return known, true
	}
	settings := queue.TopicSettings{ReadQueues: 1, WriteQueues: 1, Permission: queue.MayRead | queue.MayWrite | queue.MayInherit}
	switch name {
	case queue.DefaultTopic:
		settings.ReadQueues, settings.WriteQueues = s.queues.NewQueues(), s.queues.NewQueues()
		return queue.Topic{Name: name, TopicSettings: settings}, s.queues.MakesTopics()
	case traceTopic:
		return queue.Topic{Name: name, TopicSettings: settings}, true
	case s.options.Cluster, s.options.Name, s.options.Cluster + replySuffix:
		return queue.Topic{Name: name, TopicSettings: settings}, true
	}
	return queue.Topic{}, false
}

// appendBroker writes the only broker that there is.
func (s *Server) appendBroker(b []byte, c *conn, quoted bool) []byte {
	b = append(b, `{"brokerAddrs":`...)
	b = remoting.AppendIntMap(b, []remoting.IntEntry{{Key: 0, Value: quote(s.address(c))}}, quoted)
	return fmt.Appendf(b, `,"brokerName":%s,"cluster":%s,"enableActingMaster":false}`, quote(s.options.Name), quote(s.options.Cluster))
}
