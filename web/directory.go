package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

// directory is a stretch of a list that may be long.
type directory[T any] struct {
	Items []T `json:"items"`
	Total int `json:"total"` // how many there are, shown or not
}

// topics lists topics by name; the gateway's own only if they are asked for or nothing is said of them.
func (s *Server) topics(c *gin.Context) {
	items, fill, err := s.outline()
	if c.Query("internal") == "false" {
		items = slices.DeleteFunc(items, func(t Topic) bool { return t.Internal })
	}
	answerPart(s, c, items, func(t Topic) string { return t.Name }, fill, err)
}

// outline gives all topics, and what fills in the queues of those that are shown.
func (s *Server) outline() (topics []Topic, fill func(*Topic) error, err error) {
	from, able := s.options.Messages.(Outline)
	if !able {
		topics, err = s.options.Messages.Topics()
		return topics, func(*Topic) error { return nil }, err
	}
	topics, err = from.TopicsWithoutQueues()
	return topics, func(t *Topic) (err error) {
		if t.Queues, err = from.QueuesOf(t.Name); errors.Is(err, ErrUnknown) {
			err = nil // it was deleted meanwhile
		}
		t.Queues = append([]Queue{}, t.Queues...)
		return err
	}, err
}

// groups lists consumer groups by name, or by how far they are behind.
func (s *Server) groups(c *gin.Context) {
	items, err := s.options.Messages.Groups()
	if c.Query("order") == "lag" {
		slices.SortStableFunc(items, func(a, b Group) int { return cmp.Compare(b.Lag, a.Lag) })
	}
	answerPart(s, c, items, func(g Group) string { return g.Name }, func(*Group) error { return nil }, err)
}

// answerPart answers those whose name contains what is searched for, from skip on and up to limit; all of
// them if there is no limit.
func answerPart[T any](s *Server, c *gin.Context, items []T, name func(T) string, fill func(*T) error, err error) {
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	limit, ok := numberFrom(c, "limit", uint64(len(items)), largestPage)
	if !ok {
		return
	}
	skip, err := strconv.Atoi(cmp.Or(c.Query("skip"), "0"))
	if err != nil || skip < 0 {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "skip", Detail: "skip is a number from 0 on"})
		return
	}
	if part := strings.ToLower(c.Query("search")); part != "" {
		items = slices.DeleteFunc(items, func(item T) bool { return !strings.Contains(strings.ToLower(name(item)), part) })
	}
	total := len(items)
	items = items[min(skip, total):]
	items = append([]T{}, items[:min(uint64(len(items)), limit)]...)
	for i := range items {
		if err := fill(&items[i]); err != nil {
			s.messagesFailed(c, err)
			return
		}
	}
	answer(c, http.StatusOK, directory[T]{Items: items, Total: total})
}

// topic gives one topic, with the groups that have a place in it.
func (s *Server) topic(c *gin.Context) {
	topics, fill, err := s.outline()
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	name := c.Param("topic")
	at := slices.IndexFunc(topics, func(t Topic) bool { return t.Name == name })
	if at < 0 {
		s.messagesFailed(c, fmt.Errorf("%w: topic %s", ErrUnknown, name))
		return
	}
	shown := TopicDetail{Topic: topics[at], Groups: []TopicGroup{}}
	if err := fill(&shown.Topic); err != nil {
		s.messagesFailed(c, err)
		return
	}
	groups, err := s.options.Messages.Groups()
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	for _, g := range groups {
		if reader, reads := readerOf(g, name); reads {
			shown.Groups = append(shown.Groups, reader)
		}
	}
	if from, able := s.options.Messages.(Newest); able {
		last, err := from.Newest(c.Request.Context(), Search{Topic: name, Limit: 1}, 0)
		if err != nil {
			s.messagesFailed(c, err)
			return
		}
		if len(last) > 0 {
			shown.Last = &last[0].Stored
		}
	}
	answer(c, http.StatusOK, shown)
}

func readerOf(g Group, topic string) (reader TopicGroup, reads bool) {
	reader.Name = g.Name
	for _, at := range g.Queues {
		if at.Topic == topic {
			reader.Lag += at.Lag
			reads = true
		}
	}
	return reader, reads
}

// group gives one consumer group.
func (s *Server) group(c *gin.Context) {
	groups, err := s.options.Messages.Groups()
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	name := c.Param("group")
	at := slices.IndexFunc(groups, func(g Group) bool { return g.Name == name })
	if at < 0 {
		s.messagesFailed(c, fmt.Errorf("%w: group %s", ErrUnknown, name))
		return
	}
	answer(c, http.StatusOK, groups[at])
}
