package journal

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// levels says from which level on entries are taken. It is asked for every one of them, most of which
// are below it.
type levels struct {
	base atomic.Int64 // a slog.Level
	over atomic.Pointer[Override]
	turn sync.Mutex // one change at a time
}

// Override is a level that counts for a while instead of the usual one.
type Override struct {
	Level slog.Level
	Part  string // for which; empty: all
	Until time.Time
}

func (l *levels) enabled(part string, level slog.Level) bool {
	if o := l.override(); o != nil && (o.Part == "" || o.Part == part) {
		return level >= o.Level
	}
	return level >= slog.Level(l.base.Load())
}

// override is the one that counts now. Nothing has to wake up to end it.
func (l *levels) override() *Override {
	if o := l.over.Load(); o != nil && time.Now().Before(o.Until) {
		return o
	}
	return nil
}

// SetLevel sets the usual level.
func (j *Journal) SetLevel(level slog.Level) { j.levels.base.Store(int64(level)) }

// Override lets another level count for a time, in which the last override counts alone; no time ends
// the one that counts.
func (j *Journal) Override(level slog.Level, part string, during time.Duration) {
	j.levels.turn.Lock()
	defer j.levels.turn.Unlock()
	if during <= 0 {
		j.levels.over.Store(nil)
		return
	}
	j.levels.over.Store(&Override{level, part, time.Now().Add(during)})
}

// Level gives the usual level, and the override that counts now, nil for none.
func (j *Journal) Level() (usual slog.Level, now *Override) {
	return slog.Level(j.levels.base.Load()), j.levels.override()
}
