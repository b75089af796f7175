package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// Buses shows the lines over which devices are asked: serial ports, and connections. Its methods may be
// called from any goroutine; ErrUnknown is their answer to a name that is none.
type Buses interface {
	List() []Bus
	// Frames gives what went over a bus after the frame with that number, as far as it is kept.
	Frames(name string, after uint64) ([]BusFrame, error)
	// Watch reports frames as they come, from after on, until ctx ends. A frame is reported anew when
	// its verdict changes.
	Watch(ctx context.Context, name string, after uint64, report func(BusFrame)) error
	// Capture writes what is kept as a file for Wireshark.
	Capture(name string, to io.Writer) error
}

// Bus is a line and how it does.
type Bus struct {
	Name      string      `json:"name"`
	Place     string      `json:"place"` // the port or address
	Open      bool        `json:"open"`
	Since     *time.Time  `json:"since,omitempty"` // of Open
	LastError string      `json:"last_error,omitempty"`
	Busy      float64     `json:"busy"`     // the share of the last minute in which somebody had the turn
	Waiting   int         `json:"waiting"`  // who wait for the turn
	Cycle     float64     `json:"cycle_ms"` // the longest time between two turns of one device, in the last minute
	Exchanges uint64      `json:"exchanges"`
	Failures  uint64      `json:"failures"`
	Noise     uint64      `json:"noise"`             // exchanges given up because bytes kept coming
	Echo      bool        `json:"echo"`              // the adapter hears itself
	HangUps   uint64      `json:"hang_ups"`          // the adapter went, or the other end closed in the midst of an exchange
	Foreign   uint64      `json:"foreign_requests"`  // that somebody else sent
	Unasked   uint64      `json:"unasked_bytes"`     // that came while nobody was asked
	Flaws     uint64      `json:"flawed_characters"` // with a parity or framing error, where the port tells
	BytesIn   uint64      `json:"bytes_in"`
	BytesOut  uint64      `json:"bytes_out"`
	Devices   []BusDevice `json:"devices"`
	// Findings are what is wrong, judged by the last Seconds, the most telling first.
	Findings []BusFinding `json:"findings"`
	Seconds  float64      `json:"findings_seconds"`
}

// BusDevice is how one device on a line does.
type BusDevice struct {
	Name      string     `json:"name"`
	Exchanges uint64     `json:"exchanges"`
	Answers   uint64     `json:"answers"`       // refused ones among them
	NoReply   uint64     `json:"no_reply"`      // nothing came
	Garbled   uint64     `json:"garbled"`       // what came was no frame
	Damaged   uint64     `json:"damaged"`       // what came was cut short, or had a wrong checksum
	WrongUnit uint64     `json:"wrong_unit"`    // a device answered that was not asked
	Unrelated uint64     `json:"unrelated"`     // what came was sound and answered something else
	Dialect   uint64     `json:"other_dialect"` // the answer was wrapped as another form of Modbus is
	Late      uint64     `json:"late"`          // answers that came when nobody waited any more
	Refused   uint64     `json:"refused"`       // the device answered that it will not
	Refusals  []Refusals `json:"refusals,omitempty"`
	Values    int        `json:"values"`     // points that the last reading of each gave a value
	Points    int        `json:"points"`     // that there are
	Timeout   float64    `json:"timeout_ms"` // of a request
	Timed     uint64     `json:"timed"`      // answers that the times are of, which are 0 where they are too short to tell
	Fastest   float64    `json:"fastest_ms"`
	Mean      float64    `json:"mean_ms"`
	Slowest   float64    `json:"slowest_ms"`
	LastGood  *time.Time `json:"last_good,omitempty"`
}

// Refusals is how often a device refused with a Modbus exception.
type Refusals struct {
	Code  int    `json:"code"`
	Count uint64 `json:"count"`
}

// BusFinding is one thing that is wrong with a line, in both languages.
type BusFinding struct {
	Rule     string  `json:"rule"`
	Device   string  `json:"device,omitempty"` // the one that it is about; missing: the line
	Evidence BusText `json:"evidence"`
	Cause    BusText `json:"cause"`
	Next     BusText `json:"next"`
}

// BusText is a sentence in both languages.
type BusText struct {
	English string `json:"en"`
	Chinese string `json:"zh"`
}

// BusFrame is what went over a line in one piece.
type BusFrame struct {
	Seq      uint64    `json:"seq"`
	At       time.Time `json:"at"`
	Out      bool      `json:"out"` // from the gateway
	Hex      string    `json:"hex"`
	Cut      int       `json:"cut,omitempty"` // bytes at its end that were not kept
	Device   string    `json:"device,omitempty"`
	Protocol string    `json:"protocol,omitempty"`
	Summary  string    `json:"summary,omitempty"` // what it says
	Verdict  string    `json:"verdict,omitempty"` // what is wrong with it
}

func (s *Server) busRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/buses", s.buses)
	signedIn.GET("/buses/frames", s.frames)
	signedIn.GET("/buses/watch", s.watchBus)
	signedIn.GET("/buses/capture", s.capture)
}

type busList struct {
	Items []Bus `json:"items"`
}

func (s *Server) buses(c *gin.Context) {
	answer(c, http.StatusOK, busList{Items: append([]Bus{}, s.options.Buses.List()...)})
}

type frameList struct {
	Items []BusFrame `json:"items"`
}

func (s *Server) frames(c *gin.Context) {
	after, ok := afterFrom(c)
	if !ok {
		return
	}
	list, err := s.options.Buses.Frames(c.Query("bus"), after)
	if err != nil {
		s.busFailed(c, err)
		return
	}
	answer(c, http.StatusOK, frameList{Items: append([]BusFrame{}, list...)})
}

func afterFrom(c *gin.Context) (after uint64, ok bool) {
	text := c.Query("after")
	if text == "" {
		return 0, true
	}
	after, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "after", Detail: "after is the number of the last frame that is known"})
		return 0, false
	}
	return after, true
}

func (s *Server) busFailed(c *gin.Context, err error) {
	if errors.Is(err, ErrUnknown) {
		refuse(c, problem{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no bus %q", c.Query("bus"))})
		return
	}
	_ = c.Error(err)
	refuse(c, problem{Status: http.StatusInternalServerError})
}

// watchBus sends each frame as a line of JSON until whoever watches goes.
func (s *Server) watchBus(c *gin.Context) {
	after, ok := afterFrom(c)
	if !ok {
		return
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Busy", Detail: "too many watch already"})
		return
	}
	ctx, end := s.untilStop(c.Request.Context())
	defer end()
	control := http.NewResponseController(c.Writer)
	// The server's limits are for requests that are over soon.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
		return
	}
	lines := &lineWriter{to: c.Writer, control: control, begin: func() {
		c.Header("Content-Type", "application/x-ndjson")
		c.Header("X-Accel-Buffering", "no") // a proxy must not collect lines
	}}
	err := s.options.Buses.Watch(ctx, c.Query("bus"), after, func(f BusFrame) {
		if lines.write(f); lines.broken {
			end()
		}
	})
	if err != nil && !lines.begun && ctx.Err() == nil {
		s.busFailed(c, err)
	}
}

func (s *Server) capture(c *gin.Context) {
	if _, err := s.options.Buses.Frames(c.Query("bus"), 0); err != nil {
		s.busFailed(c, err)
		return
	}
	c.Header("Content-Type", "application/x-pcapng")
	c.Header("Content-Disposition", `attachment; filename="bus.pcapng"`)
	if err := s.options.Buses.Capture(c.Query("bus"), c.Writer); err != nil {
		_ = c.Error(err) // the file is cut off, which its reader sees
	}
}
