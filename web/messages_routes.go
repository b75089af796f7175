package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"sluice/gateway/message"
)

func (s *Server) messageRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/topics", s.topics)
	signedIn.GET("/topics/:topic", s.topic)
	signedIn.GET("/groups", s.groups)
	signedIn.GET("/groups/:group", s.group)
	signedIn.GET("/messages", s.searchMessages)
	signedIn.GET("/messages/:position", s.message)
	signedIn.GET("/dead", s.deadPlaces)
	s.tailRoutes(signedIn)
	operators := signedIn.Group("", operatorsOnly)
	operators.POST("/messages", s.publishMessage)
	operators.POST("/messages/:position/resend", s.resendMessage)
	operators.POST("/groups/:group/reset", s.resetGroup)
}

func (s *Server) messageByID(id string) ([]MessageHead, error) {
	position, err := s.options.Messages.PositionOf(id)
	if err != nil {
		return nil, err
	}
	found, err := s.options.Messages.Message(position)
	if err != nil {
		return nil, err
	}
	return []MessageHead{found.MessageHead}, nil
}

// timeFrom reads a query parameter that is a time; false means that the request has been refused.
func timeFrom(c *gin.Context, name string, into *time.Time) bool {
	text := c.Query(name)
	if text == "" {
		return true
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: name, Detail: name + " is a time like 2026-11-23T08:00:00Z"})
		return false
	}
	*into = at
	return true
}

// positionFrom reads the position in the path; false means that the request has been refused.
func positionFrom(c *gin.Context) (uint64, bool) {
	position, err := strconv.ParseUint(c.Param("position"), 10, 63)
	if err != nil || position == 0 {
		refuse(c, problem{Status: http.StatusNotFound, Detail: "messages have positions, which are numbers from 1 on"})
		return 0, false
	}
	return position, true
}

func (s *Server) message(c *gin.Context) {
	position, ok := positionFrom(c)
	if !ok {
		return
	}
	found, err := s.options.Messages.Message(position)
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	answer(c, http.StatusOK, found)
}

// resendRequest is the body of POST /api/v1/messages/{position}/resend.
type resendRequest struct {
	Group string `json:"group,omitempty"`
}

func (s *Server) resendMessage(c *gin.Context) {
	position, ok := positionFrom(c)
	var request resendRequest
	if !ok || !read(c, &request) {
		return
	}
	sent, err := s.options.Messages.Resend(c.Request.Context(), position, request.Group)
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	s.log.Info("a message was sent again on request", "position", position, "topic", sent.Topic, "user", who(c).user)
	s.record(c, who(c).user, "message resent", fmt.Sprintf("%d to %s", position, sent.Topic))
	answer(c, http.StatusOK, sent)
}

// resetRequest is the body of POST /api/v1/groups/{group}/reset.
type resetRequest struct {
	Topic string     `json:"topic"`
	To    *time.Time `json:"to"`
}

func (s *Server) resetGroup(c *gin.Context) {
	var request resetRequest
	if !read(c, &request) {
		return
	}
	switch {
	case request.Topic == "":
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "topic", Detail: "say in which topic"})
		return
	case request.To == nil:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "to", Detail: "say from which time on, as in 2026-11-23T08:00:00Z"})
		return
	}
	group := c.Param("group")
	queues, err := s.options.Messages.Reset(c.Request.Context(), group, request.Topic, *request.To)
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	s.log.Info("a group was set to another time on request", "group", group, "topic", request.Topic, "to", *request.To, "user", who(c).user)
	s.record(c, who(c).user, "group reset", fmt.Sprintf("%s in %s to %s", group, request.Topic, request.To.UTC().Format(time.RFC3339)))
	answer(c, http.StatusOK, listPage[Reset]{Items: append([]Reset{}, queues...)})
}

func (s *Server) messagesFailed(c *gin.Context, err error) {
	switch {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: err.Error()})
	case errors.Is(err, ErrNotAllowed):
		refuse(c, problem{Status: http.StatusConflict, Title: "Not allowed", Detail: err.Error()})
	case errors.Is(err, message.ErrFull):
		refuse(c, problem{Status: http.StatusServiceUnavailable, Detail: "the log is full; try again later", retryAfter: 10 * time.Second})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Detail: "the log could not be asked; the gateway's log says more"})
	}
}
