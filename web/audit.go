package web

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// Audit is one thing that somebody did.
type Audit struct {
	Number  uint64    `json:"number"`
	Time    time.Time `json:"time"`
	User    string    `json:"user"` // token:NAME is an API token
	Address string    `json:"address,omitempty"`
	Action  string    `json:"action"`
	Subject string    `json:"subject,omitempty"`
	Before  string    `json:"before,omitempty"` // what there was, mostly as JSON, without secrets
	After   string    `json:"after,omitempty"`  // what there is now

	Changes     []KeyChange `json:"changes,omitempty"`      // of the configuration, at most 50
	MoreChanges int         `json:"more_changes,omitempty"` // how many there were besides
}

// KeyChange is one key of the configuration that was changed. The values are JSON, those of secrets ***, even
// of one that is another now, long ones cut off; "" is a key that is not there.
type KeyChange struct {
	Path   string `json:"path"` // such as devices.press.interval
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// AuditFilter says which records are wanted; the zero value is all.
type AuditFilter struct {
	User   string // exactly this one
	Action string // exactly this one
	Text   string // somewhere in the record, in upper or lower case
}

// Wants says whether a record is wanted.
func (f AuditFilter) Wants(a Audit) bool {
	if f.User != "" && f.User != a.User || f.Action != "" && f.Action != a.Action {
		return false
	}
	if f.Text == "" {
		return true
	}
	texts := []string{a.User, a.Address, a.Action, a.Subject, a.Before, a.After}
	for _, c := range a.Changes {
		texts = append(texts, c.Path, c.Before, c.After)
	}
	return strings.Contains(strings.ToLower(strings.Join(texts, "\n")), strings.ToLower(f.Text))
}

// record notes what a user did. A record that cannot be written must not keep anybody from signing
// in to mend the reason.
func (s *Server) record(c *gin.Context, user, action, subject string) {
	s.recordChange(c, user, action, subject, nil, nil)
}

// recordChange notes what a user changed, with what was there before and what is there now: texts as
// they are, anything else as JSON with secrets hidden, nil for nothing.
func (s *Server) recordChange(c *gin.Context, user, action, subject string, before, after any) {
	s.write(c, Audit{User: user, Action: action, Subject: subject, Before: auditText(before), After: auditText(after)})
}

// recordKeys notes what whoever asks changed of the configuration.
func (s *Server) recordKeys(c *gin.Context, action, subject string, changes []KeyChange) {
	s.write(c, Audit{User: who(c).user, Action: action, Subject: subject, Changes: changes})
}

// write makes an audit record of what a request did.
func (s *Server) write(c *gin.Context, a Audit) {
	address, _, err := net.SplitHostPort(c.Request.RemoteAddr)
	if err != nil {
		address = c.Request.RemoteAddr
	}
	a.Time, a.Address = time.Now(), address
	if err := s.audit(a); err != nil {
		s.log.Warn("an audit record could not be written", "action", a.Action, "user", a.User, "err", err)
	}
}

// auditText is a state as an audit record keeps it.
func auditText(state any) string {
	switch state := state.(type) {
	case nil:
		return ""
	case string:
		return state
	}
	text, err := json.Marshal(state)
	if err != nil {
		return ""
	}
	var tree any
	if json.Unmarshal(text, &tree) != nil {
		return string(text)
	}
	if text, err = json.Marshal(withoutSecrets(tree)); err != nil {
		return ""
	}
	return string(text)
}

// secretWords are in the names of fields whose values nobody may read.
var secretWords = []string{"password", "secret", "token", "passphrase", "private", "credential"}

// withoutSecrets is a tree of JSON with secret values as ***.
func withoutSecrets(tree any) any {
	switch tree := tree.(type) {
	case map[string]any:
		for name, value := range tree {
			if text, isText := value.(string); isText && text != "" && isSecret(name) {
				tree[name] = "***"
				continue
			}
			tree[name] = withoutSecrets(value)
		}
	case []any:
		for i, value := range tree {
			tree[i] = withoutSecrets(value)
		}
	}
	return tree
}

// isSecret says whether a field of that name holds a secret; one that names a file does not.
func isSecret(name string) bool {
	name = strings.ToLower(name)
	if strings.HasSuffix(name, "_file") {
		return false
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "key" || name == "pin" || strings.HasSuffix(name, "_key")
}

func (s *Server) audits(c *gin.Context) {
	wanted := AuditFilter{User: c.Query("user"), Action: c.Query("action"), Text: c.Query("search")}
	if len(wanted.Text) > maxUser {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "search", Detail: "a search has at most 64 bytes"})
		return
	}
	newest := func(before uint64, limit int) ([]Audit, error) {
		return s.options.Keeper.FindAudits(wanted, before, limit)
	}
	list(s, c, newest, func(a Audit) uint64 { return a.Number })
}
