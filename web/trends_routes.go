package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	trendPoints = 8                      // of one request
	trendWidth  = 1200                   // columns, where none are asked for
	trendWidest = 4000                   // columns
	trendSpan   = time.Hour              // where no beginning is asked for
	trendBudget = 800 * time.Millisecond // of work for one answer: what is drawn by then can be looked at
	trendsAtOne = 2                      // at the same time; others wait
	trendWait   = 10 * time.Second       // for a place
	exportsAtOn = 1
)

// trendDesk answers what is asked about the past, a few at a time.
type trendDesk struct {
	*Server
	places  chan struct{}
	exports chan struct{}
}

func (s *Server) trendRoutes(signedIn *gin.RouterGroup) {
	d := &trendDesk{s, make(chan struct{}, trendsAtOne), make(chan struct{}, exportsAtOn)}
	signedIn.GET("/trends", d.trend)
	signedIn.GET("/trends/export", d.export)
}

// wanted reads which points and times are asked for; false means that the request has been refused.
func (d *trendDesk) wanted(c *gin.Context) (wanted TrendRequest, ok bool) {
	names := c.QueryArray("point")
	if len(names) == 0 || len(names) > trendPoints {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "point", Detail: fmt.Sprintf("say which points, 1 to %d of them: point=DEVICE/POINT", trendPoints)})
		return wanted, false
	}
	for _, name := range names {
		p, err := trendPoint(name)
		if err != nil {
			refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "point", Detail: err.Error()})
			return wanted, false
		}
		if slices.Contains(wanted.Points, p) {
			refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "point", Detail: fmt.Sprintf("%s/%s stands there twice", p.Device, p.Point)})
			return wanted, false
		}
		wanted.Points = append(wanted.Points, p)
	}
	wanted.To = time.Now()
	if !timeFrom(c, "to", &wanted.To) {
		return wanted, false
	}
	wanted.From = wanted.To.Add(-trendSpan)
	if !timeFrom(c, "from", &wanted.From) {
		return wanted, false
	}
	if !wanted.From.Before(wanted.To) || wanted.From.Year() < 1970 || wanted.To.Year() > 9999 {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "from", Detail: "from is a time before to, and both lie after 1970"})
		return wanted, false
	}
	return wanted, true
}

// trendPoint reads DEVICE/POINT, both percent-encoded. Names of devices have no slash, those of points may.
func trendPoint(text string) (p TrendPoint, err error) {
	device, point, ok := strings.Cut(text, "/")
	if !ok || device == "" || point == "" {
		return p, fmt.Errorf("%q is not DEVICE/POINT", text)
	}
	if p.Device, err = url.PathUnescape(device); err != nil {
		return p, fmt.Errorf("the device in %q is not percent-encoded", text)
	}
	if p.Point, err = url.PathUnescape(point); err != nil {
		return p, fmt.Errorf("the point in %q is not percent-encoded", text)
	}
	if strings.ContainsAny(p.Device, "/+#\x00") {
		return p, fmt.Errorf("%q cannot be a device's name", p.Device)
	}
	return p, nil
}

func (d *trendDesk) trend(c *gin.Context) {
	wanted, ok := d.wanted(c)
	if !ok {
		return
	}
	width, ok := numberFrom(c, "width", trendWidth, trendWidest)
	if !ok {
		return
	}
	wanted.Width, wanted.Next = int(width), c.Query("next")
	ctx, cancel := context.WithTimeout(c.Request.Context(), trendWait)
	defer cancel()
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	case <-d.stopping:
		refuse(c, problem{Status: http.StatusServiceUnavailable, Detail: "the gateway stops"})
		return
	case <-ctx.Done():
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Busy", Detail: "others look at the past just now; try again", retryAfter: 2 * time.Second})
		return
	}
	found, err := d.options.Trends.Trend(ctx, wanted, trendBudget)
	if err != nil {
		d.trendFailed(c, err)
		return
	}
	answer(c, http.StatusOK, found)
}

func (d *trendDesk) trendFailed(c *gin.Context, err error) {
	if wrong, ok := errors.AsType[*FieldError](err); ok {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: wrong.Field, Detail: wrong.Text})
		return
	}
	d.messagesFailed(c, err)
}
