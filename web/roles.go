package web

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// viewerRole may look at everything that has no secrets, and change nothing.
const viewerRole = "viewer"

// operatorsOnly lets pass who may work with the plant: operators and administrators.
func operatorsOnly(c *gin.Context) {
	if who(c).role == viewerRole {
		refuse(c, problem{Status: http.StatusForbidden, Detail: "only an operator may do this"})
	}
}
