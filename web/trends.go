package web

import (
	"context"
	"math"
	"strconv"
	"time"
)

// Trends answers what points were in the past, from the log. Its methods may be called from any
// goroutine.
type Trends interface {
	// Trend gives the courses of points, thinned to a chart's width. It works no longer than the budget:
	// an answer that is not complete says with which Next to ask again for the rest.
	Trend(ctx context.Context, wanted TrendRequest, budget time.Duration) (Trend, error)
	// TrendRows hands over every reading that has one of the points, in the order of the log. Rows and what
	// they hold are only good until take returns.
	TrendRows(ctx context.Context, wanted TrendRequest, take func(*TrendRow) error) error
	// TrendUnits gives the points' units, "" for one that has none or is not known.
	TrendUnits(points []TrendPoint) []string
}

// TrendPoint is a point of a device.
type TrendPoint struct {
	Device string `json:"device"`
	Point  string `json:"point"`
}

// TrendRequest says what is wanted: points, from a time up to another, which is exclusive.
type TrendRequest struct {
	Points   []TrendPoint
	From, To time.Time
	Width    int    // columns of the chart
	Next     string // of the answer before; empty: from the start
}

// Trend is the answer of GET /api/v1/trends.
type Trend struct {
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	Series []TrendSeries `json:"series"`
	// Complete is false when the work was cut off: then Next asks for the rest, and Until is about how far
	// this answer came.
	Complete bool       `json:"complete"`
	Next     string     `json:"next,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	Took     float64    `json:"took_ms"`
}

// TrendSeries is the course of one point. Times ascend; a value of null says that nothing is drawn there.
type TrendSeries struct {
	TrendPoint
	Unit string `json:"unit"`
	// Steps says that the value holds until the next: the point is reported on change, or a switch.
	Steps  bool        `json:"steps"`
	Times  trendTimes  `json:"t"`
	Values trendValues `json:"v"`
	Min    *float64    `json:"min"` // of all values, null without any
	Max    *float64    `json:"max"`
	Mean   *float64    `json:"mean"`
	Count  int         `json:"count"`
	Errors int         `json:"errors"` // readings in which the point failed
	Texts  int         `json:"texts"`  // readings in which it was no number
}

// TrendRow is one reading.
type TrendRow struct {
	Device string
	Time   int64 // Unix milliseconds
	Cells  []TrendCell
}

// TrendCell is what a reading has of one of the points that were asked for.
type TrendCell struct {
	Point  int    // which of those
	Number bool   // Value is to be read as it stands: a number, true or false
	Value  string // empty when it failed
	Error  string
}

// trendTimes and trendValues are lists of thousands of numbers, which encoding/json would write one by one.
type trendTimes []int64

// MarshalJSON implements json.Marshaler.
func (t trendTimes) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 14*len(t)+2), '[')
	for i, at := range t {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, at, 10)
	}
	return append(b, ']'), nil
}

type trendValues []float64 // NaN: null

// MarshalJSON implements json.Marshaler.
func (v trendValues) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 8*len(v)+2), '[')
	for i, n := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(n) || math.IsInf(n, 0) {
			b = append(b, "null"...)
			continue
		}
		format := byte('f')
		if size := math.Abs(n); size != 0 && (size < 1e-6 || size >= 1e21) {
			format = 'e' // as encoding/json writes them
		}
		b = strconv.AppendFloat(b, n, format, -1, 64)
	}
	return append(b, ']'), nil
}
