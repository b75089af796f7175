package rocketmq

import (
	"strings"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
	"sluice/gateway/sql92"
)

// subscriptionData is a subscription as clients write it.
type subscriptionData struct {
	ClassFilter bool     `json:"classFilterMode"`
	Topic       string   `json:"topic"`
	Expression  string   `json:"subString"`
	Tags        []string `json:"tagsSet"`
	Codes       []number `json:"codeSet"`
	Version     int64    `json:"subVersion"`
	Type        string   `json:"expressionType"`
}

// number is one that some clients write as a string.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	parsed, err := parseInt(strings.Trim(string(b), `"`))
	*n = number(parsed)
	return err
}

// subscription is one that is ready to be used.
type subscription struct {
	data subscriptionData
	tags map[string]bool // nil: all
	sql  *sql92.Expression
}

func newSubscription(data subscriptionData) (*subscription, error) {
	s := &subscription{data: data}
	switch expression := strings.TrimSpace(data.Expression); {
	case data.ClassFilter:
		return nil, refuse(remoting.SystemError, "class filters are not supported")
	case data.Type == "SQL92":
		parsed, err := sql92.Parse(expression)
		if err != nil {
			return nil, refuse(remoting.SubscriptionParseFailed, "%s", err)
		}
		s.sql = parsed
	case data.Type != "" && data.Type != "TAG":
		return nil, refuse(remoting.SubscriptionParseFailed, "the expression type %.40q is not supported", data.Type)
	case expression != "" && expression != "*":
		s.tags = make(map[string]bool)
		for tag := range strings.SplitSeq(expression, "||") {
			if tag = strings.TrimSpace(tag); tag != "" {
				s.tags[tag] = true
			}
		}
	}
	return s, nil
}

// filter gives what the subscription lets through; nil is everything.
func (s *subscription) filter() queue.Filter {
	switch {
	case s.sql != nil:
		return func(r *message.Record) bool {
			return s.sql.Match(func(name string) (string, bool) {
				value, known := queue.PropertyOf(r, name)
				return value, known && value != "" // an empty one does not exist for the stock broker
			})
		}
	case s.tags != nil:
		return func(r *message.Record) bool {
			tag, _ := queue.PropertyOf(r, queue.Tags)
			return s.tags[tag]
		}
	}
	return nil
}
