package rocketmq

import "fmt"

// 106 GET_BROKER_CLUSTER_INFO
//
// Supported: one cluster with one broker.
func (s *Server) clusterInfo(r *request) (answer, error) {
	b := fmt.Appendf(nil, `{"brokerAddrTable":{%s:`, quote(s.options.Name))
	b = s.appendBroker(b, r.conn, false)
	b = fmt.Appendf(b, `},"clusterAddrTable":{%s:[%s]}}`, quote(s.options.Cluster), quote(s.options.Name))
	return answer{body: b}, nil
}
