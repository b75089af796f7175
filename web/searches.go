package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Searches looks for devices on lines and in networks. Its methods may be called from any goroutine
// and answer at once.
type Searches interface {
	// Options gives what there is to search.
	Options() SearchOptions
	// List gives the searches that are kept, the newest first.
	List() []DeviceSearch
	// Find gives one of them; ErrUnknown.
	Find(id string) (DeviceSearch, error)
	// Start begins one; a SearchError for what cannot be searched, ErrSearching.
	Start(SearchRequest) (DeviceSearch, error)
	// Stop cancels one that runs, and forgets one that has ended; ErrUnknown.
	Stop(id string) error
}

// ErrSearching refuses a search because of others that run.
var ErrSearching = errors.New("another search is in the way")

// SearchError says which field of a request cannot be.
type SearchError struct{ Field, Problem string }

// Error implements error.
func (e *SearchError) Error() string { return e.Field + ": " + e.Problem }

// SearchRequest is what to search. What is left out has a default.
type SearchRequest struct {
	Kind      string   `json:"kind"`             // line or network
	Bus       string   `json:"bus,omitempty"`    // the name of a line of the configuration
	Serial    string   `json:"serial,omitempty"` // or a port that no line has
	Protocols []string `json:"protocols,omitempty"`
	Bauds     []int    `json:"bauds,omitempty"`
	Parities  []string `json:"parities,omitempty"`
	Units     string   `json:"units,omitempty"`   // 1-32,100
	Network   string   `json:"network,omitempty"` // 192.168.1.0/24
	Ports     []int    `json:"ports,omitempty"`
}

// DeviceSearch is one search, running or ended.
type DeviceSearch struct {
	ID      string        `json:"id"`
	Kind    string        `json:"kind"`
	State   string        `json:"state"` // running, done, cancelled or failed
	Error   string        `json:"error,omitempty"`
	Place   string        `json:"place"`
	Started time.Time     `json:"started"`
	Ended   *time.Time    `json:"ended,omitempty"`
	Done    int           `json:"done"` // questions, or addresses of a network
	All     int           `json:"all"`  // which may grow
	Now     string        `json:"now,omitempty"`
	Left    float64       `json:"left_seconds"`
	Found   []FoundDevice `json:"found"`
}

// FoundDevice is a device that was found.
type FoundDevice struct {
	Place    string        `json:"place"`
	Protocol string        `json:"protocol"`
	Settings string        `json:"settings,omitempty"` // of the serial line: 9600 8N1
	Unit     string        `json:"unit"`               // or meter number
	Answer   string        `json:"answer"`             // in words
	Raw      string        `json:"raw"`                // hex digits
	Guesses  []DeviceGuess `json:"guesses"`            // the best first
	YAML     string        `json:"yaml,omitempty"`     // what to put into the configuration
	// Device and Bus are the same as sections of the configuration; a device on a line that is configured
	// needs no Bus.
	Device map[string]any `json:"device,omitempty"`
	Bus    map[string]any `json:"bus,omitempty"`
}

// DeviceGuess is a profile that a device may be of.
type DeviceGuess struct {
	Profile string  `json:"profile"`
	Title   string  `json:"title"`
	Score   float64 `json:"score"` // 0 to 1
	Why     string  `json:"why"`
}

// SearchOptions is what a gateway has to search.
type SearchOptions struct {
	Lines     []SearchLine     `json:"lines"`
	Serials   []string         `json:"serials"`  // ports that no line has
	Networks  []string         `json:"networks"` // that the gateway is in
	Protocols []SearchProtocol `json:"protocols"`
	Bauds     []int            `json:"bauds"`
}

// SearchLine is a line of the configuration.
type SearchLine struct {
	Bus   string `json:"bus"`
	Place string `json:"place"`
}

// SearchProtocol is something that may be spoken.
type SearchProtocol struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Line    bool   `json:"line"`    // looked for on lines
	Network bool   `json:"network"` // in networks unless others are chosen
	Slow    bool   `json:"slow"`    // holds the line for seconds: not looked for on one in operation unless chosen
}

func (s *Server) searchRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/searches", s.searches)
	signedIn.POST("/searches", operatorsOnly, s.startSearch)
	signedIn.GET("/searches/options", s.searchOptions)
	signedIn.GET("/searches/:id", s.search)
	signedIn.DELETE("/searches/:id", operatorsOnly, s.stopSearch)
}

type searchList struct {
	Items []DeviceSearch `json:"items"`
}

func (s *Server) searches(c *gin.Context) {
	answer(c, http.StatusOK, searchList{Items: append([]DeviceSearch{}, s.options.Searches.List()...)})
}

func (s *Server) searchOptions(c *gin.Context) {
	answer(c, http.StatusOK, s.options.Searches.Options())
}

func (s *Server) search(c *gin.Context) {
	found, err := s.options.Searches.Find(c.Param("id"))
	if err != nil {
		s.searchFailed(c, err)
		return
	}
	answer(c, http.StatusOK, found)
}

func (s *Server) startSearch(c *gin.Context) {
	var wanted SearchRequest
	if !read(c, &wanted) {
		return
	}
	begun, err := s.options.Searches.Start(wanted)
	if err != nil {
		s.searchFailed(c, err)
		return
	}
	s.record(c, who(c).user, "search begun", begun.Place)
	answer(c, http.StatusCreated, begun)
}

func (s *Server) stopSearch(c *gin.Context) {
	if err := s.options.Searches.Stop(c.Param("id")); err != nil {
		s.searchFailed(c, err)
		return
	}
	s.record(c, who(c).user, "search ended", c.Param("id"))
	c.Status(http.StatusNoContent)
}

func (s *Server) searchFailed(c *gin.Context, err error) {
	wrong, isWrong := errors.AsType[*SearchError](err)
	switch {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no search %q", c.Param("id"))})
	case isWrong:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: wrong.Field, Detail: wrong.Problem})
	case errors.Is(err, ErrSearching):
		refuse(c, problem{Status: http.StatusConflict, Title: "Busy", Detail: err.Error()})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError})
	}
}
