package rocketmq

import (
	"strconv"

	"sluice/gateway/remoting"
)

// 043 GET_ALL_CONSUMER_OFFSET
//
// Supported: the offsets of all groups, by topic and group.
func (s *Server) allOffsets(*request) (answer, error) {
	b := []byte(`{"dataVersion":`)
	version, err := jsonBody(s.changes.version())
	if err != nil {
		return answer{}, err
	}
	b = append(append(b, version...), `,"offsetTable":{`...)
	empty := len(b)
	for _, g := range s.queues.Groups() {
		byTopic := make(map[string][]remoting.IntEntry)
		s.queues.EachOffset(g.Name, func(topic string, queue int, next int64) {
			byTopic[topic] = append(byTopic[topic], remoting.IntEntry{Key: int64(queue), Value: strconv.AppendInt(nil, next, 10)})
		})
		for _, topic := range s.topicsOf(g.Name) {
			if len(b) > empty {
				b = append(b, ',')
			}
			b = append(append(b, quote(topic+"@"+g.Name)...), ':')
			b = remoting.AppendIntMap(b, byTopic[topic], false)
		}
	}
	return answer{body: append(b, '}', '}')}, nil
}

// 045 GET_ALL_DELAY_OFFSET
//
// Supported: the table, which is empty.
// Left out: delayed messages do not lie in a queue for each level, so there are no offsets.
func (s *Server) delayOffsets(*request) (answer, error) {
	version, err := jsonBody(s.changes.version())
	b := append([]byte(`{"dataVersion":`), version...)
	return answer{body: append(b, `,"offsetTable":{}}`...)}, err
}

// 060 GET_TIMER_CHECK_POINT, 061 GET_TIMER_METRICS
//
// Supported: the answer of a broker that has no timer wheel.
// Left out: timers of ours are no wheel in files that a slave could read; how many wait is in 028.
func (s *Server) timerCheckPoint(*request) (answer, error) {
	return answer{}, refuse(remoting.SystemError, "The checkpoint is null")
}

func (s *Server) timerMetrics(*request) (answer, error) {
	return answer{}, refuse(remoting.SystemError, "The timerMessageStore is null")
}
