// Package web serves the HTTP API and the page. It hides gin, sessions and the embedded page, and
// knows the gateway only through the interfaces that it declares.
package web

import "time"

// Gateway is the running gateway as the page and the API see it. Its methods may be called from any
// goroutine and answer at once.
type Gateway interface {
	Status() Status
	// Ready is nil when every part runs, else it names those that do not.
	Ready() error
}

// Line is the simulated line to the cloud that only the demo has.
type Line interface {
	Up() bool
	SetUp(up bool)
}

// Status is the answer of GET /api/v1/status.
type Status struct {
	Gateway string    `json:"gateway"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Devices []Device  `json:"devices"`
	Uplinks []Uplink  `json:"uplinks"`
	// Abandoned are routes that are no longer configured although the log still keeps their backlog.
	Abandoned []Abandoned `json:"abandoned"`
	Log       Log         `json:"log"`
	Alarms    AlarmCount  `json:"alarms"`
	MQTT      MQTT        `json:"mqtt"`
	// RocketMQ is missing when there is no listener for it.
	RocketMQ *RocketMQ `json:"rocketmq,omitempty"`
	Demo     *Demo     `json:"demo,omitempty"`
}

// Device is one polled device.
type Device struct {
	Name      string     `json:"name"`
	Driver    string     `json:"driver"`
	Address   string     `json:"address"`
	State     string     `json:"state"` // starting, online, degraded (some points fail), offline, paused (log full)
	Since     time.Time  `json:"since"`
	LastError string     `json:"last_error,omitempty"`
	Polls     uint64     `json:"polls"`
	Failures  uint64     `json:"failures"`
	Readings  uint64     `json:"readings"` // readings that are durable
	Seq       uint64     `json:"seq"`
	LastPoll  *time.Time `json:"last_poll,omitempty"`
	Interval  float64    `json:"interval_ms"`
	Line      string     `json:"line,omitempty"` // the name of its line, where it has one
	Lamps     Lamps      `json:"lamps"`
	// Advice is what is wrong most likely and what to do about it, where that can be told.
	Advice *BusText `json:"advice,omitempty"`
	// PointsTotal and PointsFailing are set by the server from Points.
	PointsTotal   int     `json:"points_total"`
	PointsFailing int     `json:"points_failing"`
	Points        []Point `json:"points"` // empty where nobody asked for them
}

// Lamps show how far it is to a device's values: each is good, bad, or unknown, which it is behind a bad one.
type Lamps struct {
	Port   string `json:"port"`   // its line is open
	Frames string `json:"frames"` // it answered in the last poll
	Values string `json:"values"` // every point has a value
}

// Point is a device's point with what the last poll gave.
type Point struct {
	Name  string `json:"name"`
	Unit  string `json:"unit,omitempty"`
	Value any    `json:"value"` // a JSON scalar; null when there is none
	Error string `json:"error,omitempty"`
	// Writable says that commands may write it.
	Writable bool `json:"writable,omitempty"`
}

// Uplink is one way to a cloud.
type Uplink struct {
	Name      string     `json:"name"`
	Driver    string     `json:"driver"`
	Address   string     `json:"address"`
	State     string     `json:"state"` // connecting, online, waiting (for the next try)
	Since     time.Time  `json:"since"`
	LastError string     `json:"last_error,omitempty"`
	Tries     uint64     `json:"tries"`              // to connect, since the start
	Failed    int        `json:"failed"`             // of them, those in a row that have led to no connection
	NextTry   *time.Time `json:"next_try,omitempty"` // while one is waited for
	Backlog   uint64     `json:"backlog"`            // messages that wait for the cloud's acknowledgement
	// BacklogBytes is what the log keeps on disk for the slowest route.
	BacklogBytes int64         `json:"backlog_bytes"`
	Oldest       *time.Time    `json:"oldest,omitempty"`
	InFlight     int           `json:"in_flight"`
	Sent         uint64        `json:"sent"`      // acknowledged by the cloud since the start
	Repeated     uint64        `json:"repeated"`  // sent again after a lost connection
	SetAside     uint64        `json:"set_aside"` // kept under $dead/ because the cloud does not want them
	Stalls       uint64        `json:"stalls"`    // connections given up because nothing was acknowledged any more
	Looped       uint64        `json:"looped"`    // came down although they had been here before
	Rate         float64       `json:"rate"`      // acknowledged messages a second, over the last seconds
	Drain        *float64      `json:"drain_seconds,omitempty"`
	Routes       []UplinkRoute `json:"routes"`
}

// UplinkRoute is one stream of messages to a cloud.
type UplinkRoute struct {
	From  string       `json:"from"`
	To    string       `json:"to"`
	Order string       `json:"order"` // strict, live-first
	Bytes int64        `json:"bytes"` // what the log keeps for it on disk
	Lanes []UplinkLane `json:"lanes"`
}

// UplinkLane is a route, or one of the two halves of one that sends first what is new.
type UplinkLane struct {
	Name    string `json:"name"` // all; or live and backfill
	Backlog uint64 `json:"backlog"`
	// PausedUntil is when it may send again; missing while the configured hours let it.
	PausedUntil *time.Time `json:"paused_until,omitempty"`
}

// Abandoned is a route that has a place in the log but is not in the configuration any more. What it
// keeps stays until it is configured again or dropped.
type Abandoned struct {
	Uplink   string     `json:"uplink"`
	From     string     `json:"from"`
	Gone     bool       `json:"gone"`     // the whole uplink is
	Cursor   string     `json:"cursor"`   // the name to drop it by
	Messages uint64     `json:"messages"` // kept in the log, of all topics
	Bytes    int64      `json:"bytes"`
	Oldest   *time.Time `json:"oldest,omitempty"`
}

// Log is the durable log.
type Log struct {
	State    string     `json:"state"` // ok, full, failed
	Error    string     `json:"error,omitempty"`
	Messages uint64     `json:"messages"`
	Bytes    int64      `json:"bytes"`
	Limit    int64      `json:"limit"`
	First    uint64     `json:"first"`
	Last     uint64     `json:"last"`
	Oldest   *time.Time `json:"oldest,omitempty"`
	Rate     float64    `json:"rate"` // durable messages a second, over the last seconds
	Dropped  uint64     `json:"dropped"`
	// Volatile: it lies in memory, since the disk that it belongs on is lost.
	Volatile bool `json:"volatile"`
	// Cursors are those that keep most of the log, at most 100 of CursorsTotal.
	Cursors      []Cursor `json:"cursors"`
	CursorsTotal int      `json:"cursors_total"`
	Expired      uint64   `json:"cursors_expired"` // since the start
}

// Cursor is a named place in the log: what lies behind it cannot be trimmed.
type Cursor struct {
	Name      string     `json:"name"`
	Position  uint64     `json:"position"`
	Messages  uint64     `json:"messages"` // kept for it
	Bytes     int64      `json:"bytes"`    // of the blocks that they lie in
	Oldest    *time.Time `json:"oldest,omitempty"`
	InUse     bool       `json:"in_use"`
	IdleSince *time.Time `json:"idle_since,omitempty"`
	Expires   *time.Time `json:"expires,omitempty"` // when it goes if nobody uses it
}

// MQTT is the MQTT listener.
type MQTT struct {
	Listen      []string `json:"listen"`
	Connections int      `json:"connections"`
	Received    uint64   `json:"received"`
	Delivered   uint64   `json:"delivered"`
	Dropped     uint64   `json:"dropped"`
	Unreadable  uint64   `json:"unreadable"` // compressed by RocketMQ producers so that nobody else can read them
	Sleeping    int      `json:"sleeping"`   // sessions whose client is away
	Unwelcome   uint64   `json:"unwelcome"`  // clients refused for want of the right password or certificate
	Excess      uint64   `json:"excess"`     // connections refused because there were too many
}

// RocketMQ is the RocketMQ listener.
type RocketMQ struct {
	Listen      []string `json:"listen"`
	Keys        *bool    `json:"keys,omitempty"` // requests must be signed with an access key
	TLS         string   `json:"tls,omitempty"`  // off, beside (plain text), only
	Connections int      `json:"connections"`
	Received    uint64   `json:"received"`
	Delivered   uint64   `json:"delivered"`
	Groups      int      `json:"groups"`    // consumer groups with a client
	Producers   int      `json:"producers"` // producer groups with a client
	Waiting     int      `json:"waiting"`   // requests that wait for a message
	Unwelcome   uint64   `json:"unwelcome"` // requests without the right signature, or not allowed
	Excess      uint64   `json:"excess"`    // connections refused because there were too many
	// GRPC is what RocketMQ 5 clients do; missing when nothing listens for them.
	GRPC *RocketMQ5 `json:"grpc,omitempty"`
	// NameServers are those of the cluster that the gateway joins; missing when it joins none.
	NameServers []NameServer `json:"name_servers,omitempty"`
}

// RocketMQ5 is the listener for RocketMQ 5 clients.
type RocketMQ5 struct {
	Listen      string `json:"listen"`
	Connections int    `json:"connections"`
	Received    uint64 `json:"received"`
	Delivered   uint64 `json:"delivered"`
	Groups      int    `json:"groups"`    // consumer groups with a client
	Producers   int    `json:"producers"` // clients that send
	Waiting     int    `json:"waiting"`   // calls that wait for a message
	Unwelcome   uint64 `json:"unwelcome"` // calls without the right signature, or not allowed
	Excess      uint64 `json:"excess"`    // connections refused because there were too many
}

// NameServer is how the gateway stands with a name server of its RocketMQ cluster.
type NameServer struct {
	Address string    `json:"address"`
	State   string    `json:"state"` // connecting, registered, unreachable or refused
	Since   time.Time `json:"since"`
	Broker  string    `json:"broker,omitempty"` // where clients are told to find the gateway
	Error   string    `json:"error,omitempty"`
}

// Demo is what the demo's cloud has seen.
type Demo struct {
	LineUp     bool   `json:"line_up"`
	Received   uint64 `json:"received"`
	Gaps       uint64 `json:"gaps"`
	Duplicates uint64 `json:"duplicates"`
	Reordered  uint64 `json:"reordered"`
}
