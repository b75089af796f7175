package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// FirstRun keeps how far the first run has come, so that it goes on where it was after a reload, on
// another computer and after a restart. Its methods may be called from any goroutine.
type FirstRun interface {
	Checklist() (Checklist, error)
	// Keep makes a change durable and gives what it came to. What is nil stays.
	Keep(ChecklistChange) (Checklist, error)
}

// Checklist is how far the first run is. A step is done when somebody has finished it on the page, or
// when the gateway sees that it is.
type Checklist struct {
	Password bool `json:"password"` // false: it came from the environment, and others can read it there
	Time     bool `json:"time"`
	Device   bool `json:"device"`
	Uplink   bool `json:"uplink"`
	Start    bool `json:"start"`
	// Skipped are steps that were left for later.
	Skipped   []string `json:"skipped"`
	Dismissed bool     `json:"dismissed"` // nobody wants to be reminded
	// Draft is what was chosen on the page and does not run yet.
	Draft json.RawMessage `json:"draft,omitempty"`
}

// ChecklistChange is the body of PUT /api/v1/setup/checklist.
type ChecklistChange struct {
	Done      *[]string       `json:"done,omitempty"`
	Skipped   *[]string       `json:"skipped,omitempty"`
	Dismissed *bool           `json:"dismissed,omitempty"`
	Draft     json.RawMessage `json:"draft,omitempty"`
}

// setupState is the answer of GET /api/v1/setup.
type setupState struct {
	Needed    bool       `json:"needed"` // there is no password yet
	Checklist *Checklist `json:"checklist,omitempty"`
}

// setupSteps are the steps in their order.
var setupSteps = []string{"password", "time", "device", "uplink", "start"}

const (
	checklistPath = "/api/v1/setup/checklist"
	// MaxDraft bounds what the page keeps of choices that do not run yet: some thousand points.
	MaxDraft     = 256 << 10
	maxChecklist = MaxDraft + 4<<10
)

// setupState answers whoever asks whether there is a password, and who is signed in how far things are.
func (s *Server) setupState(c *gin.Context) {
	needed, err := s.setUpNeeded()
	if err != nil {
		s.accountsFailed(c, err)
		return
	}
	state := setupState{Needed: needed}
	token, _ := token(c)
	if _, signedIn := s.sessions.use(token); signedIn && s.options.FirstRun != nil {
		list, err := s.options.FirstRun.Checklist()
		if err != nil {
			s.accountsFailed(c, err)
			return
		}
		state.Checklist = &list
	}
	answer(c, http.StatusOK, state)
}

func (s *Server) keepChecklist(c *gin.Context) {
	var change ChecklistChange
	if !read(c, &change) {
		return
	}
	for field, steps := range map[string]*[]string{"done": change.Done, "skipped": change.Skipped} {
		if steps == nil {
			continue
		}
		for _, step := range *steps {
			if !slices.Contains(setupSteps, step) {
				refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: field, Detail: fmt.Sprintf("%.40q is no step; they are password, time, device, uplink and start", step)})
				return
			}
		}
	}
	if len(change.Draft) > MaxDraft {
		refuse(c, problem{Status: http.StatusRequestEntityTooLarge, Field: "draft", Detail: fmt.Sprintf("a draft may have %d bytes", MaxDraft)})
		return
	}
	list, err := s.options.FirstRun.Keep(change)
	if err != nil {
		s.accountsFailed(c, err)
		return
	}
	answer(c, http.StatusOK, list)
}
