package web

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeTrends has what a test gives it.
type fakeTrends struct {
	mu    sync.Mutex // guards what follows
	asked []TrendRequest
	rows  []TrendRow
	err   error
	late  error // after the rows
	hold  chan struct{}
}

func (f *fakeTrends) Trend(ctx context.Context, wanted TrendRequest, budget time.Duration) (Trend, error) {
	f.mu.Lock()
	f.asked = append(f.asked, wanted)
	err, hold := f.err, f.hold
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	if err != nil {
		return Trend{}, err
	}
	answer := Trend{From: wanted.From, To: wanted.To, Complete: true}
	for _, p := range wanted.Points {
		one := 1.5
		at := wanted.From.UnixMilli()
		answer.Series = append(answer.Series, TrendSeries{TrendPoint: p, Unit: "°C", Times: trendTimes{at, at + 1, at + 2}, Values: trendValues{1.5, math.NaN(), 1e-9}, Min: &one, Max: &one, Mean: &one, Count: 1})
	}
	return answer, nil
}

func (f *fakeTrends) TrendRows(_ context.Context, _ TrendRequest, take func(*TrendRow) error) error {
	f.mu.Lock()
	rows, late, err := f.rows, f.late, f.err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	for i := range rows {
		if err := take(&rows[i]); err != nil {
			return err
		}
	}
	return late
}

func (f *fakeTrends) TrendUnits(points []TrendPoint) []string {
	units := make([]string, len(points))
	units[0] = "°C"
	return units
}

func trendServer(t *testing.T) (*Server, *fakeTrends) {
	gateway := newFakeGateway()
	return newServer(t, gateway, signedUp(t)), &gateway.trends
}

func TestTrendsAreAskedForByPointAndTime(t *testing.T) {
	s, fake := trendServer(t)
	point := url.QueryEscape("press/a%2Fb%25")
	got := ask(s, "GET", "/api/v1/trends?point="+point+"&point=press/x&from=2026-11-23T08:00:00%2B08:00&to=2026-11-23T01:00:00Z&width=300&next=7", "", bearer(s)...)
	if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"v":[1.5,null,1e-09]`) {
		t.Fatalf("answered %d %s", got.Code, got.Body)
	}
	wanted := fake.asked[0]
	if wanted.Points[0] != (TrendPoint{"press", "a/b%"}) || wanted.Width != 300 || wanted.Next != "7" || wanted.To.Sub(wanted.From) != time.Hour {
		t.Errorf("asked for %+v", wanted)
	}
	for query, field := range map[string]string{
		"":                              "point",
		"point=press":                   "point",
		"point=/x":                      "point",
		"point=press/":                  "point",
		"point=press/%25zz":             "point",
		"point=a%252Fb/x":               "point",
		"point=%2523/x":                 "point",
		"point=a/x&point=a/x":           "point",
		strings.Repeat("point=a/x&", 9): "point",
		"point=a/x&from=yesterday":      "from",
		"point=a/x&to=0":                "to",
		"point=a/x&from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z": "from",
		"point=a/x&from=0001-01-01T00:00:00Z":                         "from",
		"point=a/x&width=0":                                           "width",
		"point=a/x&width=99999999999999999":                           "width",
	} {
		if p := wantProblem(t, ask(s, "GET", "/api/v1/trends?"+query, "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != field {
			t.Errorf("%q: the refusal names %q, want %q", query, p.Field, field)
		}
	}
	fake.err = &FieldError{"next", "no"}
	if p := wantProblem(t, ask(s, "GET", "/api/v1/trends?point=a/x", "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != "next" {
		t.Errorf("the refusal names %q", p.Field)
	}
}

func TestTrendsAreWorkedOnAFewAtATime(t *testing.T) {
	s, fake := trendServer(t)
	fake.hold = make(chan struct{})
	var all sync.WaitGroup
	for range trendsAtOne + 2 {
		all.Go(func() {
			if got := ask(s, "GET", "/api/v1/trends?point=a/x", "", bearer(s)...); got.Code != http.StatusOK {
				t.Errorf("answered %d %s", got.Code, got.Body)
			}
		})
	}
	for { // real goroutines of a real handler: there is no clock to move
		fake.mu.Lock()
		n := len(fake.asked)
		fake.mu.Unlock()
		if n == trendsAtOne {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(fake.hold)
	all.Wait()
}

func exported(t *testing.T, s *Server, query string) [][]string {
	t.Helper()
	got := ask(s, "GET", "/api/v1/trends/export?"+query, "", bearer(s)...)
	text, marked := strings.CutPrefix(got.Body.String(), "\uFEFF")
	if got.Code != http.StatusOK || !marked || !strings.HasSuffix(text, "\r\n") {
		t.Fatalf("answered %d %q", got.Code, got.Body)
	}
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func TestExportsAreTables(t *testing.T) {
	s, fake := trendServer(t)
	at := time.Date(2026, 11, 23, 0, 0, 0, 250e6, time.UTC).UnixMilli()
	fake.rows = []TrendRow{
		{Device: "press", Time: at, Cells: []TrendCell{{Point: 0, Number: true, Value: "-1.50"}, {Point: 1, Value: "=HYPERLINK(\"x\")"}}},
		{Device: "oven", Time: at, Cells: []TrendCell{{Point: 2, Number: true, Value: "true"}}},
		{Device: "press", Time: at, Cells: []TrendCell{{Point: 0, Number: true, Value: "2"}}},
		{Device: "press", Time: at + 1000, Cells: []TrendCell{{Point: 0, Error: "+no, \"answer\"\n"}}},
	}
	points := "point=press/temp&point=press/@note&point=oven/on&from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z&zone=Asia/Shanghai"
	stamp := fmt.Sprint(at)
	later := fmt.Sprint(at + 1000)
	want := [][]string{
		{"time (Asia/Shanghai)", "unix_ms", "press/temp [°C]", "press/@note", "oven/on"},
		{"2026-11-23 08:00:00.250", stamp, "-1.50", "'=HYPERLINK(\"x\")", "true"},
		{"2026-11-23 08:00:00.250", stamp, "2", "", ""},
		{"2026-11-23 08:00:01.250", later, "", "", ""},
	}
	if got := exported(t, s, points); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("wide:\n%q\nwant\n%q", got, want)
	}
	want = [][]string{
		{"time (Asia/Shanghai)", "unix_ms", "device", "point", "unit", "value", "error"},
		{"2026-11-23 08:00:00.250", stamp, "press", "temp", "°C", "-1.50", ""},
		{"2026-11-23 08:00:00.250", stamp, "press", "'@note", "", "'=HYPERLINK(\"x\")", ""},
		{"2026-11-23 08:00:00.250", stamp, "oven", "on", "", "true", ""},
		{"2026-11-23 08:00:00.250", stamp, "press", "temp", "°C", "2", ""},
		{"2026-11-23 08:00:01.250", later, "press", "temp", "°C", "", "'+no, \"answer\"\n"},
	}
	if got := exported(t, s, points+"&layout=long"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("long:\n%q\nwant\n%q", got, want)
	}
	for query, field := range map[string]string{"&layout=deep": "layout", "&format=xlsx": "format", "&zone=Nowhere": "zone", "&zone=../../etc/passwd": "zone", "&zone=Local": "zone"} {
		if p := wantProblem(t, ask(s, "GET", "/api/v1/trends/export?point=a/x"+query, "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != field {
			t.Errorf("%s: the refusal names %q", query, p.Field)
		}
	}
	fake.err = fmt.Errorf("the disk is gone")
	wantProblem(t, ask(s, "GET", "/api/v1/trends/export?point=a/x", "", bearer(s)...), http.StatusInternalServerError)
}

// TestAnExportThatFailsIsCutOff: a table that ends early must not look like a whole one.
func TestAnExportThatFailsIsCutOff(t *testing.T) {
	s, fake := trendServer(t)
	for i := range 10_000 {
		fake.rows = append(fake.rows, TrendRow{Device: "a", Time: int64(i), Cells: []TrendCell{{Number: true, Value: "1"}}})
	}
	fake.late = fmt.Errorf("the disk is gone")
	base := run(t, s)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/trends/export?point=a/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", bearer(s)[1])
	got, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer got.Body.Close()
	if _, err := csv.NewReader(got.Body).ReadAll(); err == nil {
		t.Error("the table ends as if it were whole")
	}
}
