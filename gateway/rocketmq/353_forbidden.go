package rocketmq

import (
	"fmt"

	"sluice/gateway/queue"
)

// 353 UPDATE_AND_GET_GROUP_FORBIDDEN
//
// Supported: forbidding a group to read a topic, allowing it again, asking; it lasts over restarts.
func (s *Server) groupForbidden(r *request) (answer, error) {
	group, err := r.text("group")
	if err != nil {
		return answer{}, err
	}
	topic, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	if _, known := s.queues.Topic(topic); !known {
		return answer{}, fmt.Errorf("%w: the topic[%s] not exist", queue.ErrNoTopic, topic)
	}
	switch r.frame.Ext.Get("readable") {
	case "true":
		err = s.queues.DropNote(r.ctx, queue.ForbiddenNote, group, topic)
	case "false":
		err = s.queues.PutNote(r.ctx, "read", queue.ForbiddenNote, group, topic)
	}
	if err != nil {
		return answer{}, err
	}
	s.changes.note(s.now())
	body, err := jsonBody(struct {
		Group    string `json:"group"`
		Readable bool   `json:"readable"`
		Topic    string `json:"topic"`
	}{group, !s.queues.IsForbidden(group, topic), topic})
	return answer{body: body}, err
}

// forbidden lists what groups may not do, as tools read it: bit 2 is reading.
func (s *Server) forbidden() map[string]map[string]int {
	table := make(map[string]map[string]int)
	for _, one := range s.queues.Notes(queue.ForbiddenNote) {
		if len(one.Parts) != 3 {
			continue
		}
		if table[one.Parts[1]] == nil {
			table[one.Parts[1]] = make(map[string]int)
		}
		table[one.Parts[1]][one.Parts[2]] = 1 << 2
	}
	return table
}
