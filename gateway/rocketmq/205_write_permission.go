package rocketmq

import "sluice/gateway/remoting"

// 205 WIPE_WRITE_PERM_OF_BROKER, 327 ADD_WRITE_PERM_OF_BROKER
//
// Supported: routes say that nothing may be written, so that producers stay away, until it is allowed again.
// Left out: it is forgotten at a restart; whoever does not look at routes may go on sending, as with a name
// server of Apache's.
func (s *Server) wipeWrites(r *request) (answer, error) {
	return s.setWrites(r, true, "wipeTopicCount")
}

func (s *Server) addWrites(r *request) (answer, error) { return s.setWrites(r, false, "addTopicCount") }

func (s *Server) setWrites(r *request, wiped bool, count string) (answer, error) {
	name, err := r.text("brokerName")
	if err != nil {
		return answer{}, err
	}
	topics := 0
	if name == s.options.Name {
		s.wiped.Store(wiped)
		topics = len(s.topicNames())
	}
	return answer{fields: remoting.Fields{field(count, topics)}}, nil
}
