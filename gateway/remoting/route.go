package remoting

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Permissions of a topic's queues.
const (
	MayRead  = 4
	MayWrite = 2
)

// Route is what a name server knows of a topic.
type Route struct {
	Queues  []RouteQueues
	Brokers []RouteBroker
}

// RouteQueues are the queues that one broker has of a topic.
type RouteQueues struct {
	Broker     string `json:"brokerName"`
	Read       int    `json:"readQueueNums"`
	Write      int    `json:"writeQueueNums"`
	Permission int    `json:"perm"`
}

// RouteBroker is a broker with the addresses of its master, under 0, and of its slaves.
type RouteBroker struct {
	Cluster   string           `json:"cluster"`
	Name      string           `json:"brokerName"`
	Addresses map[int64]string `json:"brokerAddrs"`
}

// ParseRoute reads the body of an answer to GET_ROUTEINFO_BY_TOPIC.
func ParseRoute(body []byte) (Route, error) {
	var r struct {
		Queues  []RouteQueues `json:"queueDatas"`
		Brokers []RouteBroker `json:"brokerDatas"`
	}
	if err := json.Unmarshal(standard(body), &r); err != nil {
		return Route{}, fmt.Errorf("%w: route: %v", ErrFrame, err)
	}
	return Route(r), nil
}

// ParseCluster reads the body of an answer to GET_BROKER_CLUSTER_INFO: the brokers by their names.
func ParseCluster(body []byte) (map[string]RouteBroker, error) {
	var c struct {
		Brokers map[string]RouteBroker `json:"brokerAddrTable"`
	}
	if err := json.Unmarshal(standard(body), &c); err != nil {
		return nil, fmt.Errorf("%w: cluster: %v", ErrFrame, err)
	}
	return c.Brokers, nil
}

// standard puts names of members in quotes, which fastjson leaves out where they are numbers: the
// stock name server does so for old clients in routes, and for all in the answer about the cluster.
func standard(text []byte) []byte {
	b := make([]byte, 0, len(text)+16)
	for i := 0; i < len(text); {
		from := i
		switch {
		case text[i] == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			i = min(i+1, len(text))
		case bare(text[i]):
			for i < len(text) && bare(text[i]) {
				i++
			}
			if i < len(text) && text[i] == ':' {
				b = strconv.AppendQuote(b, string(text[from:i]))
				continue
			}
		default:
			i++
		}
		b = append(b, text[from:i]...)
	}
	return b
}

func bare(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '-' || c == '.' || c == '+'
}
