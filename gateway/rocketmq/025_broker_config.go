package rocketmq

import (
	"fmt"
	"slices"
	"strings"

	"sluice/gateway/message"
	"sluice/gateway/remoting"
)

// 025 UPDATE_BROKER_CONFIG, 318 UPDATE_NAMESRV_CONFIG
//
// Supported: refused with a remark that says where the gateway is configured.
func (s *Server) updateConfig(*request) (answer, error) {
	return answer{}, refuse(remoting.NoPermission, "the gateway is configured in its file or on its page, not from here")
}

// 026 GET_BROKER_CONFIG, 319 GET_NAMESRV_CONFIG
//
// Supported: what tools read, under the names that a broker's and a name server's configuration give it.
// Left out: settings of a broker that mean nothing here.
func (s *Server) brokerConfig(r *request) (answer, error) {
	host := s.host(r.conn)
	body := properties(map[string]string{
		"brokerName": s.options.Name, "brokerClusterName": s.options.Cluster, "brokerId": "0",
		"brokerIP1": host.Addr().String(), "brokerIP2": host.Addr().String(), "listenPort": fmt.Sprint(host.Port()),
		"namesrvAddr": s.address(r.conn), "brokerRole": "ASYNC_MASTER", "flushDiskType": "SYNC_FLUSH", "brokerPermission": "6",
		"autoCreateTopicEnable": fmt.Sprint(s.queues.MakesTopics()), "autoCreateSubscriptionGroup": fmt.Sprint(s.queues.MakesTopics()),
		"defaultTopicQueueNums": fmt.Sprint(s.queues.NewQueues()), "maxTopicQueueNums": fmt.Sprint(message.MaxQueues),
		"enablePropertyFilter": "true", "traceTopicEnable": "true", "recallMessageEnable": "true", "timerWheelEnable": "true",
		"messageDelayLevel": "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
	})
	return answer{fields: remoting.Fields{{Name: "version", Value: fmt.Sprintf(`{"counter":%d}`, s.changes.count.Load())}}, body: body}, nil
}

func (s *Server) nameServerConfig(r *request) (answer, error) {
	host := s.host(r.conn)
	return answer{body: properties(map[string]string{
		"listenPort": fmt.Sprint(host.Port()), "bindAddress": host.Addr().String(), "orderMessageEnable": "true", "clusterTest": "false",
	})}, nil
}

// properties writes values as Java writes a file of properties, by name.
func properties(values map[string]string) []byte {
	lines := make([]string, 0, len(values))
	for name, value := range values {
		value = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(value)
		lines = append(lines, name+"="+value+"\n")
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}
