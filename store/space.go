package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	measureEvery = 200 * time.Millisecond
	// largestShare bounds the share of the file system that is kept free when there is no limit:
	// 5 % of a large disk would be more than anything here can need.
	largestShare = 256 << 20
)

// space watches the disk. Badger writes into sparse mappings, and a page that the file system has
// no room for kills the process with SIGBUS: so we stop well before it is full. Only the committer
// measures; anybody may ask for the last result.
type space struct {
	dir      string
	limit    int64
	fileSize int64

	mu       sync.Mutex // guards what follows
	last     measured
	at       time.Time
	written  int64 // by us since then
	full     bool
	pressing bool
}

// measured is what the disk said.
type measured struct {
	used  int64 // on disk by the log, all files
	vlogs int64 // of that in the value log
	free  int64 // for us on the file system
	total int64
}

// floor is the free space below which nothing is written at all: what Badger's own background work
// may still need.
func (sp *space) floor() int64 { return 1<<20 + sp.fileSize/8 }

// reserve keeps trimming, cursors and commands working when producers are refused.
func (sp *space) reserve(total int64) int64 {
	share := min(total/20, largestShare)
	if sp.limit > 0 {
		share = min(share, sp.limit/20)
	}
	return 2*sp.fileSize + share
}

// weigh measures when the last result is too old or too close to the edge, and says whether
// producers must be refused and whether old blocks should go.
func (sp *space) weigh() (full, pressing bool, err error) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if since := time.Since(sp.at); since >= measureEvery || sp.pressing && since >= measureEvery/10 {
		if err := sp.measureLocked(); err != nil {
			return sp.full, sp.pressing, err
		}
	}
	used, free, reserve := sp.last.used+sp.written, sp.last.free-sp.written, sp.reserve(sp.last.total)
	margin := int64(0) // once full it takes a little more room to be believed
	if sp.full {
		margin = sp.fileSize / 4
	}
	sp.full = free < reserve+margin || sp.limit > 0 && used > sp.limit-sp.limit/20-2*sp.fileSize-margin
	sp.pressing = sp.full || free < reserve+sp.fileSize || sp.limit > 0 && used > sp.limit-sp.limit/20-3*sp.fileSize
	return sp.full, sp.pressing, nil
}

// admits says whether n bytes more can be written without danger.
func (sp *space) admits(n int64) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.last.free-sp.written-n > 2*sp.floor() && time.Since(sp.at) < measureEvery {
		return true
	}
	if time.Since(sp.at) >= measureEvery/10 && sp.measureLocked() != nil {
		return false
	}
	return sp.last.free-sp.written-n > sp.floor()
}

func (sp *space) wrote(n int64) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.written += n
}

// forget has the disk measured again before anything is written.
func (sp *space) forget() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.at = time.Time{}
}

func (sp *space) snapshot() (m measured, full bool) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return sp.last, sp.full
}

func (sp *space) measureLocked() error {
	m, err := measure(sp.dir)
	if err != nil {
		return err
	}
	sp.last, sp.at, sp.written = m, time.Now(), 0
	return nil
}

// measure asks the file system. Files are counted by the blocks that they really occupy: most of
// Badger's are sparse.
func measure(dir string) (measured, error) {
	var m measured
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return m, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	m.free, m.total = int64(st.Bavail)*int64(st.Bsize), int64(st.Blocks)*int64(st.Bsize)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return ignoreGone(err)
		}
		if path == filepath.Join(dir, ballastFile) {
			return nil // a part of the reserve
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreGone(err)
		}
		bytes := info.Size()
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes = int64(stat.Blocks) * 512
		}
		m.used += bytes
		if filepath.Ext(path) == ".vlog" {
			m.vlogs += bytes
		}
		return nil
	})
	return m, err
}

// ignoreGone passes over files that Badger removed while we looked.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
