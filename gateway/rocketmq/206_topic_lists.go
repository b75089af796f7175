package rocketmq

import (
	"slices"
	"strings"

	"sluice/gateway/queue"
)

// 206 GET_ALL_TOPIC_LIST_FROM_NAMESERVER, 224 GET_TOPICS_BY_CLUSTER, 304 GET_SYSTEM_TOPIC_LIST_FROM_NS,
// 305 GET_SYSTEM_TOPIC_LIST_FROM_BROKER
//
// Supported: all topics, with those of groups, the template, the cluster's and the broker's name; those of the
// system, which are machinery. Another cluster than ours has no topics.
func (s *Server) topicList(*request) (answer, error) { return listOfTopics(s.topicNames(), "") }

func (s *Server) clusterTopicList(r *request) (answer, error) {
	cluster, err := r.text("cluster")
	if err != nil {
		return answer{}, err
	}
	if cluster != s.options.Cluster {
		return listOfTopics(nil, "")
	}
	return listOfTopics(s.topicNames(), "")
}

func (s *Server) systemTopicList(r *request) (answer, error) {
	return listOfTopics([]string{s.options.Cluster, s.options.Name}, s.address(r.conn))
}

func (s *Server) brokerSystemTopicList(*request) (answer, error) {
	names := slices.DeleteFunc(s.topicNames(), func(name string) bool { return !s.isSystemTopic(name) })
	return listOfTopics(names, "")
}

func listOfTopics(names []string, address string) (answer, error) {
	if names == nil {
		names = []string{}
	}
	list := struct {
		Broker *string  `json:"brokerAddr"`
		Topics []string `json:"topicList"`
	}{Topics: names}
	if address != "" {
		list.Broker = &address
	}
	body, err := jsonBody(list)
	return answer{body: body}, err
}

// topicNames lists everything that has a route.
func (s *Server) topicNames() (names []string) {
	for _, t := range s.queues.Topics() {
		names = append(names, t.Name)
	}
	for _, name := range []string{queue.DefaultTopic, s.options.Cluster, s.options.Name, s.options.Cluster + replySuffix} {
		if _, ok := s.route(name); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isSystemTopic says of a topic that it is machinery, which tools neither make nor delete.
func (s *Server) isSystemTopic(name string) bool {
	switch name {
	case queue.DefaultTopic, s.options.Cluster, s.options.Name, s.options.Cluster + replySuffix, "SCHEDULE_TOPIC_XXXX", "TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC",
		"OFFSET_MOVED_EVENT", "CHECKPOINT_TOPIC":
		return true
	}
	return strings.HasPrefix(name, "rmq_sys_") || strings.HasPrefix(name, "RMQ_SYS_")
}
