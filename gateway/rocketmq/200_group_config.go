package rocketmq

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 200 UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, 225 UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST
//
// Supported: whether a group may consume and broadcast, its order, its retries, the time it has for a message,
// attributes. What only a cluster of brokers needs (brokerId, whichBrokerWhenConsumeSlowly,
// consumeFromMinEnable, notifyConsumerIdsChangedEnable, groupSysFlag) and groupRetryPolicy are kept and given back.
// Left out: nothing acts on those that are only kept: retries follow the standard delays.
func (s *Server) putGroup(r *request) (answer, error) {
	config := ordinaryGroup()
	if err := r.decode(&config); err != nil {
		return answer{}, err
	}
	return answer{}, s.makeGroup(r, config)
}

func (s *Server) putGroups(r *request) (answer, error) {
	var list struct {
		Groups []json.RawMessage `json:"groupConfigList"`
	}
	if err := r.decode(&list); err != nil {
		return answer{}, err
	}
	for _, raw := range list.Groups {
		config := ordinaryGroup()
		if err := json.Unmarshal(raw, &config); err != nil {
			return answer{}, refuse(remoting.InvalidParameter, "a group cannot be read: %v", err)
		}
		if err := s.makeGroup(r, config); err != nil {
			return answer{}, err
		}
	}
	return answer{}, nil
}

// groupConfig is a consumer group as tools write it.
type groupConfig struct {
	Attributes map[string]string `json:"attributes"`
	groupExtras
	Broadcasts bool   `json:"consumeBroadcastEnable"`
	Consumes   bool   `json:"consumeEnable"`
	Ordered    bool   `json:"consumeMessageOrderly"`
	Minutes    int    `json:"consumeTimeoutMinute"`
	Name       string `json:"groupName"`
	MaxRetries int    `json:"retryMaxTimes"`
	Retries    int    `json:"retryQueueNums"`
}

// groupExtras is what is only kept.
type groupExtras struct {
	BrokerID int64           `json:"brokerId"`
	FromMin  bool            `json:"consumeFromMinEnable"`
	Policy   json.RawMessage `json:"groupRetryPolicy,omitempty"`
	SysFlag  int             `json:"groupSysFlag"`
	Notify   bool            `json:"notifyConsumerIdsChangedEnable"`
	Slow     int64           `json:"whichBrokerWhenConsumeSlowly"`
}

// extrasAttribute is the attribute that extras are kept in when they are not the ordinary ones.
const extrasAttribute = "\x00extras"

// ordinaryMinutes is how long a group has for a message unless it says otherwise.
const ordinaryMinutes = 15

func ordinaryExtras() groupExtras {
	return groupExtras{FromMin: true, Policy: json.RawMessage(`{"type":"CUSTOMIZED"}`), Notify: true, Slow: 1}
}

func ordinaryGroup() groupConfig {
	return groupConfig{
		groupExtras: ordinaryExtras(), Broadcasts: true, Consumes: true, Minutes: ordinaryMinutes,
		MaxRetries: queue.DefaultRetries, Retries: 1,
	}
}

func (s *Server) makeGroup(r *request, c groupConfig) error {
	if c.Name == "" {
		return refuse(remoting.InvalidParameter, "a group needs a groupName")
	}
	settings := queue.GroupSettings{
		ConsumeDisabled: !c.Consumes, BroadcastDisabled: !c.Broadcasts, Ordered: c.Ordered,
		RetryQueues: none(c.Retries), MaxRetries: none(c.MaxRetries), Attributes: map[string]string{},
	}
	if c.Minutes > 0 && c.Minutes != ordinaryMinutes {
		settings.ConsumeTimeout = time.Duration(c.Minutes) * time.Minute
	}
	known, _ := s.queues.Group(c.Name)
	maps.Copy(settings.Attributes, shown(known.Attributes))
	for name, value := range c.Attributes {
		changed, err := changedAttributes(settings.Attributes, attributeChange(name, value))
		if err != nil {
			return err
		}
		settings.Attributes = changed
	}
	extras, err := jsonBody(c.groupExtras)
	if err != nil {
		return err
	}
	ordinary, err := jsonBody(ordinaryExtras())
	if err != nil {
		return err
	}
	if string(extras) != string(ordinary) {
		settings.Attributes[extrasAttribute] = string(extras)
	}
	if err := s.queues.PutGroup(r.ctx, c.Name, settings); err != nil {
		return err
	}
	s.changes.note(s.now())
	return nil
}

// attributeChange gives a change as it stands in the map of a body: under "+name", or under "-name" with
// an empty value.
func attributeChange(name, value string) string {
	switch {
	case name != "" && name[0] == '-':
		return name
	case name != "" && name[0] == '+':
		return name + "=" + value
	}
	return "+" + name + "=" + value
}

// none gives a number that may be 0 as the settings of a group have it, where 0 is what is ordinary.
func none(n int) int {
	if n <= 0 {
		return -1
	}
	return n
}

// 201 GET_ALL_SUBSCRIPTIONGROUP_CONFIG, 352 GET_SUBSCRIPTIONGROUP_CONFIG
//
// Supported: one group, or all, whole or page by page, with what is forbidden to them.
func (s *Server) allGroupConfigs(r *request) (answer, error) {
	groups := s.queues.Groups()
	table := make(map[string]groupConfig)
	for _, g := range page(groups, r.numberOr("groupSeq", 0), r.numberOr("maxGroupNum", 0)) {
		table[g.Name] = configOf(g)
	}
	body, err := jsonBody(struct {
		Version   dataVersion               `json:"dataVersion"`
		Forbidden map[string]map[string]int `json:"forbiddenTable"`
		Groups    map[string]groupConfig    `json:"subscriptionGroupTable"`
	}{s.changes.version(), s.forbidden(), table})
	return answer{fields: remoting.Fields{field("totalGroupNum", len(groups))}, body: body}, err
}

func (s *Server) groupConfig(r *request) (answer, error) {
	name, err := r.text("group")
	if err != nil {
		return answer{}, err
	}
	group, known := s.queues.Group(name)
	if !known {
		return answer{}, fmt.Errorf("%w: %s", queue.ErrNoGroup, name)
	}
	body, err := jsonBody(configOf(group))
	return answer{body: body}, err
}

func configOf(g queue.Group) groupConfig {
	c := ordinaryGroup()
	c.Name, c.Consumes, c.Broadcasts, c.Ordered = g.Name, !g.ConsumeDisabled, !g.BroadcastDisabled, g.Ordered
	c.Retries, c.MaxRetries = max(g.RetryQueues, 0), max(g.MaxRetries, 0)
	if g.ConsumeTimeout > 0 {
		c.Minutes = int(g.ConsumeTimeout / time.Minute)
	}
	c.Attributes = shown(g.Attributes)
	if kept, ok := g.Attributes[extrasAttribute]; ok {
		var extras groupExtras
		if json.Unmarshal([]byte(kept), &extras) == nil {
			c.groupExtras = extras
		}
	}
	return c
}

// 207 DELETE_SUBSCRIPTIONGROUP
//
// Supported: with its offsets, or so that it goes on there when somebody makes it anew.
func (s *Server) deleteGroup(r *request) (answer, error) {
	name, err := r.text("groupName")
	if err != nil {
		return answer{}, err
	}
	if err := s.queues.DropGroup(r.ctx, name, !r.flag("cleanOffset")); err != nil {
		return answer{}, err
	}
	s.changes.note(s.now())
	return answer{}, nil
}
