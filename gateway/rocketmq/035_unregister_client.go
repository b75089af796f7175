package rocketmq

import "sluice/gateway/remoting"

// 035 UNREGISTER_CLIENT
//
// Supported: one producer group, one consumer group, or both; the others of the group are told.
func (s *Server) unregisterClient(r *request) (answer, error) {
	client, err := r.text("clientID")
	if err != nil {
		return answer{}, err
	}
	ext := r.frame.Ext
	s.notify(s.members.leave(client, ext.Get("producerGroup"), ext.Get("consumerGroup")))
	return answer{code: remoting.Success}, nil
}
