package rocketmq

import (
	"fmt"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 021 GET_ALL_TOPIC_CONFIG
//
// Supported: all topics, also those that MQTT clients and devices made, whole or page by page.
// Left out: static topics: their maps are empty.
func (s *Server) allTopicConfigs(r *request) (answer, error) {
	topics := s.queues.Topics()
	if fallback, makes := s.route(queue.DefaultTopic); makes {
		topics = append(topics, fallback)
	}
	table := make(map[string]topicConfig)
	for _, t := range page(topics, r.numberOr("topicSeq", 0), r.numberOr("maxTopicNum", 0)) {
		table[t.Name] = s.topicConfig(t)
	}
	body, err := jsonBody(struct {
		Version        dataVersion            `json:"dataVersion"`
		MappingVersion dataVersion            `json:"mappingDataVersion"`
		Topics         map[string]topicConfig `json:"topicConfigTable"`
		Details        struct{}               `json:"topicQueueMappingDetailMap"`
		Infos          struct{}               `json:"topicQueueMappingInfoMap"`
	}{Version: s.changes.version(), Topics: table})
	return answer{fields: remoting.Fields{field("totalTopicNum", len(topics))}, body: body}, err
}

// 351 GET_TOPIC_CONFIG
//
// Supported: one topic, also one that MQTT clients or devices made.
// Left out: the mapping of a static topic.
func (s *Server) oneTopicConfig(r *request) (answer, error) {
	name, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	if !r.account.MaySubscribe(name) && !r.account.MayPublish(name) {
		return answer{}, fmt.Errorf("%w: asking about %s", queue.ErrForbidden, name)
	}
	topic, known := s.queues.Topic(name)
	if !known && name == queue.DefaultTopic {
		topic, known = s.route(name)
	}
	if !known {
		return answer{}, fmt.Errorf("%w: %s", queue.ErrNoTopic, name)
	}
	body, err := jsonBody(s.topicConfig(topic))
	return answer{body: body}, err
}
