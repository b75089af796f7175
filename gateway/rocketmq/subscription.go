package rocketmq

import (
	"strings"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
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
	data   subscriptionData
	filter queue.Filter // nil: everything
}

func newSubscription(data subscriptionData) (*subscription, error) {
	s := &subscription{data: data}
	switch {
	case data.ClassFilter:
		return nil, refuse(remoting.SystemError, "class filters are not supported")
	case data.Type == "SQL92":
		var err error
		if s.filter, err = queue.SQLFilter(data.Expression); err != nil {
			return nil, refuse(remoting.SubscriptionParseFailed, "%s", err)
		}
	case data.Type != "" && data.Type != "TAG":
		return nil, refuse(remoting.SubscriptionParseFailed, "the expression type %.40q is not supported", data.Type)
	default:
		s.filter = queue.TagFilter(data.Expression)
	}
	return s, nil
}
