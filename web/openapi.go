package web

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"
)

// apiDocument describes the API in OpenAPI 3.1; a test compares it with the routes and the types.
//
//go:embed openapi.json
var apiDocument []byte

func openAPI(c *gin.Context) {
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "application/json; charset=utf-8", apiDocument)
}
