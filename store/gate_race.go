//go:build race

package store

import "sync"

// gate keeps commits and the collector apart, in builds with the race detector only. When a
// collection starts, Badger 4.9.6 reads the highest version of its memtable without the lock under
// which a commit writes it (value.go, rewrite: MaxVersion). What it reads may be a little old, which
// only makes it keep more; but the detector is right to report it, and hiding its reports would hide
// ours too.
type gate struct{ sync.Mutex }
