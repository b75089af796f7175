package acl

import (
	"fmt"
	"strings"
)

// Account is a pair of keys and what its holder may do. Publish and Subscribe hold patterns of topics,
// Groups of producer and consumer groups: an exact name, "*" for all, or a beginning and "*". A namespace
// is part of a name ("factory%readings"), and so of a pattern. Who has none of a kind may do nothing of it.
type Account struct {
	AccessKey, SecretKey string
	Publish, Subscribe   []string
	Groups               []string
	Admin                bool // everything, management included
}

func (a *Account) check() error {
	if a.AccessKey == "" || a.SecretKey == "" {
		return fmt.Errorf("the account %q has no access key or no secret key", a.AccessKey)
	}
	for _, patterns := range [][]string{a.Publish, a.Subscribe, a.Groups} {
		for _, p := range patterns {
			if p == "" || strings.Contains(p[:len(p)-1], "*") {
				return fmt.Errorf("the pattern %q of account %q is neither a name nor a beginning that ends in *", p, a.AccessKey)
			}
		}
	}
	return nil
}

// Topics that belong to a group: what it asked to have again and what it gave up.
const (
	retryPrefix = "%RETRY%"
	deadPrefix  = "%DLQ%"
)

// MayPublish says whether the account may send to the topic.
func (a *Account) MayPublish(topic string) bool { return a.mayTopic(a.Publish, topic) }

// MaySubscribe says whether the account may read the topic and ask about it.
func (a *Account) MaySubscribe(topic string) bool { return a.mayTopic(a.Subscribe, topic) }

// MayUse says whether the account may produce or consume in the name of the group.
func (a *Account) MayUse(group string) bool { return a.Admin || matchAny(a.Groups, group) }

// mayTopic gives a group's own topics to who may use the group, and to nobody else: a subscription to all
// topics does not open what other groups failed at.
func (a *Account) mayTopic(patterns []string, topic string) bool {
	if group, ok := groupOf(topic); ok {
		return a.MayUse(group)
	}
	return a.Admin || matchAny(patterns, topic)
}

// groupOf is the group whose retry or dead-letter topic this is. Those of pop consumption name the topic
// too, behind a plus sign, which no group's name has.
func groupOf(topic string) (group string, ok bool) {
	rest, ok := strings.CutPrefix(topic, retryPrefix)
	if !ok {
		return strings.CutPrefix(topic, deadPrefix)
	}
	group, _, _ = strings.Cut(rest, "+")
	return group, true
}

func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if beginning, open := strings.CutSuffix(p, "*"); name == p || open && strings.HasPrefix(name, beginning) {
			return true
		}
	}
	return false
}
