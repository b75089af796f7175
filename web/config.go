package web

import (
	"encoding/json"
	"errors"
	"time"

	"sluice/gateway/config"
)

// Configurator shows and changes the configuration. Its methods may be called from any goroutine; changes
// are made one after the other. A *SectionError is their answer to a change that cannot be.
type Configurator interface {
	// State is what is cheap to ask again and again.
	State() ConfigState
	Configuration() (Configuration, error)
	Schema() ConfigSchema
	// Preview says what a change would do, and changes nothing.
	Preview(change ConfigChange, document bool) (ConfigPreview, error)
	// Apply makes a change to the configuration whose tag is given: ErrChanged when another one runs by
	// now, ErrFileDiffers, ErrPending, ErrNoFile. What it began goes on while the answer is on its way.
	Apply(change ConfigChange, etag, user string) (ConfigApplied, error)
	// Reload applies the file as it is.
	Reload(user string) (ConfigApplied, error)
	// Confirm keeps a change that waits for it, RollBack undoes it and tells what that changed; ErrUnknown.
	Confirm(id string) error
	RollBack(user string) ([]KeyChange, error)
	// Diff is what lies between two revisions; to 0 is the configuration that runs. ErrUnknown.
	Diff(from, to uint64) ([]DiffLine, error)
	// Restore applies the text of a revision as Apply would.
	Restore(revision uint64, etag, user string) (ConfigApplied, error)
}

// Why a Configurator refuses.
var (
	ErrChanged     = errors.New("the configuration has changed in the meantime; look at it again")
	ErrFileDiffers = errors.New("the file was changed by hand and does not say what runs; apply the file as it is first, or write over it")
	ErrPending     = errors.New("another change waits to be confirmed; confirm it or take it back first")
	ErrNoFile      = errors.New("this gateway's configuration cannot be written: it does not come from a file, or the file's folder is read-only")
)

// ConfigState says which configuration runs and what is to be done about it.
type ConfigState struct {
	ETag          string         `json:"etag"`
	Path          string         `json:"path"`
	Writable      bool           `json:"writable"`
	FileDiffers   bool           `json:"file_differs"`   // the file was changed by hand
	RestartNeeded bool           `json:"restart_needed"` // a part of what is written counts from the next start on
	Pending       *PendingChange `json:"pending,omitempty"`
}

// PendingChange is one that is taken back by itself unless it is confirmed.
type PendingChange struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
}

// Configuration is the configuration that runs, with *** in the place of secrets.
type Configuration struct {
	ConfigState
	Text     string          `json:"text"`
	Document json.RawMessage `json:"document"` // as it is written, without defaults
}

// ConfigSchema describes every key there is.
type ConfigSchema struct {
	Sections map[string][]config.Field `json:"sections"`
	Drivers  map[string]DriverSchema   `json:"drivers"` // of devices
	Kinds    map[string][]config.Field `json:"kinds"`   // of uplinks
}

// DriverSchema is the keys that a driver adds to a device, and those of its points.
type DriverSchema struct {
	Device []config.Field `json:"device"`
	Point  []config.Field `json:"point"`
}

// ConfigChange is a whole new text, or edits of the one that runs.
type ConfigChange struct {
	Text  *string      `json:"text,omitempty"`
	Edits []ConfigEdit `json:"edits,omitempty"`
	// OverFile writes over a file that was changed by hand; what it said becomes a revision.
	OverFile bool `json:"over_file,omitempty"`
}

// ConfigEdit changes one value; without one it is removed. An item of a list is called by its name, or by
// its number from 0.
type ConfigEdit struct {
	Path  []string        `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

// ConfigPreview is what a change would do.
type ConfigPreview struct {
	ETag          string           `json:"etag"` // of the text that it was made from
	Changed       bool             `json:"changed"`
	Diff          []DiffLine       `json:"diff"`
	Starts        []string         `json:"starts"`
	Stops         []string         `json:"stops"`
	Restarts      []string         `json:"restarts"`
	Problems      []SectionProblem `json:"problems"` // with any it cannot be applied
	Warnings      []SectionProblem `json:"warnings"`
	Risky         bool             `json:"risky"` // it has to be confirmed
	RestartNeeded bool             `json:"restart_needed"`
	Document      json.RawMessage  `json:"document,omitempty"`
}

// DiffLine is a line of a comparison; Old and New are its numbers, from 1. A gap stands for lines that are
// the same.
type DiffLine struct {
	Kind string `json:"kind"` // same, add, remove, gap
	Text string `json:"text,omitempty"`
	Old  int    `json:"old,omitempty"`
	New  int    `json:"new,omitempty"`
}

// ConfigApplied is what came of a change.
type ConfigApplied struct {
	ETag          string         `json:"etag"`
	Revision      uint64         `json:"revision"` // 0: it runs but could not be recorded
	RestartNeeded bool           `json:"restart_needed"`
	Pending       *PendingChange `json:"pending,omitempty"`
	// Changes is for the audit log, and no part of the answer.
	Changes []KeyChange `json:"-"`
}
