package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
	"time"

	"sluice/store"
	"sluice/web"
)

// ErrRestarting is what Run gives when the gateway has stopped because it shall be started anew.
var ErrRestarting = errors.New("the gateway starts anew")

// openData opens what lies in the data directory. A backup that was restored takes its place there
// first; when it cannot be opened, what was there before comes back.
func openData(options Options, of store.Options) (*store.Store, *store.Admin, error) {
	last, known, err := store.Settle(of.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("put the restored log in its place: %w", err)
	}
	trying := known && last.State == "trying"
	if trying {
		options.Log.Info("the gateway begins with a restored log", "backup_of", last.BackupTime, "messages", last.Messages, "epoch", last.Epoch, "start", last.Tries)
	}
	log, admin, err := openBoth(of)
	if err == nil || !trying {
		return log, admin, err
	}
	options.Log.Error("the restored log cannot be used; the one before it comes back", "err", err)
	if _, undoing := store.Undo(of.Dir, err); undoing != nil {
		return nil, nil, errors.Join(err, undoing)
	}
	return openBoth(of)
}

func openBoth(of store.Options) (*store.Store, *store.Admin, error) {
	log, err := store.Open(of)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	admin, err := store.OpenAdmin(filepath.Join(of.Dir, "admin"))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the administration database: %w", err), log.Close())
	}
	return log, admin, nil
}

// restorer lets the page restore backups.
type restorer struct{ *Gateway }

// proving is how long the gateway runs with a restored log before the one before it goes.
const proving = 10 * time.Second

// prove says after a while that the gateway runs with the log that was restored, if one was.
func (r restorer) prove(ctx context.Context) error {
	dir := r.Config().Store.Dir
	if last, known, err := store.LastReplacement(dir); err == nil && known && last.State == "trying" {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(proving):
		}
		subject := fmt.Sprintf("backup of %s, epoch %d", last.BackupTime.UTC().Format(time.RFC3339), last.Epoch)
		if err := store.Prove(dir); err != nil {
			r.log.Warn("what was before the restored log could not be removed", "err", err)
		} else if err := r.admin.AddAudit(store.Audit{Time: time.Now().UnixMilli(), User: last.By, Action: "log restored", Subject: subject}); err != nil {
			r.log.Warn("an audit record could not be written", "action", "log restored", "err", err)
		}
	}
	<-ctx.Done()
	return nil
}

const (
	restoreReceives = "receiving"
	restoreFailed   = "failed"

	spaceKept   = 64 << 20 // bytes that a restore leaves free
	spaceLooked = 4 << 20  // after how many bytes it looks again
)

// Restore makes the new log beside the one that is in use, straight from what arrives: a copy of the
// file would cost the flash the same again, and would have to be read twice.
func (r restorer) Restore(ctx context.Context, from io.Reader, size int64, by string, keepOld bool) (web.Restore, error) {
	g, dir, started := r.Gateway, r.Config().Store.Dir, time.Now()
	g.mu.Lock()
	if g.restore.State == restoreReceives {
		g.mu.Unlock()
		return web.Restore{}, web.ErrRestoring
	}
	g.restore = web.Restore{State: restoreReceives, By: by, Started: &started, KeepOld: keepOld}
	if size >= 0 {
		g.restore.Total = &size
	}
	g.mu.Unlock()
	counted := &arriving{from: from, dir: dir, show: func(n int64) {
		g.mu.Lock()
		g.restore.Bytes = n
		g.mu.Unlock()
	}}
	var err error
	if free, known := freeSpace(dir); known && size >= 0 && free < size+spaceKept {
		err = web.ErrNoSpace
	} else {
		_, err = store.Prepare(ctx, dir, by, keepOld, counted, func(p store.Exported) {
			g.mu.Lock()
			g.restore.Messages = p.Messages
			g.mu.Unlock()
		})
	}
	if errors.Is(err, store.ErrExport) {
		err = &web.BackupError{Problem: err.Error()}
	}
	ended := time.Now()
	g.mu.Lock()
	if err != nil {
		g.restore.State, g.restore.Error, g.restore.Finished = restoreFailed, err.Error(), &ended
	} else {
		g.restore = web.Restore{} // from here on the folder knows
	}
	g.mu.Unlock()
	if err != nil {
		return web.Restore{}, err
	}
	done := r.RestoreProgress()
	g.log.Info("a backup is restored and takes the log's place at the next start", "user", by, "messages", done.Messages)
	if err := (system{g}).Restart(); err != nil && !errors.Is(err, web.ErrNoRestart) {
		return done, err
	}
	return done, nil
}

// RestoreProgress is the restore that runs, or how the last one ended.
func (r restorer) RestoreProgress() web.Restore {
	r.mu.Lock()
	shown := r.restore
	r.mu.Unlock()
	if shown.State != "" {
		return shown
	}
	last, known, err := store.LastReplacement(r.Config().Store.Dir)
	switch {
	case err != nil:
		return web.Restore{State: restoreFailed, Error: err.Error()}
	case !known:
		return web.Restore{State: "none"}
	}
	shown = web.Restore{
		State: last.State, By: last.By, Started: &last.Prepared, Messages: last.Messages,
		Error: last.Error, Backup: &last.BackupTime, Epoch: last.Epoch, KeepOld: last.Keep,
	}
	if !last.Settled.IsZero() {
		shown.Finished = &last.Settled
	}
	return shown
}

// arriving counts what is read, and ends it before the disk is full: the log that is in use needs space
// as well.
type arriving struct {
	from         io.Reader
	dir          string
	show         func(n int64)
	read, looked int64
}

func (a *arriving) Read(b []byte) (int, error) {
	if a.read >= a.looked {
		a.looked = a.read + spaceLooked
		if free, known := freeSpace(a.dir); known && free < spaceKept {
			return 0, web.ErrNoSpace
		}
	}
	n, err := a.from.Read(b)
	a.read += int64(n)
	a.show(a.read)
	return n, err
}

func freeSpace(dir string) (int64, bool) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, false
	}
	return int64(disk.Bavail) * int64(disk.Bsize), true //nolint:unconvert // 32-bit machines have other types
}
