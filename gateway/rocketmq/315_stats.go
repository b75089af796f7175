package rocketmq

import (
	"fmt"
	"math"
	"strings"

	"sluice/gateway/remoting"
)

// 315 VIEW_BROKER_STATS_DATA
//
// Supported: messages and bytes of the last minute, hour and day, into a topic (TOPIC_PUT_NUMS, TOPIC_PUT_SIZE), to
// a group (GROUP_GET_NUMS, GROUP_GET_SIZE), back from it (SNDBCK_PUT_NUMS) and of all together (BROKER_PUT_NUMS,
// BROKER_GET_NUMS, by the cluster's name). What came or went over MQTT is not counted here.
// Left out: every other statistic, GROUP_GET_LATENCY among them, is one that does not exist.
func (s *Server) brokerStats(r *request) (answer, error) {
	name, err := r.text("statsName")
	if err != nil {
		return answer{}, err
	}
	key, err := r.text("statsKey")
	if err != nil {
		return answer{}, err
	}
	known := s.statistic(name, key)
	if known == nil {
		return answer{}, refuse(remoting.SystemError, "The stats <%s> <%s> not exist", name, key)
	}
	counted := sample.count
	if strings.HasSuffix(name, "_SIZE") {
		counted = sample.size
	}
	type item struct {
		Average float64 `json:"avgpt"`
		Sum     uint64  `json:"sum"`
		Rate    float64 `json:"tps"`
	}
	var items [3]item
	for i, span := range known.spans() {
		first, last := span[0], span[1]
		one := &items[i]
		one.Sum = counted(last) - counted(first)
		if took := last.at.Sub(first.at).Seconds(); took > 0 {
			one.Rate = math.Round(float64(one.Sum)/took*1000) / 1000
		}
		if times := last.times - first.times; times > 0 {
			one.Average = math.Round(float64(one.Sum)/float64(times)*1000) / 1000
		}
	}
	body, err := jsonBody(struct {
		Day    item `json:"statsDay"`
		Hour   item `json:"statsHour"`
		Minute item `json:"statsMinute"`
	}{items[2], items[1], items[0]})
	return answer{body: body}, err
}

func (s sample) count() uint64 { return s.messages }
func (s sample) size() uint64  { return s.bytes }

// statistic finds the flow that a statistic is about.
func (s *Server) statistic(name, key string) *flow {
	switch name {
	case "TOPIC_PUT_NUMS", "TOPIC_PUT_SIZE":
		if !strings.Contains(key, "@") {
			return s.stats.flows.find(key)
		}
	case "GROUP_GET_NUMS", "GROUP_GET_SIZE":
		if strings.Contains(key, "@") {
			return s.stats.flows.find(key)
		}
	case "SNDBCK_PUT_NUMS":
		return s.stats.flows.find(backPrefix + key)
	case "BROKER_PUT_NUMS":
		if key == s.options.Cluster {
			return &s.stats.flows.in
		}
	case "BROKER_GET_NUMS":
		if key == s.options.Cluster {
			return &s.stats.flows.out
		}
	}
	return nil
}

// 317 GET_BROKER_CONSUME_STATS
//
// Supported: where every group stands in every topic, and how far all are behind; only ordered topics if so wanted.
// Left out: totalInflightDiff is 0: what is pulled and not consumed yet is not told apart.
func (s *Server) brokerConsumeStats(r *request) (answer, error) {
	ordered := r.flag("isOrder")
	b := []byte(`{"brokerAddr":`)
	b = append(b, quote(s.address(r.conn))...)
	b = append(b, `,"consumeStatsList":[`...)
	before, behind := len(b), int64(0)
	for _, g := range s.queues.Groups() {
		one := []byte{'{'}
		one = append(append(one, quote(g.Name)...), ':', '[')
		empty := len(one)
		for _, name := range s.topicsOf(g.Name) {
			topic, known := s.queues.Topic(name)
			if !known || ordered && !topic.Ordered {
				continue
			}
			stats, err := s.consumed(g.Name, []string{name})
			if err != nil {
				return answer{}, err
			}
			if len(stats.entries) == 0 {
				continue
			}
			if len(one) > empty {
				one = append(one, ',')
			}
			one = stats.append(one)
			behind += stats.behind
		}
		if len(one) == empty {
			continue
		}
		if len(b) > before {
			b = append(b, ',')
		}
		b = append(append(b, one...), ']', '}')
	}
	return answer{body: appendTotals(b, behind)}, nil
}

func appendTotals(b []byte, behind int64) []byte {
	return fmt.Appendf(b, `],"totalDiff":%d,"totalInflightDiff":0}`, behind)
}
