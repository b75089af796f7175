package rocketmq

import (
	"fmt"

	"sluice/gateway/queue"
)

// forbiddenNote is the kind of notes that say that a group may not read a topic.
const forbiddenNote = "forbidden"

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
		err = s.queues.DropNote(r.ctx, forbiddenNote, group, topic)
	case "false":
		err = s.queues.PutNote(r.ctx, "read", forbiddenNote, group, topic)
	}
	if err != nil {
		return answer{}, err
	}
	s.changes.note(s.now())
	body, err := jsonBody(struct {
		Group    string `json:"group"`
		Readable bool   `json:"readable"`
		Topic    string `json:"topic"`
	}{group, !s.isForbidden(group, topic), topic})
	return answer{body: body}, err
}

// isForbidden says that a group may not read a topic.
func (s *Server) isForbidden(group, topic string) bool {
	_, forbidden := s.queues.Note(forbiddenNote, group, topic)
	return forbidden
}

// forbidden lists what groups may not do, as tools read it: bit 2 is reading.
func (s *Server) forbidden() map[string]map[string]int {
	table := make(map[string]map[string]int)
	for _, one := range s.queues.Notes(forbiddenNote) {
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
