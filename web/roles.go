package web

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

const viewerRole = "viewer"

// operatorsOnly lets pass who may do more than look.
func operatorsOnly(c *gin.Context) {
	if who(c).role == viewerRole {
		refuse(c, problem{Status: http.StatusForbidden, Detail: "only an operator or an administrator may do this"})
	}
}
