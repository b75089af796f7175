package web

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// directory is a stretch of a list that may be long.
type directory[T any] struct {
	Items []T `json:"items"`
	Total int `json:"total"` // how many there are, shown or not
	// Next is what to ask for next; absent at the end of the list.
	Next string `json:"next,omitempty"`
}

// place is where a list goes on: behind this entry, whether it is still there or not. In a list by lag an entry that
// has changed its place meanwhile may come twice or not at all; all others come once.
type place struct {
	Name  string `json:"n"`
	Lag   uint64 `json:"l,omitempty"`
	Order string `json:"o,omitempty"` // that of the list that it is a place in: lag, or nothing for the name
}

func (p place) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic("bug: a place that JSON cannot hold: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func parsePlace(text string) (p place, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err == nil && p.Name == "" {
		err = errors.New("it names no entry")
	}
	return p, err
}

func byName(a, b place) int { return strings.Compare(a.Name, b.Name) }

func byLag(a, b place) int { return cmp.Or(cmp.Compare(b.Lag, a.Lag), byName(a, b)) }

// topics lists topics by name; the gateway's own only if they are asked for or nothing is said of them.
func (s *Server) topics(c *gin.Context) {
	items, fill, err := s.outline()
	if c.Query("internal") == "false" {
		items = slices.DeleteFunc(items, func(t Topic) bool { return t.Internal })
	}
	answerPart(s, c, items, func(t Topic) place { return place{Name: t.Name} }, byName, fill, err)
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
	at, order := func(g Group) place { return place{Name: g.Name} }, byName
	if c.Query("order") == "lag" {
		at, order = func(g Group) place { return place{g.Name, g.Lag, "lag"} }, byLag
	}
	answerPart(s, c, items, at, order, func(*Group) error { return nil }, err)
}

// answerPart answers, in an order, those whose name contains what is searched for: up to limit that come behind the
// place that next names; all of them if there is no limit.
func answerPart[T any](s *Server, c *gin.Context, items []T, at func(T) place, order func(a, b place) int, fill func(*T) error, err error) {
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	limit, ok := numberFrom(c, "limit", uint64(len(items)), largestPage)
	if !ok {
		return
	}
	if part := strings.ToLower(c.Query("search")); part != "" {
		items = slices.DeleteFunc(items, func(item T) bool { return !strings.Contains(strings.ToLower(at(item).Name), part) })
	}
	page := directory[T]{Total: len(items)}
	slices.SortFunc(items, func(a, b T) int { return order(at(a), at(b)) })
	if next := c.Query("next"); next != "" {
		behind, err := parsePlace(next)
		if err != nil {
			refuse(c, problem{Status: http.StatusBadRequest, Field: "next", Detail: "next is what the answer before has under that name"})
			return
		}
		var none T
		if behind.Order != at(none).Order {
			refuse(c, problem{Status: http.StatusBadRequest, Field: "next", Detail: "next comes from a list in another order; begin anew, without it"})
			return
		}
		from := slices.IndexFunc(items, func(item T) bool { return order(at(item), behind) > 0 })
		if from < 0 {
			from = len(items)
		}
		items = items[from:]
	}
	if uint64(len(items)) > limit {
		items = items[:limit]
		page.Next = at(items[limit-1]).String()
	}
	page.Items = append([]T{}, items...)
	for i := range page.Items {
		if err := fill(&page.Items[i]); err != nil {
			s.messagesFailed(c, err)
			return
		}
	}
	answer(c, http.StatusOK, page)
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
