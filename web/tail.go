package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"sluice/gateway/message"
)

const (
	maxTails       = 4 // pages that follow messages at once
	maxTailFilters = 8
)

// TailNews is what has come since the news before.
type TailNews struct {
	Items []TailItem `json:"items"`
	// Hidden are messages under the filters that are not among the items: more came than can be read.
	Hidden uint64 `json:"hidden"`
	// Unread are messages of any topic that were not even looked at: the log grew faster.
	Unread uint64 `json:"unread"`
}

// TailItem is a message with the beginning of what it carries.
type TailItem struct {
	MessageHead
	Text   string `json:"text,omitempty"` // the beginning of the payload, if it is text
	Retain bool   `json:"retain"`
}

// tailDesk lets pages follow messages, a few at a time.
type tailDesk struct {
	*Server
	places chan struct{}
}

func (s *Server) tailRoutes(signedIn *gin.RouterGroup) {
	d := &tailDesk{s, make(chan struct{}, maxTails)}
	signedIn.GET("/messages/tail", d.tail)
}

// tail sends what comes under the filters for as long as the reader listens and stays signed in.
func (d *tailDesk) tail(c *gin.Context) {
	filters := c.QueryArray("filter")
	if len(filters) == 0 {
		filters = []string{"#"}
	}
	for _, f := range filters {
		if err := message.CheckFilter(f); err != nil || len(filters) > maxTailFilters {
			refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "filter", Detail: fmt.Sprintf("filters are up to %d MQTT topic filters like readings/#", maxTailFilters)})
			return
		}
	}
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	default:
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Too many follow messages", Detail: "close another page that follows messages", retryAfter: 5 * time.Second})
		return
	}
	control := http.NewResponseController(c.Writer)
	// The server's limit on reading a request would end the stream; there is nothing left to read.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		_ = c.Error(err)
		return
	}
	ctx, end := d.untilStop(c.Request.Context())
	defer end()
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no") // a proxy must not collect events
	token, _ := token(c)
	err := d.options.Messages.Follow(ctx, filters, func(news TailNews) error {
		if _, ok := d.holder(token); !ok {
			return errSignedOut // the page finds out when it connects again
		}
		news.Items = append([]TailItem{}, news.Items...)
		return sendNews(c, control, news)
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, errSignedOut) && !errors.Is(err, errGone) {
		_ = c.Error(err)
	}
}

var (
	errSignedOut = errors.New("the session is over")
	errGone      = errors.New("the reader has gone, or reads too slowly")
)

func sendNews(c *gin.Context, control *http.ResponseController, news TailNews) error {
	body, err := json.Marshal(news)
	if err != nil {
		return err
	}
	if err := control.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return errGone
	}
	if _, err := c.Writer.Write(slices.Concat([]byte("event: messages\ndata: "), body, []byte("\n\n"))); err != nil {
		return errGone
	}
	if err := control.Flush(); err != nil {
		return errGone
	}
	return nil
}
