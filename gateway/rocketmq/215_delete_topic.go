package rocketmq

import "sluice/gateway/remoting"

// 215 DELETE_TOPIC_IN_BROKER, 216 DELETE_TOPIC_IN_NAMESRV
//
// Supported: the topic is not known any more, to name server and broker at once, until somebody makes it
// anew or publishes to it over MQTT.
// Left out: its messages stay until the log is trimmed, and are seen again when the topic is made anew.
func (s *Server) deleteTopic(r *request) (answer, error) {
	name, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	if s.isSystemTopic(name) {
		return answer{}, refuse(remoting.InvalidParameter, "The topic[%s] is conflict with system topic.", name)
	}
	if err := s.queues.DropTopic(r.ctx, name); err != nil {
		return answer{}, err
	}
	s.changes.note(s.now())
	return answer{}, nil
}

// deleteTopicRoute has nothing to do: the name server knows what the broker knows.
func (s *Server) deleteTopicRoute(r *request) (answer, error) {
	_, err := r.text("topic")
	return answer{}, err
}
