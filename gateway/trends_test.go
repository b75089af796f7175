package gateway

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/gateway/curve"
	"sluice/gateway/message"
	"sluice/web"
)

// filled publishes messages and waits until all are durable.
func filled(t *testing.T, g *Gateway, list []message.Message) {
	t.Helper()
	durable := make(chan error, len(list))
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { durable <- err })
	for i := range list {
		if err := g.broker.Publish(t.Context(), &list[i], ack, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range list {
		if err := <-durable; err != nil {
			t.Fatal(err)
		}
	}
}

func readingOf(device string, seq uint64, at time.Time, values string) message.Message {
	return message.Message{
		Topic: "readings/site/" + device, Device: device, Seq: seq, QoS: 1, Time: at.UnixMilli(),
		Payload: fmt.Appendf(nil, `{"gateway":"site","device":%q,"epoch":1,"seq":%d,"ts":%d,%s}`, device, seq, at.UnixMilli(), values),
	}
}

func trendOf(t *testing.T, g *Gateway, wanted web.TrendRequest, budget time.Duration) web.Trend {
	t.Helper()
	found, err := trends{g}.Trend(t.Context(), wanted, budget)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func valueAt(s web.TrendSeries, at time.Time) string {
	for i, t := range s.Times {
		if t == at.UnixMilli() {
			return fmt.Sprint(s.Values[i])
		}
	}
	return "nothing"
}

// TestTrendsShowEveryValueAndHole has failures, an outage, a device that goes away, texts and switches.
func TestTrendsShowEveryValueAndHole(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "gateway: {name: site}\nweb: {listen: ''}\n"))
	start(t, g.Run)
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	second := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Second) }
	var list []message.Message
	for i := range 600 {
		if i >= 300 && i < 400 {
			continue // nobody polls
		}
		values := fmt.Sprintf(`"values":{"n":%d,"on":%t,"word":"x"}`, i%50, i%2 == 0)
		if i == 100 {
			values = `"values":{"on":true},"errors":{"n":"no"}`
		}
		list = append(list, readingOf("press", uint64(i+1), second(i), values), readingOf("oven", uint64(i+1), second(i), `"values":{"n":-7}`))
		if i == 500 {
			away := message.Message{Topic: "status/site/press", QoS: 1, Time: second(i).UnixMilli() + 500,
				Payload: fmt.Appendf(nil, `{"gateway":"site","device":"press","state":%q,"ts":%d}`, collectors.Offline, second(i).UnixMilli()+500)}
			list = append(list, away)
		}
	}
	filled(t, g, list)
	points := []web.TrendPoint{{Device: "press", Point: "n"}, {Device: "press", Point: "on"}, {Device: "press", Point: "word"}, {Device: "oven", Point: "n"}, {Device: "none", Point: "n"}}
	wanted := web.TrendRequest{Points: points, From: begin, To: second(600), Width: 1200}
	got := trendOf(t, g, wanted, time.Minute)
	if !got.Complete || len(got.Series) != len(points) {
		t.Fatalf("the answer is %+v", got)
	}
	n := got.Series[0]
	if n.Count != 499 || n.Errors != 1 || *n.Min != 0 || *n.Max != 49 {
		t.Errorf("of n there are %d values, %d errors, %v to %v", n.Count, n.Errors, *n.Min, *n.Max)
	}
	for at, want := range map[time.Time]string{
		second(99): "49", second(100): "NaN", second(101): "1", second(299): "49", second(300): "NaN", second(400): "0",
		second(500): "0", second(500).Add(500 * time.Millisecond): "NaN", second(501): "1",
	} {
		if got := valueAt(n, at); got != want {
			t.Errorf("n after %v is %s, want %s", at.Sub(begin), got, want)
		}
	}
	if on := got.Series[1]; !on.Steps || on.Count != 500 || *on.Max != 1 {
		t.Errorf("the switch is %+v", on)
	}
	if word := got.Series[2]; word.Count != 0 || word.Texts != 499 || word.Min != nil {
		t.Errorf("the text is counted %d, %d", word.Count, word.Texts)
	}
	if oven := got.Series[3]; oven.Count != 500 || *oven.Mean != -7 {
		t.Errorf("the other device has %d values", oven.Count)
	}
	if none := got.Series[4]; none.Count != 0 || len(none.Times) != 0 {
		t.Errorf("a device that never was has %d values", none.Count)
	}

	// In pieces the answer says the same.
	wanted.Points = points[:1]
	counted, holes, pieces := 0, 0, 0
	var last int64
	for wanted.Next = ""; ; {
		piece := trendOf(t, g, wanted, 0)
		pieces++
		counted += piece.Series[0].Count
		for i, at := range piece.Series[0].Times {
			if at < last {
				t.Fatalf("time goes back to %d", at)
			}
			last = at
			if piece.Series[0].Values[i] != piece.Series[0].Values[i] {
				holes++
			}
		}
		if piece.Complete {
			break
		}
		wanted.Next = piece.Next
	}
	if counted != 499 || holes < 3 {
		t.Errorf("in %d pieces there are %d values and %d holes", pieces, counted, holes)
	}
	for _, next := range []string{"x", "0", "1", "1;1", "1;1,x", "1;-1,1", "1;1,1;1,1", strings.Repeat("9", 40)} {
		wanted.Next = next
		if _, err := (trends{g}).Trend(t.Context(), wanted, time.Minute); err == nil {
			t.Errorf("next %q is taken", next)
		}
	}
}

func TestTrendsAgreeWithTheTable(t *testing.T) {
	address := freePort(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf("gateway: {name: site}\nstore: {dir: ./data}\nweb: {listen: \"%s\"}\n", address)))
	start(t, g.Run)
	c := signIn(t, address)
	random := rand.New(rand.NewPCG(5, 6))
	begin := time.Now().Add(-2 * time.Hour).Truncate(time.Millisecond)
	var list []message.Message
	at, seq := begin, uint64(0)
	sum, count := 0.0, 0
	for range 3000 {
		at = at.Add(time.Duration(random.IntN(3000)) * time.Millisecond)
		seq++
		value := float64(random.IntN(1000)) / 4
		list = append(list, readingOf("press", seq, at, fmt.Sprintf(`"values":{"a/b":%v}`, value)))
		sum, count = sum+value, count+1
	}
	filled(t, g, list)
	query := "?point=press/a%252Fb&from=" + begin.UTC().Format(time.RFC3339) + "&to=" + at.Add(time.Second).UTC().Format(time.RFC3339)
	got := asked[web.Trend](t, c, "GET", "/trends"+query+"&width=200", "")
	s := got.Series[0]
	if s.Count != count || *s.Mean < sum/float64(count)-1e-6 || *s.Mean > sum/float64(count)+1e-6 {
		t.Errorf("%d values with a mean of %v, want %d with %v", s.Count, *s.Mean, count, sum/float64(count))
	}
	status, body := c.ask("GET", "/trends/export"+query+"&layout=wide", "")
	if status != http.StatusOK {
		t.Fatalf("the table is answered %d: %s", status, body)
	}
	reader := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(body), "\uFEFF")))
	rows := -1 // the heading
	for {
		_, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows++
	}
	if rows < count-200 || rows > count { // of one moment there is one
		t.Errorf("the table has %d rows, want %d", rows, count)
	}
}

// A point that is reported on change is drawn as far as it is known to hold, and not beyond an outage.
func TestTrendsHoldWhatIsReportedOnChange(t *testing.T) {
	c := course{nature: pointNature{onChange: true}}
	wanted := []web.TrendPoint{{Device: "press", Point: "n"}}
	g := newGateway(t, parse(t, t.TempDir(), "gateway: {name: site}\nweb: {listen: ''}\n"))
	start(t, g.Run)
	devices, _ := trends{g}.pastDevices(wanted)
	c.thin = curve.NewThinned(0, 100_000, 100)
	courses := []course{c}
	devices[0].reading([]byte(`{"ts":1000,"values":{"n":5}}`), courses)
	devices[0].condition([]byte(`{"ts":50000,"state":"offline"}`), courses)
	devices[0].reading([]byte(`{"ts":70000,"values":{"n":6}}`), courses)
	courses[0].holdUntil(99_999)
	s := courses[0].show(wanted[0])
	if got := fmt.Sprint(s.Times, s.Values, s.Count); got != "[1000 49999 50000 70000 99999] [5 5 NaN 6 6] 2" {
		t.Errorf("got %s", got)
	}
}
