package web

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
)

// eventPeriod is the time between two events; patience is how long a reader may take for one.
const (
	eventPeriod = time.Second
	patience    = 10 * time.Second
)

// statusAnswer is Status with the gateway's own time, so that a page whose clock is wrong still
// shows how old something is.
type statusAnswer struct {
	Status
	Time time.Time `json:"time"`
}

// wantedPoints says of which devices the points are told: of all (nil), or of those that are named.
// Thousands of points a second are much for a page that shows none of them.
type wantedPoints map[string]bool

func pointsFrom(c *gin.Context) wantedPoints {
	names, given := c.GetQueryArray("points")
	if !given || slices.Contains(names, "all") {
		return nil
	}
	wanted := wantedPoints{}
	for _, name := range names {
		wanted[name] = true // "none" names nobody
	}
	return wanted
}

// current is the status in a form that JSON can always hold.
func (s *Server) current(points wantedPoints) statusAnswer {
	status := s.options.Gateway.Status()
	if status.Version == "" {
		status.Version = s.options.Version
	}
	status.Devices = presentable(status.Devices, points)
	status.Uplinks = append([]Uplink{}, status.Uplinks...)
	for i := range status.Uplinks {
		status.Uplinks[i].Routes = append([]UplinkRoute{}, status.Uplinks[i].Routes...)
	}
	status.Abandoned = append([]Abandoned{}, status.Abandoned...)
	status.Log.Cursors = append([]Cursor{}, status.Log.Cursors...)
	status.MQTT.Listen = append([]string{}, status.MQTT.Listen...)
	if status.RocketMQ != nil {
		shown := *status.RocketMQ
		shown.Listen = append([]string{}, shown.Listen...)
		status.RocketMQ = &shown
	}
	return statusAnswer{Status: status, Time: time.Now()}
}

// presentable returns devices without null lists and without the values that JSON does not know: a
// meter may well say NaN, and that must not hide everything else. It changes nothing in place, since
// the gateway may hand out what it keeps.
func presentable(devices []Device, wanted wantedPoints) []Device {
	devices = append([]Device{}, devices...)
	for i := range devices {
		devices[i].count()
		if wanted != nil && !wanted[devices[i].Name] {
			devices[i].Points = []Point{}
			continue
		}
		points := append([]Point{}, devices[i].Points...)
		for j := range points {
			if notFinite(points[j].Value) {
				points[j].Value = nil
				if points[j].Error == "" {
					points[j].Error = "not a number"
				}
			}
		}
		devices[i].Points = points
	}
	return devices
}

// count says how many points there are, and how many of them have no value.
func (d *Device) count() {
	d.PointsTotal, d.PointsFailing = len(d.Points), 0
	for i := range d.Points {
		if d.Points[i].Error != "" || notFinite(d.Points[i].Value) {
			d.PointsFailing++
		}
	}
}

func notFinite(value any) bool {
	switch value := value.(type) {
	case float64:
		return math.IsNaN(value) || math.IsInf(value, 0)
	case float32:
		return notFinite(float64(value))
	}
	return false
}

func (s *Server) healthz(c *gin.Context) { c.String(http.StatusOK, "ok\n") }

func (s *Server) readyz(c *gin.Context) {
	if err := s.options.Gateway.Ready(); err != nil {
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Not ready", Detail: err.Error()})
		return
	}
	c.String(http.StatusOK, "ready\n")
}

func (s *Server) status(c *gin.Context) { answer(c, http.StatusOK, s.current(pointsFrom(c))) }

// events sends the status each second for as long as the reader listens and stays signed in.
func (s *Server) events(c *gin.Context) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Too many pages are open", Detail: "close another page that shows this gateway", retryAfter: 5 * time.Second})
		return
	}
	// The server's limit on reading a request would end the stream; there is nothing left to read.
	if err := http.NewResponseController(c.Writer).SetReadDeadline(time.Time{}); err != nil {
		_ = c.Error(err)
		return
	}
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no") // a proxy must not collect events
	token, _ := token(c)
	points := pointsFrom(c)
	ticks := time.NewTicker(eventPeriod)
	defer ticks.Stop()
	for {
		if _, ok := s.holder(token); !ok {
			return // the page finds out when it connects again
		}
		if err := s.sendEvent(c, points); err != nil {
			return // the reader has gone, or reads too slowly
		}
		select {
		case <-ticks.C:
		case <-c.Request.Context().Done():
			return
		case <-s.stopping:
			return
		}
	}
}

func (s *Server) sendEvent(c *gin.Context, points wantedPoints) error {
	body, err := json.Marshal(s.current(points))
	if err != nil {
		_ = c.Error(err)
		return err
	}
	event := slices.Concat([]byte("event: status\ndata: "), body, []byte("\n\n"))
	control := http.NewResponseController(c.Writer)
	if err := control.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Writer.Write(event); err != nil {
		return err
	}
	return control.Flush()
}
