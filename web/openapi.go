package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
)

// The API in OpenAPI 3.1, a file for each part of it; a test compares it with the routes and the types.
//
//go:embed openapi
var apiParts embed.FS

// apiDocument is all of it as one document.
var apiDocument = sync.OnceValue(func() []byte {
	document, err := joinParts(apiParts)
	if err != nil {
		panic("bug: the description of the API: " + err.Error())
	}
	return document
})

func openAPI(c *gin.Context) {
	c.Header("Cache-Control", "no-cache")
	write(c, http.StatusOK, "application/json; charset=utf-8", apiDocument())
}

func joinParts(parts fs.FS) ([]byte, error) {
	whole := map[string]any{}
	names, err := fs.Glob(parts, "openapi/*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(parts, name)
		if err != nil {
			return nil, err
		}
		var part map[string]any
		if err := json.Unmarshal(text, &part); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := join(whole, part); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return json.Marshal(whole)
}

// join puts from into to; what both have must be objects, whose members are then joined.
func join(to, from map[string]any) error {
	for key, value := range from {
		there, taken := to[key]
		if !taken {
			to[key] = value
			continue
		}
		a, isObject := there.(map[string]any)
		b, alsoObject := value.(map[string]any)
		if !isObject || !alsoObject {
			return fmt.Errorf("%s stands in another file too", key)
		}
		if err := join(a, b); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}
