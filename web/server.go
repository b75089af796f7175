package web

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	maxConnections = 256              // more wait in the kernel's backlog
	maxListeners   = 16               // pages that watch at once; more are answered 503
	maxHeader      = 16 << 10         // bytes of request headers
	requestTime    = 30 * time.Second // to read a request, and to write its answer
	graceTime      = 1500 * time.Millisecond
)

// Options is what the server needs. Gateway, Accounts and an address are required.
type Options struct {
	Listen   string // host:port without TLS; empty: none
	TLS      *TLS   // nil: none
	Gateway  Gateway
	Line     Line // nil outside the demo
	Accounts Accounts

	// The parts of the gateway that may be missing: then they are nil, and so are their routes.
	Keeper       Keeper
	Messages     Messages
	Uplinks      Uplinks
	Clouds       Clouds
	Outages      Outages
	Tracer       Tracer
	Buses        Buses
	Searches     Searches
	Alarms       Alarms // nil: nothing is told of alarms
	Certificates Certificates
	Points       Points
	Devices      Devices
	Trends       Trends
	Configurator Configurator
	FirstRun     FirstRun
	Clock        Clock
	System       System
	Network      Network
	Resetter     Resetter
	Logs         Logs
	Restorer     Restorer
	Firmware     Firmware

	SetupCode string // one-time code that sets the first password; empty refuses set-up
	Version   string
	Log       *slog.Logger
}

// Server answers the API and serves the page.
type Server struct {
	options  Options
	log      *slog.Logger
	handler  http.Handler
	sessions *sessions
	requests *requests
	tokens   *tokens
	logins   *loginGuard
	accounts sync.Mutex // one change of users or tokens at a time
	audit    func(Audit) error
	setup    sync.Mutex // one set-up at a time, so that the code works once
	streams  chan struct{}
	tests    chan struct{} // one place: an uplink's test opens connections
	imports  chan struct{} // one place: a file with points takes memory

	inspections chan struct{} // a place for each device that is looked at

	stopping chan struct{} // closed when Run stops: ends the event streams
	stopOnce sync.Once
	before   *Server      // whose sockets it takes over, until Run
	listener net.Listener // without TLS, may be nil
	secure   net.Listener // with TLS, may be nil
}

// New prepares a server; it opens nothing.
func New(options Options) (*Server, error) {
	if options.Gateway == nil || options.Accounts == nil {
		panic("bug: web.New needs a gateway and accounts")
	}
	addresses := []string{options.Listen}
	if options.TLS != nil {
		if addresses = append(addresses, options.TLS.Listen); options.Listen == "" {
			addresses = addresses[1:]
		}
	}
	for _, address := range addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("web listen address %q: %w", address, err)
		}
	}
	pages, err := openPage(dist())
	if err != nil {
		return nil, fmt.Errorf("open the embedded page: %w", err)
	}
	s := &Server{
		options:  options,
		log:      options.Log,
		requests: newRequests(),
		tokens:   &tokens{},
		logins:   newLoginGuard(),
		streams:  make(chan struct{}, maxListeners),
		tests:    make(chan struct{}, 1),
		imports:  make(chan struct{}, 1),
		stopping: make(chan struct{}),

		inspections: make(chan struct{}, maxInspected),
	}
	if s.options.Keeper == nil {
		s.audit = func(Audit) error { return nil }
	} else {
		s.audit = s.options.Keeper.Record
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	known, err := options.Accounts.Tokens()
	if err != nil {
		return nil, err
	}
	s.tokens.set(known)
	if s.sessions, err = openSessions(options.Accounts, s.log); err != nil {
		return nil, err
	}
	engine, err := s.routes(pages)
	if err != nil {
		return nil, err
	}
	s.handler = engine
	return s, nil
}

// dist is the folder that the page was built into.
func dist() fs.FS {
	sub, err := fs.Sub(embedded, "ui/dist")
	if err != nil {
		panic("bug: ui/dist is not embedded: " + err.Error())
	}
	return sub
}

// silence turns off what gin prints. Its mode is a variable that requests read, so it is set once.
var silence = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

func (s *Server) routes(pages *page) (*gin.Engine, error) {
	silence()
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	// The address that log-in attempts are counted by is the peer's, not what a header claims.
	if err := engine.SetTrustedProxies(nil); err != nil {
		return nil, fmt.Errorf("trust no proxies: %w", err)
	}
	engine.Use(s.recovery, s.secureHeaders, limitBody)

	engine.GET("/healthz", s.healthz)
	engine.GET("/readyz", s.readyz)
	engine.GET("/metrics", s.metrics)

	api := engine.Group("/api/v1")
	api.GET("/openapi.json", openAPI)
	api.GET("/session", s.whoAmI)
	api.POST("/session", sameSite, s.signIn)
	api.POST("/setup", sameSite, s.setUp)
	api.GET("/setup", s.setupState)

	signedIn := api.Group("", s.authenticate)
	signedIn.DELETE("/session", s.signOut)
	s.userRoutes(signedIn)
	s.tokenRoutes(signedIn)
	signedIn.GET("/status", s.status)
	signedIn.GET("/events", s.events)
	if s.options.Line != nil {
		signedIn.GET("/demo/line", s.line)
		signedIn.PUT("/demo/line", operatorsOnly, s.setLine)
	}

	if s.options.Certificates != nil {
		s.certificateRoutes(signedIn)
	}
	if s.options.Keeper != nil {
		s.keeperRoutes(signedIn)
	}
	if s.options.Messages != nil {
		s.messageRoutes(signedIn)
	}
	if s.options.Uplinks != nil {
		signedIn.GET("/uplinks/:name/aside", s.aside)
		signedIn.POST("/uplinks/:name/test", operatorsOnly, s.testUplink)
	}
	if s.options.Clouds != nil {
		s.cloudRoutes(signedIn)
	}
	if s.options.Outages != nil {
		s.outageRoutes(signedIn)
	}
	if s.options.Tracer != nil {
		signedIn.GET("/trace", s.trace)
	}

	if s.options.Buses != nil {
		s.busRoutes(signedIn)
	}
	if s.options.Searches != nil {
		s.searchRoutes(signedIn)
	}
	if s.options.Alarms != nil {
		s.alarmRoutes(signedIn)
	}
	if s.options.Points != nil {
		s.pointRoutes(signedIn)
	}
	if s.options.Configurator != nil {
		s.configRoutes(signedIn)
	}

	if s.options.Devices != nil {
		s.deviceRoutes(signedIn)
	}
	if s.options.Trends != nil {
		s.trendRoutes(signedIn)
	}
	if s.options.FirstRun != nil {
		signedIn.PUT("/setup/checklist", administratorsOnly, s.keepChecklist)
	}
	if s.options.Clock != nil {
		signedIn.GET("/time", s.time)
		signedIn.PUT("/time", administratorsOnly, s.setTime)
	}
	if s.options.System != nil {
		s.systemRoutes(signedIn)
	}
	if s.options.Network != nil {
		s.networkRoutes(signedIn)
	}
	if s.options.Resetter != nil {
		signedIn.POST("/reset", administratorsOnly, s.reset)
	}
	if s.options.Logs != nil {
		s.logRoutes(signedIn)
	}
	if s.options.Restorer != nil {
		s.restoreRoutes(signedIn)
	}
	if s.options.Firmware != nil {
		s.firmwareRoutes(signedIn)
	}

	engine.NoRoute(pages.serve)
	engine.NoMethod(func(c *gin.Context) {
		refuse(c, problem{Status: http.StatusMethodNotAllowed, Detail: c.Request.Method + " does not work here; see the Allow header"})
	})
	return engine, nil
}
