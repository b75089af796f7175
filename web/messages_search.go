package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
)

// The orders that messages are found in.
const (
	newest = "newest"
	oldest = "oldest"
)

// foundPage is a stretch of what a search finds.
type foundPage struct {
	Items []MessageHead `json:"items"`
	Order string        `json:"order"`
	// Next is what to ask for next; absent at the end of the list.
	Next uint64 `json:"next,omitempty"`
}

// searchMessages finds by one of id, key and topic; the last two between two times.
func (s *Server) searchMessages(c *gin.Context) {
	wanted := Search{Key: c.Query("key"), Topic: c.Query("topic")}
	limit, ok := numberFrom(c, "limit", usualPage, largestPage)
	if !ok || !timeFrom(c, "from", &wanted.From) || !timeFrom(c, "to", &wanted.To) {
		return
	}
	wanted.Limit = int(limit)
	var next uint64
	if text := c.Query("next"); text != "" {
		var err error
		if next, err = strconv.ParseUint(text, 10, 63); err != nil {
			refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "next", Detail: "next is what the answer before has under that name"})
			return
		}
	}
	found := foundPage{Order: oldest}
	var err error
	switch id := c.Query("id"); {
	case id != "":
		found.Items, err = s.messageByID(id)
	case wanted.Key == "" && wanted.Topic == "":
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "key", Detail: "say what to search for: id, key or topic"})
		return
	default:
		found, err = s.find(c.Request.Context(), wanted, c.Query("order"), next)
	}
	if err != nil && !errors.Is(err, ErrUnknown) { // unknown: nothing was found
		s.messagesFailed(c, err)
		return
	}
	found.Items = append([]MessageHead{}, found.Items...)
	answer(c, http.StatusOK, found)
}

// find gives the page of what is wanted that comes behind the message at position next, or the first.
func (s *Server) find(ctx context.Context, wanted Search, order string, next uint64) (page foundPage, err error) {
	page.Order = oldest
	from, able := s.options.Messages.(Newest)
	switch {
	case wanted.Key != "":
		page.Order = newest
		page.Items, err = s.findBehind(ctx, wanted, next, true)
	case order == newest && able:
		page.Order = newest
		page.Items, err = from.Newest(ctx, wanted, next)
	default:
		page.Items, err = s.findBehind(ctx, wanted, next, false)
	}
	if n := len(page.Items); n > 0 && n == wanted.Limit {
		page.Next = page.Items[n-1].Position
	}
	return page, err
}

// mostAtOnce is how many messages of the millisecond in which the page before ended are passed over to
// find the next page.
const mostAtOnce = 16 << 10

// findBehind searches from the time on at which the page before ended: messages are found by time, and
// those of the same millisecond that were shown already are passed over.
func (s *Server) findBehind(ctx context.Context, wanted Search, next uint64, backwards bool) ([]MessageHead, error) {
	if next == 0 {
		return s.options.Messages.Search(ctx, wanted)
	}
	last, err := s.options.Messages.Message(next)
	if err != nil {
		return nil, err
	}
	ask := wanted
	if backwards {
		ask.To = last.Stored
	} else {
		ask.From = last.Stored
	}
	for shown := 1; ; shown *= 4 {
		ask.Limit = wanted.Limit + shown
		found, err := s.options.Messages.Search(ctx, ask)
		if err != nil {
			return nil, err
		}
		var fresh []MessageHead
		for _, head := range found {
			if backwards && head.Position < next || !backwards && head.Position > next {
				fresh = append(fresh, head)
			}
		}
		if len(fresh) >= wanted.Limit || len(found) < ask.Limit || shown >= mostAtOnce {
			return fresh[:min(len(fresh), wanted.Limit)], nil
		}
	}
}
