package http

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"sluice/bridge"
	"sluice/bridge/batch"
	"sluice/gateway/message"
)

func item(at message.Position, payload string, properties ...message.Property) batch.Item {
	r := &message.Record{Position: at}
	return batch.Item{Outgoing: bridge.Outgoing{Topic: "plants/press", Payload: []byte(payload), Properties: properties,
		Marks: []message.Property{{Name: "sluice-lane", Value: "live"}, {Name: "\x00own", Value: "hidden"}}, Origin: "line-3-1", Record: r}}
}

func TestBodiesToTheByte(t *testing.T) {
	items := []batch.Item{
		item(41, "{\"a\":\n 1.50}"),
		item(42, "warm \"enough\"\n", message.Property{Name: "unit", Value: "°C"}),
		item(43, "\xff\x00"),
	}
	const marks = `{"name":"sluice-lane","value":"live"}]}`
	first := `{"id":"line-3-1-41","topic":"plants/press","payload":{"a":1.50},"properties":[` + marks
	second := `{"id":"line-3-1-42","topic":"plants/press","text":"warm \"enough\"\n","properties":[{"name":"unit","value":"°C"},` + marks
	third := `{"id":"line-3-1-43","topic":"plants/press","base64":"/wA=","properties":[` + marks
	for _, c := range []struct {
		body     string
		envelope bool
		items    []batch.Item
		want     string
		kind     string
	}{
		{arrayBody, true, items, "[" + first + "," + second + "," + third + "]", "application/json"},
		{ndjsonBody, true, items, first + "\n" + second + "\n" + third + "\n", "application/x-ndjson"},
		{arrayBody, false, items[:1], `[{"a":1.50}]`, "application/json"},
		{ndjsonBody, false, items[:1], "{\"a\":1.50}\n", "application/x-ndjson"},
		{singleBody, true, items[:1], "{\"a\":\n 1.50}", "application/json"},
		{singleBody, false, items[2:], "\xff\x00", "application/octet-stream"},
	} {
		o := DefaultOptions()
		o.Body, o.Envelope = c.body, c.envelope
		got, kind := o.content(c.items)
		if string(got) != c.want || kind != c.kind {
			t.Errorf("%s, envelope %v:\ngot  %s %s\nwant %s %s", c.body, c.envelope, kind, got, c.kind, c.want)
		}
	}
}

func TestTheIdempotencyKeyIsThatOfTheMessages(t *testing.T) {
	one, two, three := item(1, "a"), item(2, "b"), item(3, "c")
	key := idempotencyKey([]batch.Item{one, two, three})
	again := idempotencyKey([]batch.Item{item(1, "a"), item(2, "b"), item(3, "c")})
	if key != again || len(key) != 32 {
		t.Errorf("%s and %s for the same messages", key, again)
	}
	seen := map[string]bool{key: true}
	for _, other := range [][]batch.Item{{one, three}, {one, two}, {two, one, three}, {one}, {three}} {
		if k := idempotencyKey(other); seen[k] {
			t.Errorf("two sets of messages share the key %s", k)
		} else {
			seen[k] = true
		}
	}
}

func TestASinglePayloadIsNamedInTheHeader(t *testing.T) {
	c := startCloud(t, nil)
	l := connect(t, uplink(t, c.address("/in"), func(o *Options) { o.Body = singleBody }))
	if err := send(t, l, 7, "öfen/1", "\x00 not JSON").wait(t); err != nil {
		t.Fatal(err)
	}
	r, body := c.last()
	if r.Header.Get("Sluice-Id") != "line-3-1-7" || r.Header.Get("Sluice-Topic") != "plants/%C3%B6fen/1" || body != "\x00 not JSON" {
		t.Errorf("%q with %v", body, r.Header)
	}
}

func TestWithoutAnEnvelopeOnlyJSONGoes(t *testing.T) {
	c := startCloud(t, nil)
	l := connect(t, uplink(t, c.address("/in"), func(o *Options) { o.Envelope = false }))
	if _, ok := send(t, l, 1, "a", "no JSON").wait(t).(*bridge.RefusedError); !ok {
		t.Error("what is no JSON is taken")
	}
	if err := send(t, l, 2, "a", `{"a":1}`).wait(t); err != nil {
		t.Error(err)
	}
	if _, body := c.last(); body != `[{"a":1}]` {
		t.Errorf("the body is %s", body)
	}
}

func TestEscapedTopicsStayInTheirPlace(t *testing.T) {
	for topic, want := range map[string]string{
		"a/b": "a/b", "a b/ö": "a%20b/%C3%B6", "../x": "%2E%2E/x", "a/./b": "a/%2E/b", "a?b=c&d#e": "a%3Fb%3Dc%26d%23e", "v1.2": "v1.2", "50%": "50%25", "a+b": "a%2Bb",
	} {
		if got := escape(topic); got != want {
			t.Errorf("%q becomes %q, want %q", topic, got, want)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{"", "{}", "1e999", "\"\\ud800\"", "{\n}", "\xff", "text\r\n", "[1,2", "\"\xff\"", " 1 "} {
		f.Add("plants/press", seed)
	}
	o := DefaultOptions()
	f.Fuzz(func(t *testing.T, topic, payload string) {
		m := item(1, payload)
		m.Topic = topic
		line := o.appendMessage(nil, &m.Outgoing)
		var got struct {
			ID, Topic string
			Payload   json.RawMessage
			Text      *string
			Base64    []byte
		}
		if err := json.Unmarshal(line, &got); err != nil || strings.ContainsAny(string(line), "\r\n") {
			t.Fatalf("%q becomes %q: %v", payload, line, err)
		}
		switch {
		case got.Payload != nil:
			if !json.Valid([]byte(payload)) {
				t.Errorf("%q is no JSON and came as %q", payload, got.Payload)
			}
		case got.Text != nil:
			if *got.Text != payload {
				t.Errorf("%q came as %q", payload, *got.Text)
			}
		case string(got.Base64) != payload:
			t.Errorf("%q came as %q", payload, got.Base64)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for seed, want := range map[string]time.Duration{
		"120": 2 * time.Minute, " 3 ": 3 * time.Second, "0": 0, "": 0, "-1": 0, "soon": 0, "99999999999999999999999": maxWait, "9999999": maxWait,
		"Mon, 23 Nov 2026 08:01:00 GMT": time.Minute, "Mon, 23 Nov 2020 08:01:00 GMT": 0, "Mon, 23 Nov 2099 08:01:00 GMT": maxWait,
	} {
		if got := retryAfter(seed, now); got != want {
			f.Errorf("Retry-After: %s asks for %s, want %s", seed, got, want)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if got := retryAfter(value, now); got < 0 || got > maxWait {
			t.Errorf("Retry-After: %q asks for %s", value, got)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for seed, want := range map[string]string{
		"no": "no", "  not\r\n\tso ": "not so", "<html>a page</html>": "", "\xff\x00bad\x1b[31m": "bad[31m", `{"error":"x"}`: `{"error":"x"}`,
		strings.Repeat("é", 1000): strings.Repeat("é", maxExcerpt),
	} {
		if got := excerpt([]byte(seed)); got != want {
			f.Errorf("%q is quoted as %q, want %q", seed, got, want)
		}
		f.Add(404, seed, seed)
	}
	f.Fuzz(func(t *testing.T, status int, location, body string) {
		verdictOf(status)
		text := words("cloud", &http.Response{StatusCode: status, Header: http.Header{"Location": {location}}}, []byte(body))
		if !utf8.ValidString(text) || utf8.RuneCountInString(text) > 2*maxExcerpt+100 || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("the answer is told as %q", text)
		}
	})
}
