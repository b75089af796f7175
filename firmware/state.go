package firmware

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stateFile is what must outlive a restart of the machine. The system before an update reads what the one
// after it has written, and the other way round: fields may come, none may change its meaning.
const stateFile = "updates.json"

// mostEvents bounds the history.
const mostEvents = 50

// state is the content of stateFile.
type state struct {
	// Update is the one that was begun last, until it is settled whether it is kept.
	Update *update `json:"update,omitempty"`
	// Trial is the one of the start of the machine that it names.
	Trial *trial `json:"trial,omitempty"`
	// Proven are the systems that were healthy, by slot: what is started again needs no new proof.
	Proven  map[string]string `json:"proven,omitempty"`
	History []Event           `json:"history,omitempty"` // the newest last
}

// update is a bundle on its way from a file to a system that is kept.
type update struct {
	Source  string    `json:"source"` // the name of a file, or an address
	Version string    `json:"version"`
	By      string    `json:"by"`
	Begun   time.Time `json:"begun"`
	Boot    string    `json:"boot"`   // during which start of the machine
	Slot    string    `json:"slot"`   // the boot name of the one that is written
	Before  string    `json:"before"` // the slot that ran
	Was     uint32    `json:"was"`    // how often something had been installed there before
	Written bool      `json:"written"`
	// Uplinks were connected before: they have to be again.
	Uplinks []string `json:"uplinks"`
	// Failed is why its trial went wrong, before the machine was restarted.
	Failed string `json:"failed,omitempty"`
}

// trial is how far the proof of the system that runs is.
type trial struct {
	Boot  string        `json:"boot"`
	Began time.Duration `json:"began"` // the machine's uptime, which no clock changes
	// Crashes are the starts of the gateway during it that did not end in order.
	Crashes int    `json:"crashes"`
	Verdict string `json:"verdict,omitempty"` // why it has failed
	// Told says that the verdict stands in the history.
	Told bool `json:"told,omitempty"`
}

// Event is something that happened to the box's firmware.
type Event struct {
	Time time.Time `json:"time"`
	// Kind is installed, refused, restarting, kept (a new system is proven), failed (its trial went wrong), or
	// fell-back (the system before it runs again).
	Kind    string `json:"kind"`
	Version string `json:"version,omitempty"`
	Slot    string `json:"slot,omitempty"`
	By      string `json:"by,omitempty"`
	Text    string `json:"text,omitempty"`
}

// record puts an event at the end of the history.
func (s *state) record(e Event) {
	s.History = append(s.History, e)
	if extra := len(s.History) - mostEvents; extra > 0 {
		s.History = append([]Event(nil), s.History[extra:]...)
	}
}

// load reads the state; what is damaged begins anew, for no state is better than no gateway.
func load(dir string) (s state, err error) {
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err == nil {
		if err = json.Unmarshal(text, &s); err != nil {
			s = state{}
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if s.Proven == nil {
		s.Proven = map[string]string{}
	}
	return s, err
}

// save makes the state durable: a power cut leaves either the old one or the new one.
func (s *state) save(dir string) (err error) {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep the state of updates: %w", err)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// There is one writer; what a kill has left of the file is overwritten.
	path := filepath.Join(dir, stateFile)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
