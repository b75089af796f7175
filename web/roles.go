package web

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// What somebody may do. Viewers see everything but secrets and records of the past; operators also
// write to devices, send messages, and try things out; administrators also change the gateway.
const (
	viewerRole   = "viewer"
	operatorRole = "operator"
	adminRole    = "administrator"
)

// roles are all of them, each with what those before it may do.
var roles = []string{viewerRole, operatorRole, adminRole}

// atLeast says whether role includes least. A role that is none includes nothing.
func atLeast(role, least string) bool {
	return slices.Index(roles, role) >= slices.Index(roles, least)
}

// operatorsOnly lets operators and administrators pass.
func operatorsOnly(c *gin.Context) {
	if !atLeast(who(c).role, operatorRole) {
		refuse(c, problem{Status: http.StatusForbidden, Detail: "only an operator or an administrator may do this"})
	}
}

// administratorsOnly lets administrators pass.
func administratorsOnly(c *gin.Context) {
	if !atLeast(who(c).role, adminRole) {
		refuse(c, problem{Status: http.StatusForbidden, Detail: "only an administrator may do this"})
	}
}
