package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
)

func (f *fakeMessages) Publish(_ context.Context, m NewMessage) (Resent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published = append(f.published, m)
	if f.broken != nil {
		return Resent{}, f.broken
	}
	return Resent{Topic: m.Topic, Queue: 1, Offset: 2, Position: 3}, nil
}

func (f *fakeMessages) Follow(ctx context.Context, filters []string, tell func(TailNews) error) error {
	if err := tell(TailNews{Items: []TailItem{{MessageHead: fakeHead(1), Text: strings.Join(filters, " ")}}}); err != nil {
		return err
	}
	for {
		select {
		case news := <-f.news:
			if err := tell(news); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *fakeMessages) Dead(context.Context) (DeadPlaces, error) {
	return DeadPlaces{Items: []DeadPlace{{Kind: "group", Name: "billing", Topic: "%DLQ%billing", Messages: 2, Newest: &fakeBorn}}, Complete: true}, f.err()
}

func TestPublishing(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	publish := func(body string) (status int, field string) {
		got := ask(s, "POST", "/api/v1/messages", body, bearer(s)...)
		var p problem
		_ = json.Unmarshal(got.Body.Bytes(), &p)
		return got.Code, p.Field
	}
	for _, c := range []struct {
		body, payload string
	}{
		{`{"topic":"a/b","payload":"Grüße\n"}`, "Grüße\n"},
		{`{"topic":"a/b","payload":{"x": [1, 2.50]},"encoding":"json","qos":2,"retain":true,"expiry_seconds":60,"properties":[{"name":"k","value":"v"}]}`, `{"x": [1, 2.50]}`},
		{`{"topic":"a/b","payload":"AAEC","encoding":"base64"}`, "\x00\x01\x02"},
		{`{"topic":"a/b"}`, ""},
	} {
		if status, field := publish(c.body); status != http.StatusCreated {
			t.Fatalf("%s: %d %s", c.body, status, field)
		}
		if last := gateway.messages.published[len(gateway.messages.published)-1]; string(last.Payload) != c.payload || last.Topic != "a/b" {
			t.Errorf("%s: published %+v", c.body, last)
		}
	}
	if m := gateway.messages.published[1]; m.QoS != 2 || !m.Retain || m.Expiry != 60 || len(m.Properties) != 1 {
		t.Errorf("published %+v", m)
	}
	if audits, _ := gateway.keeper.Audits(0, 10); len(audits) != 4 || audits[0].Action != publishedInAudits {
		t.Errorf("the audit log has %+v", audits)
	}
	for body, field := range map[string]string{
		`{}`:                              "topic",
		`null`:                            "topic",
		`{"topic":"$SYS/a"}`:              "topic",
		`{"topic":"a/#"}`:                 "topic",
		`{"topic":"a","payload":1}`:       "payload",
		`{"topic":"a","payload":null}`:    "payload",
		`{"topic":"a","encoding":"json"}`: "payload",
		`{"topic":"a","payload":"!","encoding":"base64"}`:            "payload",
		`{"topic":"a","encoding":"cbor"}`:                            "encoding",
		`{"topic":"a","qos":0}`:                                      "qos",
		`{"topic":"a","qos":-9000000000000000000}`:                   "qos",
		`{"topic":"a","expiry_seconds":-1}`:                          "expiry_seconds",
		`{"topic":"a","expiry_seconds":9000000000000000000}`:         "expiry_seconds",
		`{"topic":"a","properties":[{"name":"","value":""}]}`:        "properties.0",
		`{"topic":"a","properties":[{"name":"\u0000x","value":""}]}`: "properties.0",
	} {
		if status, named := publish(body); status != http.StatusUnprocessableEntity || named != field {
			t.Errorf("%s: %d, field %q, want %q", body, status, named, field)
		}
	}
	if status, _ := publish(`{"topic":"a","payload":"` + strings.Repeat("x", maxPublish) + `"}`); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", status)
	}
	for err, status := range map[error]int{message.ErrFull: 503, message.ErrTooLarge: 413, message.ErrTopic: 422, fmt.Errorf("no"): 500} {
		gateway.messages.broken = err
		if got, _ := publish(`{"topic":"a"}`); got != status {
			t.Errorf("%v: %d, want %d", err, got, status)
		}
	}
}

func TestPublishingIsForOperators(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	viewer := []string{"Authorization", "Bearer " + s.sessions.open("guest", viewerRole)}
	wantProblem(t, ask(s, "POST", "/api/v1/messages", `{"topic":"a"}`, viewer...), http.StatusForbidden)
	if got := ask(s, "GET", "/api/v1/dead", "", viewer...); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "%DLQ%billing") {
		t.Errorf("dead letters: %d %s", got.Code, got.Body)
	}
}

// nextNews reads an event of a tail.
func nextNews(t *testing.T, from *bufio.Reader) (news TailNews) {
	t.Helper()
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("read an event: %v", err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &news); err != nil {
				t.Fatal(err)
			}
			return news
		}
	}
}

func TestATailTellsWhatComes(t *testing.T) {
	gateway := newFakeGateway()
	gateway.messages.news = make(chan TailNews)
	s := newServer(t, gateway, signedUp(t))
	base := run(t, s)
	token := tokenOf(s)
	follow := func(query string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/messages/tail"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		got, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { got.Body.Close() })
		return got
	}
	defer http.DefaultClient.CloseIdleConnections()
	first := follow("?filter=readings/%23&filter=a")
	events := bufio.NewReader(first.Body)
	if news := nextNews(t, events); len(news.Items) != 1 || news.Items[0].Text != "readings/# a" {
		t.Fatalf("told %+v", news)
	}
	gateway.messages.news <- TailNews{Hidden: 7, Unread: 9}
	if news := nextNews(t, events); news.Hidden != 7 || news.Unread != 9 || news.Items == nil {
		t.Errorf("told %+v", news)
	}
	for range maxTails - 1 {
		if got := follow(""); got.StatusCode != http.StatusOK {
			t.Fatalf("a tail is answered %d", got.StatusCode)
		}
	}
	if got := follow(""); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one too many is answered %d", got.StatusCode)
	}
	if got := follow("?filter=a%23"); got.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a filter that is none is answered %d", got.StatusCode)
	}
	s.sessions.close(token)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range maxTails { // whoever takes it finds the session over
			select {
			case gateway.messages.news <- TailNews{}:
			case <-time.After(10 * time.Second):
				t.Error("a tail outlives its session")
			}
		}
	}()
	<-done
}
