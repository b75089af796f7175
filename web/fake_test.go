package web

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// fakeGateway moves as a gateway does: devices are polled, the log grows, the cloud is behind while
// its line is cut and catches up afterwards.
type fakeGateway struct {
	mu       sync.Mutex // guards what follows
	started  time.Time
	last     time.Time
	logged   float64
	sent     float64
	lineUp   bool
	lineTurn time.Time
	rate     float64
	broken   error
	change   func(*Status) // what a test wants to be otherwise
	keeper   fakeKeeper
	messages fakeMessages
	uplinks  fakeUplinks
	points   fakePoints
	alarms   fakeAlarms
	outages  fakeOutages

	certificates fakeCertificates
	trends       fakeTrends
	firstRun     fakeFirstRun
	clock        fakeClock
	system       fakeSystem
	logs         fakeLogs
	restorer     fakeRestorer
	network      fakeNetwork
	firmware     fakeFirmware
}

const (
	fakeInto  = 20.0  // messages a second into the log
	fakeDrain = 120.0 // messages a second that the cloud takes
)

func newFakeGateway() *fakeGateway {
	now := time.Now()
	return &fakeGateway{started: now, last: now, lineUp: true, lineTurn: now, logged: 48_210, sent: 48_210}
}

func (g *fakeGateway) Up() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lineUp
}

func (g *fakeGateway) SetUp(up bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.moveLocked()
	if up != g.lineUp {
		g.lineUp, g.lineTurn = up, time.Now()
	}
}

func (g *fakeGateway) Ready() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.broken
}

func (g *fakeGateway) breakDown(parts string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken = errors.New(parts)
}

func (g *fakeGateway) moveLocked() {
	now := time.Now()
	passed := now.Sub(g.last).Seconds()
	g.last = now
	g.logged += fakeInto * passed
	before := g.sent
	if g.lineUp {
		g.sent = min(g.logged, g.sent+fakeDrain*passed)
	}
	if passed > 0.2 {
		g.rate = (g.sent - before) / passed
	}
}

func (g *fakeGateway) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.moveLocked()
	now := g.last
	age := now.Sub(g.started).Seconds()
	ago := func(seconds float64) *time.Time {
		t := now.Add(-time.Duration(seconds * float64(time.Second)))
		return &t
	}
	logged, backlog := uint64(g.logged), uint64(g.logged)-uint64(g.sent)
	polls := uint64(age * 10)
	status := Status{
		Gateway: "line-3", Version: "0.1.0", Started: g.started,
		Devices: []Device{
			{Name: "press", Driver: "modbus", Address: "tcp://192.168.10.21:502", State: "online", Since: g.started, Interval: 1000, Lamps: Lamps{"good", "good", "good"},
				Polls: 18_402 + polls, Failures: 3, Readings: 18_399 + polls, Seq: 18_399 + polls, LastPoll: ago(0.1),
				Points: []Point{
					{Name: "temperature", Unit: "°C", Value: math.Round((64+6*math.Sin(age/7))*10) / 10},
					{Name: "pressure", Unit: "bar", Value: math.Round((182+11*math.Sin(age/3))*10) / 10},
					{Name: "counter", Value: 120_455 + polls/14},
					{Name: "running", Value: true},
					{Name: "recipe", Value: "B-114"},
				}},
			{Name: "furnace", Driver: "modbus", Address: "tcp://192.168.10.22:502", State: "degraded", Since: g.started.Add(-40 * time.Minute), Interval: 1000, Lamps: Lamps{"good", "good", "bad"},
				LastError: "zone_2 at holding 40: exception 2: illegal data address",
				Polls:     9_120 + polls/2, Failures: 0, Readings: 9_120 + polls/2, Seq: 9_120 + polls/2, LastPoll: ago(0.4),
				Points: []Point{
					{Name: "zone_1", Unit: "°C", Value: math.Round((845+4*math.Sin(age/11))*10) / 10},
					{Name: "zone_2", Unit: "°C", Error: "exception 2: illegal data address"},
					{Name: "power", Unit: "kW", Value: math.Round((37+2*math.Sin(age/5))*100) / 100},
				}},
			{Name: "meter", Driver: "dlt645", Address: "/dev/ttyS1 · 000012345678", State: "online", Since: g.started, Interval: 1000, Lamps: Lamps{"good", "good", "good"},
				Polls: 1_840 + polls/10, Failures: 1, Readings: 1_839 + polls/10, Seq: 1_839 + polls/10, LastPoll: ago(0.8),
				Points: []Point{
					{Name: "energy", Unit: "kWh", Value: math.Round((18_422.61+age/90)*100) / 100},
					{Name: "voltage_a", Unit: "V", Value: math.Round((229.8+math.Sin(age/2))*10) / 10},
					{Name: "current_a", Unit: "A", Value: math.Round((14.2+math.Sin(age))*100) / 100},
				}},
			{Name: "conveyor", Driver: "modbus", Address: "tcp://192.168.10.25:502", State: "offline", Since: g.started.Add(-3 * time.Minute), Interval: 1000, Lamps: Lamps{"good", "bad", "unknown"},
				LastError: "connect to 192.168.10.25:502: no route to host; next try in 14 s", Polls: 2_200, Failures: 61, Readings: 2_139, Seq: 2_139, LastPoll: ago(200),
				Points: []Point{{Name: "speed", Unit: "m/s"}, {Name: "load", Unit: "%"}}},
		},
		Uplinks: []Uplink{{
			Name: "cloud", Driver: "mqtt", Address: "mqtts://iot.example.com:8883", State: "online", Since: g.lineTurn,
			Tries: 1, Backlog: backlog, BacklogBytes: int64(backlog) * 71, InFlight: int(min(backlog, 64)), Sent: uint64(g.sent), Rate: g.rate,
			Routes: []UplinkRoute{
				{From: "readings/#", To: "plants/{topic}", Order: "live-first", Bytes: int64(backlog) * 71, Lanes: []UplinkLane{
					{Name: "live", Backlog: min(backlog, 12)}, {Name: "backfill", Backlog: backlog - min(backlog, 12)},
				}},
				{From: "alarms/#", To: "plants/{topic}", Order: "strict", Lanes: []UplinkLane{{Name: "all"}}},
			},
		}},
		Log: Log{State: "ok", Messages: logged, Bytes: int64(g.logged * 71), Limit: 512 << 20, First: 1, Last: logged, Oldest: ago(2400), Rate: fakeInto,
			Expired: 1, Cursors: g.keeper.kept([]Cursor{
				{Name: "uplink/old-cloud/readings/#", Position: 17, Messages: logged - 17, Bytes: int64(g.logged * 71), Oldest: ago(2400), IdleSince: ago(86_400)},
				{Name: "mqtt/panel-7", Position: 31_044, Messages: logged - 31_044, Bytes: int64(g.logged-31_044) * 71, Oldest: ago(850), IdleSince: ago(4000), Expires: ago(4000 - 7*86_400)},
				{Name: "uplink/cloud/readings/#", Position: uint64(g.sent), Messages: backlog, Bytes: int64(backlog) * 71, InUse: true},
			})},
		MQTT: MQTT{
			Listen: []string{"127.0.0.1:1883"}, Connections: 2, Received: 412, Delivered: logged / 2, Sleeping: 1, Unwelcome: 7,
		},
		Demo: &Demo{LineUp: g.lineUp, Received: uint64(g.sent)},
	}
	for _, c := range status.Log.Cursors {
		if c.Name == "uplink/old-cloud/readings/#" {
			status.Abandoned = []Abandoned{{Uplink: "old-cloud", From: "readings/#", Gone: true, Cursor: c.Name, Messages: c.Messages, Bytes: c.Bytes, Oldest: c.Oldest}}
		}
	}
	status.Log.CursorsTotal = len(status.Log.Cursors)
	up := &status.Uplinks[0]
	if !g.lineUp {
		up.State, up.InFlight = "waiting", 0
		next := now.Add(3 * time.Second)
		up.Failed, up.Tries, up.NextTry = 4, 5, &next
		up.LastError = "connect to iot.example.com:8883: no answer in time; is the line up? (i/o timeout)"
	}
	if backlog > 0 {
		up.Oldest = ago(float64(backlog) / fakeInto)
		status.Log.Cursors[len(status.Log.Cursors)-1].Oldest = up.Oldest
	}
	if backlog > 40 && g.lineUp {
		drain := float64(backlog) / (fakeDrain - fakeInto)
		up.Drain = &drain
	}
	if g.change != nil {
		g.change(&status)
	}
	return status
}

// fakeAccounts keeps users in memory.
type fakeAccounts struct {
	mu     sync.Mutex // guards what follows
	users  map[string]fakeUser
	tokens []Token
	err    error

	sessions []KeptSession
	writes   int   // of sessions
	full     error // what writing sessions gives
}

func (a *fakeAccounts) Sessions() ([]KeptSession, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.sessions), nil
}

func (a *fakeAccounts) SetSessions(sessions []KeptSession) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writes++
	if a.full == nil {
		// As a disk keeps times: without the monotonic clock.
		a.sessions = nil
		for _, each := range sessions {
			each.Created, each.Used, each.Expires = each.Created.Round(0), each.Used.Round(0), each.Expires.Round(0)
			a.sessions = append(a.sessions, each)
		}
	}
	return a.full
}

func (a *fakeAccounts) Users() (list []User, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, u := range a.users {
		list = append(list, User{Name: name, Role: u.role})
	}
	slices.SortFunc(list, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	return list, a.err
}

func (a *fakeAccounts) RemoveUser(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.users[name]; !known {
		return ErrUnknown
	}
	delete(a.users, name)
	return a.err
}

func (a *fakeAccounts) Tokens() ([]Token, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.tokens), nil
}

func (a *fakeAccounts) SetTokens(tokens []Token) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.tokens = slices.Clone(tokens)
	}
	return a.err
}

type fakeUser struct {
	hash []byte
	role string
}

func (a *fakeAccounts) Password(user string) (hash []byte, role string, found bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u, found := a.users[user]
	return u.hash, u.role, found, a.err
}

func (a *fakeAccounts) SetPassword(user string, hash []byte, role string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users == nil {
		a.users = map[string]fakeUser{}
	}
	a.users[user] = fakeUser{hash, role}
	return a.err
}
