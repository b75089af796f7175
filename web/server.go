package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/net/netutil"
)

const (
	maxConnections = 256              // more wait in the kernel's backlog
	maxListeners   = 16               // pages that watch at once; more are answered 503
	maxHeader      = 16 << 10         // bytes of request headers
	requestTime    = 30 * time.Second // to read a request, and to write its answer
	graceTime      = 1500 * time.Millisecond
)

// Options is what the server needs. Listen, Gateway and Accounts are required.
type Options struct {
	Listen    string // host:port
	Gateway   Gateway
	Line      Line // nil outside the demo
	Accounts  Accounts
	Keeper    Keeper   // nil: no backups, no records of the past
	Messages  Messages // nil: nothing is told of messages
	Uplinks   Uplinks  // nil: uplinks are neither tested nor is what they set aside listed
	Buses     Buses    // nil: nothing is told of the lines to devices
	Searches  Searches // nil: nothing can be searched
	Points    Points   // nil: nothing is told of how devices are asked, nor of profiles
	Trends    Trends   // nil: nothing is told of what points were
	SetupCode string   // one-time code that sets the first password; empty refuses set-up
	Version   string
	Log       *slog.Logger
}

// Server answers the API and serves the page.
type Server struct {
	options  Options
	log      *slog.Logger
	handler  http.Handler
	sessions *sessions
	logins   *loginGuard
	audit    func(Audit) error
	setup    sync.Mutex // one set-up at a time, so that the code works once
	streams  chan struct{}
	tests    chan struct{} // one place: an uplink's test opens connections
	imports  chan struct{} // one place: a file with points takes memory

	inspections chan struct{} // a place for each device that is looked at

	stopping chan struct{} // closed when Run stops: ends the event streams
	stopOnce sync.Once
	listener net.Listener
}

// New prepares a server; it opens nothing.
func New(options Options) (*Server, error) {
	if options.Gateway == nil || options.Accounts == nil {
		panic("bug: web.New needs a gateway and accounts")
	}
	if _, _, err := net.SplitHostPort(options.Listen); err != nil {
		return nil, fmt.Errorf("web listen address %q: %w", options.Listen, err)
	}
	pages, err := openPage(dist())
	if err != nil {
		return nil, fmt.Errorf("open the embedded page: %w", err)
	}
	s := &Server{
		options:  options,
		log:      options.Log,
		sessions: newSessions(),
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

func (s *Server) routes(pages *page) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	// The address that log-in attempts are counted by is the peer's, not what a header claims.
	if err := engine.SetTrustedProxies(nil); err != nil {
		return nil, fmt.Errorf("trust no proxies: %w", err)
	}
	engine.Use(s.recovery, secureHeaders, limitBody)

	engine.GET("/healthz", s.healthz)
	engine.GET("/readyz", s.readyz)
	engine.GET("/metrics", s.metrics)

	api := engine.Group("/api/v1")
	api.GET("/openapi.json", openAPI)
	api.GET("/session", s.whoAmI)
	api.POST("/session", sameSite, s.signIn)
	api.POST("/setup", sameSite, s.setUp)

	signedIn := api.Group("", s.authenticate)
	signedIn.DELETE("/session", s.signOut)
	signedIn.GET("/status", s.status)
	signedIn.GET("/events", s.events)
	if s.options.Line != nil {
		signedIn.GET("/demo/line", s.line)
		signedIn.PUT("/demo/line", operatorsOnly, s.setLine)
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

	if s.options.Buses != nil {
		s.busRoutes(signedIn)
	}
	if s.options.Searches != nil {
		s.searchRoutes(signedIn)
	}
	if s.options.Points != nil {
		s.pointRoutes(signedIn)
	}
	if s.options.Trends != nil {
		s.trendRoutes(signedIn)
	}

	engine.NoRoute(pages.serve)
	engine.NoMethod(func(c *gin.Context) {
		refuse(c, problem{Status: http.StatusMethodNotAllowed, Detail: c.Request.Method + " does not work here; see the Allow header"})
	})
	return engine, nil
}

// Listen opens the port, so that a port in use is known before the gateway starts.
func (s *Server) Listen() error {
	listener, err := net.Listen("tcp", s.options.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the page cannot listen on %s: another program uses that port", s.options.Listen)
	}
	if err != nil {
		return fmt.Errorf("the page cannot listen on %s: %w", s.options.Listen, err)
	}
	s.listener = listener
	return nil
}

// Close gives the port back. Run does so itself; Close is for a server that never ran.
func (s *Server) Close() {
	if s.listener != nil {
		s.listener.Close()
	}
}

// Addr is where the server listens, nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx ends, then lets requests in progress finish for at most two seconds. It may
// be called once; it calls Listen if that has not been done.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { failed <- server.Serve(netutil.LimitListener(s.listener, maxConnections)) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve the page on %s: %w", s.listener.Addr(), err)
	}
	s.stopOnce.Do(func() { close(s.stopping) })
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close() // whoever is still here is cut off
	}
	return err
}
