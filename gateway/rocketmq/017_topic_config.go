package rocketmq

import (
	"strings"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 017 UPDATE_AND_CREATE_TOPIC, 018 UPDATE_AND_CREATE_TOPIC_LIST
//
// Supported: queues, permission, order and attributes of one topic or of several.
// Left out: topicFilterType and topicSysFlag are not kept; a topic of several that cannot be made leaves
// those before it made.
func (s *Server) putTopic(r *request) (answer, error) {
	name, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	config := topicConfig{
		Name: name, Read: int(r.numberOr("readQueueNums", 16)), Write: int(r.numberOr("writeQueueNums", 16)),
		Permission: int(r.numberOr("perm", queue.MayRead|queue.MayWrite)), Ordered: r.flag("order"),
	}
	known, _ := s.queues.Topic(name)
	if config.Attributes, err = changedAttributes(known.Attributes, r.frame.Ext.Get("attributes")); err != nil {
		return answer{}, err
	}
	return answer{}, s.makeTopic(r, config)
}

func (s *Server) putTopics(r *request) (answer, error) {
	var list struct {
		Topics []topicConfig `json:"topicConfigList"`
	}
	if err := r.decode(&list); err != nil {
		return answer{}, err
	}
	for _, config := range list.Topics {
		changes := make([]string, 0, len(config.Attributes))
		for name, value := range config.Attributes {
			changes = append(changes, "+"+strings.TrimPrefix(name, "+")+"="+value)
		}
		known, _ := s.queues.Topic(config.Name)
		var err error
		if config.Attributes, err = changedAttributes(known.Attributes, strings.Join(changes, ",")); err != nil {
			return answer{}, err
		}
		if err := s.makeTopic(r, config); err != nil {
			return answer{}, err
		}
	}
	return answer{}, nil
}

// topicConfig is a topic as tools write it.
type topicConfig struct {
	Attributes map[string]string `json:"attributes"`
	Ordered    bool              `json:"order"`
	Permission int               `json:"perm"`
	Read       int               `json:"readQueueNums"`
	Filter     string            `json:"topicFilterType"`
	Name       string            `json:"topicName"`
	SysFlag    int               `json:"topicSysFlag"`
	Write      int               `json:"writeQueueNums"`
}

// noPermission is what a topic has that may neither be read nor written: a bit without a meaning, since 0
// in the settings of a topic is what is ordinary.
const noPermission = 8

// kinds are the values of the attribute message.type that a topic may have.
var kinds = map[string]bool{"": true, "UNSPECIFIED": true, "NORMAL": true, "FIFO": true, "DELAY": true, "TRANSACTION": true, "MIXED": true, "PRIORITY": true, "LITE": true}

func (s *Server) makeTopic(r *request, c topicConfig) error {
	if s.isSystemTopic(c.Name) {
		return refuse(remoting.InvalidParameter, "The topic[%s] is conflict with system topic.", c.Name)
	}
	if err := queue.CheckTopic(c.Name); err != nil {
		return refuse(remoting.InvalidParameter, "%s", err)
	}
	if c.Read < 1 || c.Write < 1 {
		return refuse(remoting.InvalidParameter, "a topic has queues, not %d to read and %d to write", c.Read, c.Write)
	}
	const all = queue.MayRead | queue.MayWrite | queue.MayInherit
	if c.Permission < 0 || c.Permission > all {
		return refuse(remoting.InvalidParameter, "invalid topic permission: %d", c.Permission)
	}
	if c.Permission == 0 {
		c.Permission = noPermission
	}
	if kind := c.Attributes[queue.MessageType]; !kinds[kind] {
		return refuse(remoting.InvalidParameter, "%s cannot be %.40q", queue.MessageType, kind)
	}
	err := s.queues.PutTopic(r.ctx, c.Name, queue.TopicSettings{
		ReadQueues: c.Read, WriteQueues: c.Write, Permission: c.Permission, Ordered: c.Ordered, Attributes: c.Attributes,
	})
	if err == nil {
		s.changes.note(s.now())
	}
	return err
}

func (s *Server) topicConfig(t queue.Topic) topicConfig {
	return topicConfig{
		Attributes: shown(t.Attributes), Ordered: t.Ordered, Permission: t.Permission &^ noPermission,
		Read: t.ReadQueues, Write: t.WriteQueues, Filter: "SINGLE_TAG", Name: t.Name,
	}
}
