package web

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// DeadPlace is where messages lie that nobody took: those that consumers of a group gave back too often,
// or that an uplink's cloud refused.
type DeadPlace struct {
	Kind     string     `json:"kind"` // group or uplink
	Name     string     `json:"name"`
	Topic    string     `json:"topic"`
	Messages uint64     `json:"messages"`
	Newest   *time.Time `json:"newest,omitempty"` // when the last of them came here
}

// DeadPlaces are all places where something lies.
type DeadPlaces struct {
	Items []DeadPlace `json:"items"`
	// Complete is false when there is so much for uplinks that counting was ended: there is more.
	Complete bool `json:"complete"`
}

func (s *Server) deadPlaces(c *gin.Context) {
	found, err := s.options.Messages.Dead(c.Request.Context())
	if err != nil {
		s.messagesFailed(c, err)
		return
	}
	found.Items = append([]DeadPlace{}, found.Items...)
	answer(c, http.StatusOK, found)
}
