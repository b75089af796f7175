package gateway

import (
	"bytes"
	"fmt"
	"slices"

	"sluice/store"
	"sluice/web"
)

// firstRun keeps how far the first run is, and sees what is done without it.
type firstRun struct{ *Gateway }

// Checklist implements web.FirstRun.
func (f firstRun) Checklist() (web.Checklist, error) {
	kept, err := f.admin.Setup()
	if err != nil {
		return web.Checklist{}, err
	}
	return f.show(kept)
}

// Keep implements web.FirstRun.
func (f firstRun) Keep(change web.ChecklistChange) (web.Checklist, error) {
	kept, err := f.admin.ChangeSetup(func(s *store.Setup) {
		if change.Done != nil {
			s.Done = distinct(*change.Done)
		}
		if change.Skipped != nil {
			s.Skipped = distinct(*change.Skipped)
		}
		if change.Dismissed != nil {
			s.Dismissed = *change.Dismissed
		}
		if change.Draft != nil {
			s.Draft = change.Draft
		}
	})
	if err != nil {
		return web.Checklist{}, err
	}
	return f.show(kept)
}

func distinct(steps []string) []string {
	sorted := slices.Sorted(slices.Values(steps))
	return slices.Compact(sorted)
}

func (f firstRun) show(kept store.Setup) (web.Checklist, error) {
	done := func(step string) bool { return slices.Contains(kept.Done, step) }
	own, err := f.ownPassword(kept)
	if err != nil {
		return web.Checklist{}, err
	}
	c := f.Config()
	list := web.Checklist{
		Password:  own,
		Time:      done("time") || f.clock.system.synchronised(),
		Device:    done("device") || len(c.Devices) > 0,
		Uplink:    done("uplink") || len(c.Uplinks) > 0,
		Start:     done("start") || f.delivers(),
		Skipped:   append([]string{}, kept.Skipped...),
		Dismissed: kept.Dismissed,
		Draft:     kept.Draft,
	}
	return list, nil
}

// delivers says whether a cloud has acknowledged anything since the start.
func (f firstRun) delivers() bool {
	return slices.ContainsFunc(f.uplinks(), func(u *uplink) bool { return u.show().Sent > 0 })
}

// ownPassword says whether the administrator has another password than the one of the environment,
// whichever way it was changed.
func (f firstRun) ownPassword(kept store.Setup) (bool, error) {
	user, found, err := f.admin.User(Administrator)
	if err != nil {
		return false, err
	}
	return !found || !bytes.Equal(user.PasswordHash, kept.Given), nil
}

// noteGiven notes that the administrator has the password of the environment: whoever can read the
// unit, the compose file or the process's environment knows it, so the page asks for another.
func (g *Gateway) noteGiven(hash []byte) error {
	if _, err := g.admin.ChangeSetup(func(s *store.Setup) { s.Given = hash }); err != nil {
		return fmt.Errorf("note where the administrator's password came from: %w", err)
	}
	return nil
}
