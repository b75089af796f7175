package collectors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/gateway/message"
)

// The states of a device. Online, Degraded and Offline say how the device answers and are published
// on status/…; Starting and Paused are only shown.
const (
	Starting = "starting" // not polled yet
	Online   = "online"   // every point was read
	Degraded = "degraded" // it answers, but some points fail
	Offline  = "offline"  // it does not answer
	Paused   = "paused"   // the log takes no more readings
)

// State is what a Poller shows of its device.
type State struct {
	State     string
	Since     time.Time // of State
	LastError string    // why State is not Online
	Polls     uint64
	Failures  uint64 // polls without a reading
	Readings  uint64 // readings that are durable since the start
	Seq       uint64 // of the last durable reading
	LastPoll  time.Time
	Points    []Point // as the last reading gave them
}

// Point is one point as the last reading gave it.
type Point struct {
	Name, Unit string
	Writable   bool // commands may write it
	Value      message.Value
	Error      string
}

// board keeps what State shows.
type board struct {
	mu        sync.Mutex // guards what follows
	condition string     // how the device answers
	problem   string     // why condition is not Online
	blocked   string     // why the log takes nothing; "" when it does
	shown     string
	since     time.Time
	polls     uint64
	failures  uint64
	lastPoll  time.Time
	points    []Point
	index     map[string]int // of points by their names
}

// State may be called from any goroutine at any time. The copy is the caller's.
func (p *Poller) State() State {
	p.receipts.mu.Lock()
	readings, seq := p.receipts.readings, p.receipts.lastSeq
	p.receipts.mu.Unlock()

	b := &p.board
	b.mu.Lock()
	defer b.mu.Unlock()
	s := State{
		State: b.shown, Since: b.since, LastError: b.problem,
		Polls: b.polls, Failures: b.failures, Readings: readings, Seq: seq,
		LastPoll: b.lastPoll, Points: slices.Clone(b.points),
	}
	if s.State == "" {
		s.State = Starting
	}
	if b.blocked != "" {
		s.LastError = b.blocked
	}
	return s
}

func (b *board) start(points []Spec, derived []Derived) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.condition, b.problem, b.blocked = "", "", ""
	b.points = make([]Point, 0, len(points)+len(derived))
	for _, p := range points {
		b.points = append(b.points, Point{Name: p.Name, Unit: p.Unit, Writable: p.Writable})
	}
	for _, d := range derived {
		b.points = append(b.points, Point{Name: d.Name, Unit: d.Unit})
	}
	b.index = make(map[string]int, len(b.points))
	for i := range b.points {
		b.index[b.points[i].Name] = i
	}
	b.showLocked()
}

// polled counts a poll that began at.
func (b *board) polled(at time.Time, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.polls++
	b.lastPoll = at
	if failed {
		b.failures++
	}
}

// answers records how the device answers and says whether that is news.
func (b *board) answers(condition, problem string) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed = b.condition != condition
	b.condition, b.problem = condition, problem
	b.showLocked()
	return changed
}

func (b *board) current() (condition, problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.condition, b.problem
}

// block records why the log takes nothing, "" when it does, and says whether that is news.
func (b *board) block(reason string) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed = (b.blocked == "") != (reason == "")
	b.blocked = reason
	b.showLocked()
	return changed
}

func (b *board) showLocked() {
	show := b.condition
	switch {
	case b.blocked != "":
		show = Paused
	case show == "":
		show = Starting
	}
	if show != b.shown {
		b.shown, b.since = show, time.Now()
	}
}

// keep copies points to their places: the reading that they are in is used again by the next poll.
func (b *board) keep(at []int, points []message.Point) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range points {
		shown := &b.points[at[i]]
		shown.Value, shown.Error = points[i].Value, points[i].Error
	}
}

// maxNamed bounds the points of a device that tells what it likes.
const maxNamed = 1000

// keepNamed is keep for points that nobody has announced.
func (b *board) keepNamed(points []message.Point) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range points {
		i, known := b.index[p.Name]
		if !known {
			if len(b.points) >= maxNamed {
				continue
			}
			i = len(b.points)
			b.index[p.Name] = i
			b.points = append(b.points, Point{Name: p.Name})
		}
		b.points[i].Value, b.points[i].Error = p.Value, p.Error
	}
}

// last gives what a point was read as, or why it was not.
func (b *board) last(name string) (value message.Value, problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := b.index[name]
	if !ok {
		return message.Value{}, "there is no such point"
	}
	return b.points[i].Value, b.points[i].Error
}

// judge tells from the points how the device answers.
func (b *board) judge() (state, problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return condition(b.points)
}

// nameFaults gives an error to every point that has no value to show, so that the state, the page and
// the reading agree on which points fail.
func nameFaults(points []message.Point) {
	for i := range points {
		p := &points[i]
		switch {
		case p.Error != "":
		case p.Value.Absent():
			p.Error = "no value"
		case !p.Value.Finite():
			p.Error = "not a finite number"
			if f, ok := p.Value.Float(); ok {
				p.Error = "the device sent " + strconv.FormatFloat(f, 'g', -1, 64)
			}
		default:
			continue
		}
		if !p.Held {
			p.Value = message.Value{}
		}
	}
}

// condition tells from the points as they were read last how the device answers.
func condition(points []Point) (state, problem string) {
	failed := 0
	for _, p := range points {
		if p.Error == "" {
			continue
		}
		if failed++; failed == 1 {
			problem = p.Name + ": " + p.Error
		}
	}
	switch failed {
	case 0:
		return Online, ""
	case 1:
		return Degraded, problem
	}
	return Degraded, fmt.Sprintf("%d of %d points failed, the first is %s", failed, len(points), problem)
}

// status is the payload of a message on status/{gateway}/{device}.
type status struct {
	Gateway string `json:"gateway"`
	Device  string `json:"device"`
	State   string `json:"state"`
	Error   string `json:"error,omitempty"`
	Time    int64  `json:"ts"`
	Clock   string `json:"clock,omitempty"`
}

func (s status) payload() []byte {
	s.Error = strings.ToValidUTF8(s.Error, "\uFFFD")
	encoded, err := json.Marshal(s)
	if err != nil {
		panic("bug: a status cannot fail to marshal: " + err.Error())
	}
	return encoded
}
