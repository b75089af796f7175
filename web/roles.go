package web

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// viewerRole may look, and change nothing.
const viewerRole = "viewer"

// operatorsOnly refuses those who may only look.
func operatorsOnly(c *gin.Context) {
	if who(c).role == viewerRole {
		refuse(c, problem{Status: http.StatusForbidden, Detail: "only an operator or an administrator may do this"})
	}
}
