package rocketmq

import "sluice/gateway/remoting"

// 038 GET_CONSUMER_LIST_BY_GROUP, 040 NOTIFY_CONSUMER_IDS_CHANGED
//
// Supported: the clients of a group in whatever language, by which clients share the queues; telling them
// when somebody came, went or subscribed otherwise.
func (s *Server) consumerList(r *request) (answer, error) {
	group, err := r.text("consumerGroup")
	if err != nil {
		return answer{}, err
	}
	var list struct {
		IDs []string `json:"consumerIdList"`
	}
	for _, one := range s.members.clients(group) {
		list.IDs = append(list.IDs, one.client)
	}
	if len(list.IDs) == 0 {
		return answer{}, refuse(remoting.SystemError, "no consumer for this group, %s", group)
	}
	body, err := jsonBody(list)
	return answer{body: body}, err
}
