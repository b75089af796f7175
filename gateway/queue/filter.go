package queue

import (
	"strings"

	"sluice/gateway/message"
	"sluice/gateway/sql92"
)

// TagFilter lets through what has one of the tags of an expression, "a || b". An empty one and "*" are nil,
// which is everything.
func TagFilter(expression string) Filter {
	expression = strings.TrimSpace(expression)
	if expression == "" || expression == "*" {
		return nil
	}
	tags := make(map[string]bool)
	for tag := range strings.SplitSeq(expression, "||") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags[tag] = true
		}
	}
	return func(r *message.Record) bool {
		tag, _ := PropertyOf(r, Tags)
		return tags[tag]
	}
}

// SQLFilter lets through what an expression of SQL92 is true of. The error says what is wrong with it.
func SQLFilter(expression string) (Filter, error) {
	parsed, err := sql92.Parse(strings.TrimSpace(expression))
	if err != nil {
		return nil, err
	}
	return func(r *message.Record) bool {
		return parsed.Match(func(name string) (string, bool) {
			value, known := PropertyOf(r, name)
			return value, known && value != "" // an empty one does not exist for the stock broker
		})
	}, nil
}
