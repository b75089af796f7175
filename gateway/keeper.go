package gateway

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"sluice/gateway/config"
	"sluice/store"
	"sluice/web"
)

// Authors of revisions that are no users.
const (
	ByFile   = "file"   // the file at the start
	BySighup = "sighup" // the file as it was when somebody asked to read it again
	// ByRollBack is what ran before a change that nobody confirmed.
	ByRollBack = "roll-back"
)

// revise records the configuration that runs now. It runs whether or not that can be written down.
func (g *Gateway) revise(c *config.Config, author string) {
	if c.Text == "" {
		return // made by a program, not read from a file
	}
	if err := g.admin.AddRevision(store.Revision{Author: author, Text: c.Text}); err != nil {
		g.log.Warn("the configuration runs but is not recorded as a revision", "err", err)
	}
}

// keeper lets the gateway be the page's keeper.
type keeper struct{ *Gateway }

// Backup writes the log as it is now, with users, audit records and revisions.
func (k keeper) Backup(ctx context.Context, to io.Writer) error {
	g := k.Gateway
	started := time.Now()
	g.mu.Lock()
	if g.backup.State == backupRuns {
		g.mu.Unlock()
		return web.ErrBusy
	}
	g.backup = web.Backup{State: backupRuns, Started: &started}
	g.mu.Unlock()

	show := func(p store.Exported) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.backup.Messages, g.backup.Bytes = p.Messages, p.Bytes
		g.backup.Total = uint64(p.Last + 1 - p.First)
	}
	done, err := g.store.BackupWith(ctx, to, g.admin, show)
	if err == nil {
		show(done)
	}
	ended := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.backup.State, g.backup.Finished = "done", &ended
	if err != nil {
		g.backup.State, g.backup.Error = "failed", err.Error()
	}
	return err
}

const backupRuns = "running"

// BackupProgress is the progress of the backup that runs, or how the last one ended.
func (k keeper) BackupProgress() web.Backup {
	k.mu.Lock()
	defer k.mu.Unlock()
	shown := k.backup
	if shown.State == "" {
		shown.State = "none"
	}
	return shown
}

// shownSession begins the names under which the cursors of MQTT sessions are shown: the client's name
// follows, which says more than the number of a slot.
const shownSession = "mqtt/"

// DropCursor forgets a cursor that nobody uses, or ends the session whose it is.
func (k keeper) DropCursor(name string) error {
	// While an uplink is being replaced nobody holds its cursors for a moment.
	for _, u := range k.Config().Uplinks {
		for _, r := range u.Forward {
			if cursorName(u.Name, r.Place()) == name {
				return web.ErrInUse
			}
		}
	}
	if id, ok := strings.CutPrefix(name, shownSession); ok {
		session, known := k.store.Session(id)
		switch {
		case !known:
			return web.ErrUnknown
		case session.Open:
			return web.ErrInUse
		}
		return backend{k.broker, k.store}.DropSession(id)
	}
	err := k.store.DropIdleCursor(name)
	switch {
	case err == nil:
		k.noteRoutes(k.Config())
	case errors.Is(err, store.ErrNoCursor):
		return web.ErrUnknown
	case errors.Is(err, store.ErrCursorInUse):
		return web.ErrInUse
	}
	return err
}

// Record makes an audit record durable.
func (k keeper) Record(a web.Audit) error {
	return k.admin.AddAudit(store.Audit{
		Time: a.Time.UnixMilli(), User: a.User, Address: a.Address, Action: a.Action, Subject: a.Subject,
		Before: a.Before, After: a.After, Changes: keptChanges(a.Changes), MoreChanges: a.MoreChanges,
	})
}

func keptChanges(changes []web.KeyChange) (kept []store.AuditChange) {
	for _, c := range changes {
		kept = append(kept, store.AuditChange(c))
	}
	return kept
}

// FindAudits lists audit records from the newest backwards.
func (k keeper) FindAudits(wanted web.AuditFilter, before uint64, limit int) (list []web.Audit, err error) {
	found, err := k.admin.Audits(before, limit, func(a store.Audit) bool { return wanted.Wants(showAudit(a)) })
	for _, a := range found {
		list = append(list, showAudit(a))
	}
	return list, err
}

func showAudit(a store.Audit) web.Audit {
	shown := web.Audit{
		Number: a.Number, Time: time.UnixMilli(a.Time), User: a.User, Address: a.Address,
		Action: a.Action, Subject: a.Subject, Before: a.Before, After: a.After, MoreChanges: a.MoreChanges,
	}
	for _, c := range a.Changes {
		shown.Changes = append(shown.Changes, web.KeyChange(c))
	}
	return shown
}

// Revisions lists revisions from the newest backwards.
func (k keeper) Revisions(before uint64, limit int) (list []web.Revision, err error) {
	found, err := k.admin.Revisions(before, limit)
	for _, r := range found {
		list = append(list, showRevision(r))
	}
	return list, err
}

// Revision gives one revision with its text.
func (k keeper) Revision(number uint64) (web.RevisionText, error) {
	r, known, err := k.admin.Revision(number)
	if err == nil && !known {
		err = web.ErrUnknown
	}
	if err != nil {
		return web.RevisionText{}, err
	}
	return web.RevisionText{Revision: showRevision(r), Text: hide(r.Text)}, nil
}

func showRevision(r store.Revision) web.Revision {
	return web.Revision{Number: r.Number, Time: time.UnixMilli(r.Time), Author: r.Author, Bytes: len(r.Text)}
}

// shownCursors bounds the status: sessions may be thousands, and it is sent each second.
const shownCursors = 100

// showCursors gives the cursors that keep most of the log, and how many there are.
func (g *Gateway) showCursors(all []store.CursorStatus) (shown []web.Cursor, total int) {
	all, total = slices.Clone(all), len(all)
	slices.SortStableFunc(all, func(a, b store.CursorStatus) int { return int(min(max(b.Bytes-a.Bytes, -1), 1)) })
	now := time.Now()
	for _, c := range all[:min(total, shownCursors)] {
		cursor := web.Cursor{Name: c.Name, Position: uint64(c.Durable), Messages: c.Messages, Bytes: c.Bytes, InUse: c.Open}
		if c.Session != "" {
			session, _ := g.store.Session(c.Session)
			cursor.Name, cursor.InUse = shownSession+c.Session, session.Open
			c.Open, c.Idle, c.Limit = session.Open, session.Unused, max(0, session.Limit)
		}
		if c.Oldest != 0 {
			oldest := time.UnixMilli(c.Oldest)
			cursor.Oldest = &oldest
		}
		if !c.Open {
			since := now.Add(-c.Idle).Truncate(time.Second)
			cursor.IdleSince = &since
			if c.Limit > 0 {
				end := since.Add(c.Limit)
				cursor.Expires = &end
			}
		}
		shown = append(shown, cursor)
	}
	return shown, total
}
