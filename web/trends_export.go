package web

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// export sends every value as a table, as it is read from the log. One that fails on its way is cut off,
// so that half a table does not look like a whole one.
func (d *trendDesk) export(c *gin.Context) {
	wanted, ok := d.wanted(c)
	if !ok {
		return
	}
	table := trendTable{request: wanted, zone: time.UTC}
	if format := c.DefaultQuery("format", "csv"); format != "csv" {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "format", Detail: "format is csv"})
		return
	}
	switch layout := c.DefaultQuery("layout", "wide"); layout {
	case "wide", "long":
		table.long = layout == "long"
	default:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "layout", Detail: "layout is wide, a column a point, or long, a row a value"})
		return
	}
	if name := c.Query("zone"); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "zone", Detail: fmt.Sprintf("%q is not a time zone like Asia/Shanghai that this gateway knows", name)})
			return
		}
		table.zone = zone
	}
	select {
	case d.exports <- struct{}{}:
		defer func() { <-d.exports }()
	default:
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Busy", Detail: "another table is being written; try again when it is done", retryAfter: 5 * time.Second})
		return
	}
	ctx, end := d.untilStop(c.Request.Context())
	defer end()
	table.units = d.options.Trends.TrendUnits(wanted.Points)
	out := &slowWriter{to: c.Writer, control: http.NewResponseController(c.Writer), begin: func() {
		c.Header("Content-Type", "text/csv; charset=utf-8; header=present")
		c.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="trends-%s.csv"`, wanted.From.In(table.zone).Format("20060102-150405")))
	}}
	table.out = csv.NewWriter(out)
	table.out.UseCRLF = true // [RFC 4180]
	err := table.head()
	if err == nil {
		err = d.options.Trends.TrendRows(ctx, wanted, table.row)
	}
	if err == nil {
		err = table.close()
	}
	switch {
	case err == nil:
	case !out.begun:
		d.trendFailed(c, err)
	default:
		_ = c.Error(err)
		panic(http.ErrAbortHandler)
	}
}

// slowWriter gives a reader some time for each piece and not for the whole.
type slowWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
	begin   func()
	begun   bool
}

func (w *slowWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.begin()
		if err := w.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, err
		}
	}
	if err := w.control.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return w.to.Write(b)
}

// trendTable writes rows of comma separated values: with a column a point, in which readings of one moment
// that lie beside each other share a row, or with a row a value.
type trendTable struct {
	request TrendRequest
	units   []string
	zone    *time.Location
	long    bool
	out     *csv.Writer

	cells []string
	at    int64 // of the row that is open
	open  bool
}

// timeLayout is what spreadsheets take for a time.
const timeLayout = "2006-01-02 15:04:05.000"

func (t *trendTable) head() error {
	// The mark in front keeps Excel from taking UTF-8 for the local code page.
	clock := fmt.Sprintf("\uFEFFtime (%s)", t.zone)
	heading := []string{clock, "unix_ms"}
	if t.long {
		heading = append(heading, "device", "point", "unit", "value", "error")
	} else {
		for i, p := range t.request.Points {
			name := p.Device + "/" + p.Point
			if t.units[i] != "" {
				name += " [" + t.units[i] + "]"
			}
			heading = append(heading, harmless(name))
		}
	}
	return t.out.Write(heading)
}

// harmless keeps a spreadsheet from taking a text for a formula.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(text[0])) {
		return "'" + text
	}
	return text
}

func (t *trendTable) row(r *TrendRow) error {
	if t.long {
		for _, c := range r.Cells {
			p := t.request.Points[c.Point]
			t.cells = append(t.times(r.Time), harmless(p.Device), harmless(p.Point), harmless(t.units[c.Point]), c.shown(), harmless(c.Error))
			if err := t.out.Write(t.cells); err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range r.Cells {
		if column := 2 + c.Point; t.open && (t.at != r.Time || t.cells[column] != "") {
			if err := t.end(); err != nil {
				return err
			}
		}
		if !t.open {
			t.open, t.at = true, r.Time
			t.cells = t.times(r.Time)
			for range t.request.Points {
				t.cells = append(t.cells, "")
			}
		}
		t.cells[2+c.Point] = c.shown()
	}
	return nil
}

func (t *trendTable) times(at int64) []string {
	return append(t.cells[:0], time.UnixMilli(at).In(t.zone).Format(timeLayout), strconv.FormatInt(at, 10))
}

func (c *TrendCell) shown() string {
	if c.Number {
		return c.Value
	}
	return harmless(c.Value)
}

// end writes the row that is open.
func (t *trendTable) end() error {
	if !t.open {
		return nil
	}
	t.open = false
	return t.out.Write(t.cells)
}

// close writes what is still on its way.
func (t *trendTable) close() error {
	if err := t.end(); err != nil {
		return err
	}
	t.out.Flush()
	return t.out.Error()
}
