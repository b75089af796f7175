package rocketmq

// Consumers counts the clients of a consumer group that are connected, and says whether each of them gets
// all messages.
func (s *Server) Consumers(group string) (clients int, broadcast bool) {
	crew, online := s.members.consuming(group)
	if !online {
		return 0, false
	}
	return len(s.members.clients(group)), crew.model == "BROADCASTING"
}
