package web

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// lineState is the body of GET and PUT /api/v1/demo/line.
type lineState struct {
	Up *bool `json:"up"`
}

func (s *Server) line(c *gin.Context) {
	up := s.options.Line.Up()
	answer(c, http.StatusOK, lineState{Up: &up})
}

func (s *Server) setLine(c *gin.Context) {
	var request lineState
	if !read(c, &request) {
		return
	}
	if request.Up == nil {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "up", Detail: "say true or false"})
		return
	}
	before := s.options.Line.Up()
	s.options.Line.SetUp(*request.Up)
	s.recordChange(c, who(c).user, "line switched", "", lineState{Up: &before}, request)
	s.log.Info("line to the cloud was switched on the page", "up", *request.Up)
	s.line(c)
}
