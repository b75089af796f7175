package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A log that is in use is replaced in two halves. Prepare makes the new one beside it, in a folder of
// its own. At the next start Settle, before anything is opened, puts the old one aside and the new one in
// its place; the marker says how far that is, so that a kill at any moment leaves one of the two, whole.
// The new one is on trial until Prove; Undo, or too many starts without Prove, brings the old one back.
const (
	replaceMarker = "restore.json"
	replaceNew    = "restored"
	replaceOld    = "before-restore"
	triedStarts   = 3
)

// What the marker says. Every step before the next word is written can be done again.
const (
	replaceReady     = "ready"     // the new log is whole, the old one in its place
	replaceLeaving   = "leaving"   // the old one is being put aside
	replaceComing    = "coming"    // the new one is being put in its place
	replaceTrying    = "trying"    // the new one is in its place and has to prove itself
	replaceReturning = "returning" // the new one is being taken away
	replaceBack      = "back"      // the old one is being put back
	replaceDone      = "done"
	replaceUndone    = "undone"
)

// Replacement is how far the replacement of a log is, or how the last one ended.
type Replacement struct {
	State    string    `json:"state"` // ready, trying, done or undone for those who call Settle
	Prepared time.Time `json:"prepared"`
	Settled  time.Time `json:"settled,omitzero"`
	By       string    `json:"by"`
	Keep     bool      `json:"keep"`  // the old log is not removed when the new one has proved itself
	Admin    bool      `json:"admin"` // users and records are replaced as well
	Tries    int       `json:"tries"`
	Error    string    `json:"error,omitempty"` // why it was undone

	BackupTime time.Time `json:"backup_time"`
	Messages   uint64    `json:"messages"`
	Epoch      uint64    `json:"epoch"` // of the new log
}

// replacer does the steps in one folder. before is called ahead of each of them.
type replacer struct {
	dir    string
	before func(step string) error
}

func inDir(dir string) *replacer {
	return &replacer{dir, func(string) error { return nil }}
}

// Prepare reads a backup to its end and makes the log that shall be in dir after the next start. dir may
// be in use. A replacement that was ready before is given up.
func Prepare(ctx context.Context, dir, by string, keep bool, from io.Reader, progress func(Exported)) (Restored, error) {
	return inDir(dir).prepare(ctx, by, keep, from, progress)
}

func (r *replacer) prepare(ctx context.Context, by string, keep bool, from io.Reader, progress func(Exported)) (Restored, error) {
	if last, known, err := readReplacement(r.dir); err != nil {
		return Restored{}, err
	} else if known && !slices.Contains([]string{replaceReady, replaceDone, replaceUndone}, last.State) {
		return Restored{}, fmt.Errorf("the last restore has not ended: it is %s", last.State)
	} else if known && last.State == replaceReady {
		last.State, last.Error = replaceUndone, "another restore took its place"
		if err := r.mark(last); err != nil {
			return Restored{}, err
		}
	}
	staging := r.path(replaceNew)
	if err := os.RemoveAll(staging); err != nil {
		return Restored{}, err
	}
	restored, err := RestoreWith(ctx, staging, filepath.Join(staging, "admin"), from, progress)
	if err == nil {
		err = r.step("forget the log before the last one", func() error { return os.RemoveAll(r.path(replaceOld)) })
	}
	if err == nil {
		err = syncTree(staging)
	}
	if err == nil {
		_, noAdmin := os.Stat(filepath.Join(staging, "admin"))
		err = r.mark(Replacement{
			State: replaceReady, Prepared: time.Now(), By: by, Keep: keep, Admin: noAdmin == nil,
			BackupTime: restored.Time, Messages: restored.Messages, Epoch: restored.NewEpoch,
		})
	}
	if err != nil {
		return Restored{}, errors.Join(err, os.RemoveAll(staging))
	}
	return restored, nil
}

// Settle goes on with the replacement that a folder waits for. It is called before the log is opened,
// while nobody uses the folder; with nothing to do it does nothing. What it gives is how the last
// replacement stands; false when there has been none.
func Settle(dir string) (Replacement, bool, error) { return inDir(dir).settle() }

func (r *replacer) settle() (Replacement, bool, error) {
	last, known, err := readReplacement(r.dir)
	if err != nil {
		return last, known, err
	}
	if !known {
		return last, false, os.RemoveAll(r.path(replaceNew)) // of one that was killed while it was prepared
	}
	if last.State == replaceDone || last.State == replaceUndone {
		return last, true, r.sweep(last)
	}
	lock, err := claim(r.dir)
	if err != nil {
		return last, true, err
	}
	defer lock.Close()
	err = r.forward(&last)
	return last, true, err
}

// sweep removes what an ended replacement has left behind if it was killed at its end.
func (r *replacer) sweep(last Replacement) error {
	err := os.RemoveAll(r.path(replaceNew))
	if last.State == replaceDone && !last.Keep {
		err = errors.Join(err, os.RemoveAll(r.path(replaceOld)))
	}
	return err
}

// forward does what is left to do at a start.
func (r *replacer) forward(last *Replacement) error {
	for {
		var err error
		switch last.State {
		case replaceReady:
			last.State = replaceLeaving
		case replaceLeaving:
			err = r.move(last, ".", replaceOld)
			last.State = replaceComing
		case replaceComing:
			err = r.move(last, replaceNew, ".")
			last.State, last.Settled = replaceTrying, time.Now()
		case replaceTrying:
			last.Tries++
			if last.Tries <= triedStarts {
				return r.mark(*last)
			}
			last.State, last.Error = replaceReturning, fmt.Sprintf("the gateway was started %d times with the restored log and did not keep running", triedStarts)
		case replaceReturning:
			err = r.move(last, ".", replaceNew)
			last.State = replaceBack
		case replaceBack:
			err = r.move(last, replaceOld, ".")
			last.State = replaceUndone
		default:
			return r.sweep(*last)
		}
		if err == nil {
			err = r.mark(*last)
		}
		if err != nil {
			return fmt.Errorf("replace the log in %s: %w", r.dir, err)
		}
	}
}

// Prove says that the gateway runs with the new log: the old one goes, unless it was to be kept.
func Prove(dir string) error {
	r := inDir(dir)
	last, known, err := readReplacement(dir)
	if err != nil || !known || last.State != replaceTrying {
		return err
	}
	last.State = replaceDone
	if err := r.mark(last); err != nil {
		return err
	}
	return r.sweep(last)
}

// Undo brings the old log back when the new one cannot be used. Nobody uses the folder.
func Undo(dir string, why error) (Replacement, error) {
	r := inDir(dir)
	last, known, err := readReplacement(dir)
	if err != nil || !known || last.State != replaceTrying {
		return last, err
	}
	lock, err := claim(dir)
	if err != nil {
		return last, err
	}
	defer lock.Close()
	last.State, last.Error = replaceReturning, why.Error()
	if err := r.mark(last); err != nil {
		return last, err
	}
	return last, r.forward(&last)
}

// LastReplacement is how the last replacement in a folder stands; false when there has been none.
func LastReplacement(dir string) (Replacement, bool, error) { return readReplacement(dir) }

// move moves the log's parts from one folder to another, both below dir. Of parts that have been moved
// already there is nothing left to move.
func (r *replacer) move(last *Replacement, from, to string) error {
	if err := os.MkdirAll(r.path(to), 0o750); err != nil {
		return err
	}
	parts := []string{"log", "tail", "damaged"} // all but the lock, which is held
	if last.Admin {
		parts = append(parts, "admin")
	}
	for _, part := range parts {
		source, target := filepath.Join(r.path(from), part), filepath.Join(r.path(to), part)
		if _, err := os.Lstat(source); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := r.step("move "+part+" to "+to, func() error { return os.Rename(source, target) }); err != nil {
			return err
		}
	}
	return errors.Join(syncFolder(r.path(to)), syncFolder(r.path(from)), syncFolder(r.dir))
}

func (r *replacer) step(name string, do func() error) error {
	if err := r.before(name); err != nil {
		return err
	}
	return do()
}

func (r *replacer) path(name string) string { return filepath.Join(r.dir, name) }

// mark writes the marker whole or not at all.
func (r *replacer) mark(state Replacement) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	next := r.path(replaceMarker + ".new")
	err = r.step("begin to mark "+state.State, func() error { return writeSynced(next, text) })
	if err == nil {
		err = r.step("mark "+state.State, func() error { return os.Rename(next, r.path(replaceMarker)) })
	}
	if err != nil {
		return err
	}
	return syncFolder(r.dir)
}

// readReplacement reads the marker. One that cannot be read is an error: guessing could lose a log.
func readReplacement(dir string) (last Replacement, known bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, replaceMarker))
	if errors.Is(err, os.ErrNotExist) {
		return last, false, nil
	}
	if err != nil {
		return last, false, inWords(dir, err)
	}
	if err := json.Unmarshal(text, &last); err != nil {
		return last, false, fmt.Errorf("%s in %s cannot be read (%w); see what is in %s and %s, then remove it", replaceMarker, dir, err, replaceNew, replaceOld)
	}
	return last, true, nil
}

// syncTree makes everything below a folder durable.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFolder(name)
	})
}
