// Package gateway assembles the parts into one appliance: it opens the log, builds what the
// configuration asks for, swaps it when the configuration changes and stops everything in order. It
// is the one package that knows all the others.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/collectors"
	drivers "sluice/collectors/all"
	"sluice/collectors/bus"
	"sluice/firmware"
	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/journal"
	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/queue/durable"
	"sluice/store"
	"sluice/web"
)

// Options is what a gateway is made from besides its configuration.
type Options struct {
	Config *config.Config
	// Path is the configuration's file, into which changes are written; empty: none can be made. Config is
	// what it said. An unconfirmed change of an earlier run is taken back first, in the file too.
	Path    string
	Version string
	Log     *slog.Logger
	// AdminPassword becomes the administrator's on a data directory that has none yet.
	AdminPassword string
	// GivenCode is the one-time code of a gateway without a password, as its label says; empty: one is made
	// at each start.
	GivenCode string
	// SetupCode is called with the one-time code of a gateway without a password.
	SetupCode func(code string)
	// CodeFile is a file that has the one-time code while there is no password; empty: none has.
	CodeFile string
	// ResetFile is the marker after which somebody else removes all data and starts the machine anew; empty:
	// the gateway removes its own data at its next start, which needs Restarts.
	ResetFile string
	// Volatile says that what this run keeps lies in memory, as the disk that it belongs on is lost.
	Volatile bool
	// Built is when the program was built: it cannot be earlier. Zero: not known.
	Built time.Time
	// Fingerprint is called with the SHA-256 of the certificate that the gateway made itself, whenever
	// the page begins to show it.
	Fingerprint func(fingerprint string)
	// Journal keeps what goes to Log, for the page and for syslog; nil: neither has it. Level is the
	// level that counts instead of the configured one, empty: none does.
	Journal *journal.Journal
	Level   string
	// Restarts says that whoever calls Run runs a new gateway when it ends with ErrRestarting.
	Restarts bool
	// Firmware updates the system that the gateway runs on, which Release names; nil: nobody does.
	Firmware *firmware.Updater
	Release  firmware.Release
	// Line and Demo are the demo's simulated line and what its cloud has seen; nil elsewhere.
	Line web.Line
	Demo func() *web.Demo
}

// Gateway is one running appliance. Its methods may be called from any goroutine.
type Gateway struct {
	options  Options
	log      *slog.Logger
	started  time.Time
	store    *store.Store
	admin    *store.Admin
	broker   *broker.Broker
	queues   *queue.Queues
	buses    *bus.Set
	drivers  map[string]collectors.Driver // made once: those that listen share their addresses among devices
	parts    *supervisor
	watcher  *watcher
	searches *searches
	outages  *outages
	tracer   *tracer
	lines    *fieldLines
	trials   *trials

	configurator *configurator
	network      *machineNetwork

	gaps     *gaps
	readable readable
	clock    *clock
	floor    *floor
	usage    usage
	restarts chan struct{} // one place
	setup    string        // the one-time code, empty when there is a password
	applying sync.Mutex
	begun    atomic.Bool // every part was started

	mu     sync.Mutex // guards what follows
	config *config.Config
	placed []placed // in the order of the configuration
	backup web.Backup
	// restore is the one that runs or has failed; how those that were settled stand is in the folder.
	restore web.Restore
	closed  bool
}

// New opens the data directory and every listener, so that what is wrong shows before anything
// runs. The gateway does nothing until Run.
func New(options Options) (*Gateway, error) {
	c := options.Config
	limits := c.Store
	gaps := newGaps(options.Log)
	var queues atomic.Pointer[queue.Queues]
	buses, err := bus.NewSet(nil)
	if err != nil {
		return nil, fmt.Errorf("make the lines to devices: %w", err)
	}
	buses.Log = options.Log.With("part", "buses")
	log, admin, err := openData(options, store.Options{
		Dir:           limits.Dir,
		Limit:         int64(limits.Limit),
		Profile:       store.Profile(limits.Profile),
		RetentionAge:  time.Duration(limits.Retention.Age),
		RetentionSize: int64(limits.Retention.Size),
		DropOldest:    limits.WhenFull == "drop-oldest",
		Urgent:        urgent,
		Passed: func() message.Position {
			if q := queues.Load(); q != nil {
				return q.Passed()
			}
			return 0 // it is about to be made
		},
		Inbound:   inbound,
		RetainFor: retainFor,
		OnGap:     gaps.put,
		Logger:    options.Log.With("part", "store"),
	})
	if err != nil {
		return nil, err
	}
	floor, err := newFloor(options.Built, lastTime(log), limits.Dir)
	if err != nil {
		options.Log.Warn("what an earlier run knew of the time is lost", "err", err)
	}
	g := &Gateway{
		options: options,
		floor:   floor,
		log:     options.Log,
		started: time.Now(),
		store:   log,
		admin:   admin,
		broker:  broker.New(durableLog{log}),
		queues:  queue.New(durable.Log{Store: log, Idle: store.DefaultGroupIdle}, queue.Options{Log: options.Log.With("part", "queues"), Clock: floor.stamp}),
		buses:   buses,
		drivers: drivers.Drivers(buses, options.Log),
		gaps:    gaps,
		clock:   machineClock(),
		parts:   newSupervisor(options.Log),

		restarts: make(chan struct{}, 1),
	}
	g.broker.StampBy(floor.stamp)
	g.readable.log = options.Log.With("part", "queues")
	queues.Store(g.queues)
	if err := (backend{g.broker, g.store}).sleepAll(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the sessions: %w", err), g.Close())
	}
	g.watcher = newWatcher(g)
	g.searches = &searches{gateway: g}
	g.outages = &outages{gateway: g, last: map[string]*outage{}}
	g.tracer = &tracer{gateway: g}
	g.lines = newFieldLines(g)
	g.trials = newTrials(g)
	g.configurator = newConfigurator(g)
	g.network = newNetwork(g)
	if err := g.prepareAdmin(); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	c, author := g.configurator.recovered(c)
	if err := g.Apply(c, author); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Run runs the gateway until ctx ends, then stops it in the order in which messages travel, so
// that everything acknowledged is on disk when it returns. A part that fails ends it too, and a restart
// that somebody asks for: with ErrRestarting.
func (g *Gateway) Run(ctx context.Context) error {
	g.parts.start(partStore, g.store.Run)
	g.parts.start("broker", g.broker.Run)
	g.parts.start("queues", g.queues.Run)
	g.parts.start("sessions", backend{g.broker, g.store}.tend)
	g.parts.start("buses", g.buses.Run)
	g.parts.start("watcher", g.watcher.Run)
	g.parts.start("searches", g.searches.Run)
	g.parts.start("configurator", g.configurator.run)
	g.parts.start("network", g.network.Run)
	g.parts.start("clock", func(ctx context.Context) error {
		g.floor.run(ctx, g.clock.right, g.askClouds, func(err error) { g.log.Warn("the clock's floor could not be written", "err", err) })
		return nil
	})
	g.parts.start("gaps", func(ctx context.Context) error {
		return g.gaps.run(ctx, func() string { return g.Config().Gateway.Name }, g.broker)
	})
	g.parts.start("restore", restorer{g}.prove)
	if g.options.Firmware != nil {
		g.parts.start(partFirmware, firmwarePart{g, g.options.Firmware}.run)
	}
	g.mu.Lock()
	for _, p := range g.placed {
		g.parts.start(p.name, p.part.Run)
	}
	g.mu.Unlock()
	g.begun.Store(true)
	g.log.Info("the gateway runs", "gateway", g.Config().Gateway.Name, "version", g.options.Version)

	var err error
	select {
	case <-ctx.Done():
	case <-g.restarts:
		err = ErrRestarting
		g.log.Info("the gateway stops in order to start anew")
	case err = <-g.parts.died:
		g.log.Error("the gateway stops because a part failed", "err", err)
	}
	g.applying.Lock() // a change that is being applied ends first, and none begins after it
	defer g.applying.Unlock()
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.parts.stopAll(partStore) // producers and senders first: the log takes what they still have
	g.parts.stopAll()
	return errors.Join(err, g.Close())
}

// Close lets go of the data directory and the listeners of a gateway that does not run.
func (g *Gateway) Close() error {
	g.mu.Lock()
	for _, p := range g.placed {
		p.part.Close()
	}
	g.placed = nil
	g.mu.Unlock()
	return errors.Join(g.buses.Close(), g.store.Close(), g.admin.Close())
}

// Config is the configuration that runs.
func (g *Gateway) Config() *config.Config {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.config
}

// Broker is the gateway's broker, for those who embed a gateway: the demo.
func (g *Gateway) Broker() *broker.Broker { return g.broker }

const partStore = "store"

// urgent messages are taken by a full log too: it is with commands that a person puts things right, and a
// log that was full before an update says nothing against the update.
func urgent(m *message.Message) bool {
	return strings.HasPrefix(m.Topic, "commands/") || strings.HasPrefix(m.Topic, "replies/") || m.Topic == probeTopic
}
