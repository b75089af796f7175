package rocketmq

import "sluice/gateway/remoting"

// 046 CHECK_CLIENT_CONFIG
//
// Supported: whether an SQL92 expression can be read, before a consumer starts with it.
func (s *Server) checkClientConfig(r *request) (answer, error) {
	var body struct {
		Subscription *subscriptionData `json:"subscriptionData"`
	}
	if err := r.decode(&body); err != nil {
		return answer{}, err
	}
	if body.Subscription == nil {
		return answer{}, refuse(remoting.InvalidParameter, "there is no subscription to check")
	}
	_, err := newSubscription(*body.Subscription)
	return answer{}, err
}
