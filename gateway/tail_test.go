package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/web"
)

func (g *Gateway) testMessages() messages {
	return messages{g.queues, g.store, &g.readable, g.consumers, g.broker, g.forwards}
}

// TestATailUnderLoadCountsWhatItDoesNotShow: whoever looks at a log that grows fast sees a few messages, is
// told how many there were, and takes no memory for the others.
func TestATailUnderLoadCountsWhatItDoesNotShow(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "gateway: {name: site}\nweb: {listen: ''}\n"))
	start(t, g.Run)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const most = 20_000
	var shown, hidden, unread uint64
	largest := 0
	began, done := make(chan struct{}), make(chan struct{})
	var once, enough sync.Once
	var following sync.WaitGroup
	following.Go(func() {
		err := g.testMessages().Follow(ctx, []string{"load/+"}, func(news web.TailNews) error {
			once.Do(func() { close(began) })
			shown, hidden, unread = shown+uint64(len(news.Items)), hidden+news.Hidden, unread+news.Unread
			largest = max(largest, len(news.Items))
			for _, item := range news.Items {
				if !strings.HasPrefix(item.MQTTTopic, "load/") || len(item.Text) > tailText {
					t.Errorf("told of %+v", item)
				}
			}
			if shown+hidden+unread >= most {
				enough.Do(func() { close(done) })
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-began
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	payload := []byte(strings.Repeat("é", 600))
	var list []message.Message
	for i := range most {
		list = append(list, message.Message{Topic: fmt.Sprintf("load/%d", i%7), Payload: payload, QoS: 1})
	}
	filled(t, g, list)
	select {
	case <-done:
	case <-time.After(time.Minute): // the log and the tail are real, and so is their clock
		t.Fatalf("of %d messages the tail told of %d, hid %d and left %d unread", most, shown, hidden, unread)
	}
	stop()
	following.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if largest > tailShown || shown+hidden+unread != most {
		t.Errorf("%d shown, at most %d at once; %d hidden, %d unread; want %d in all", shown, largest, hidden, unread, most)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 24<<20 { // the log's own cache is some of it
		t.Errorf("memory grew by %d bytes", grown)
	}
}

func TestATailEndsWithItsReader(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "gateway: {name: site}\nweb: {listen: ''}\n"))
	start(t, g.Run)
	gone := errors.New("gone")
	if err := g.testMessages().Follow(t.Context(), []string{"#"}, func(web.TailNews) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("the tail ends with %v", err)
	}
}

func TestPublishedByHand(t *testing.T) {
	g, c := withMessages(t)
	status, text := c.ask("POST", "/messages", `{"topic":"orders/a","payload":{"n":12345678901234567890},"encoding":"json","retain":true,"expiry_seconds":3600,"properties":[{"name":"KEYS","value":"k9"}]}`)
	if status != http.StatusCreated {
		t.Fatalf("answered %d %s", status, text)
	}
	found := asked[web.Message](t, c, "GET", "/messages/1", "")
	if found.Text != `{"n":12345678901234567890}` || found.MQTTTopic != "orders/a" || found.Topic != "orders" || found.Queue < 0 {
		t.Errorf("published %+v", found)
	}
	r, err := g.testMessages().record(1)
	if err != nil || !r.Retain || r.QoS != 1 {
		t.Errorf("stored %+v, %v", r, err)
	}
	if expiry, _ := r.Property(message.Expiry); expiry != "3600" {
		t.Errorf("it expires after %q", expiry)
	}
	for _, topic := range []string{"%RETRY%g", "%DLQ%g", "SCHEDULE_TOPIC_XXXX", "$SYS/x", "a/#", ""} {
		if status, text := c.ask("POST", "/messages", fmt.Sprintf(`{"topic":%q}`, topic)); status != http.StatusUnprocessableEntity {
			t.Errorf("%q is answered %d %s", topic, status, text)
		}
	}
}

func TestPlacesOfTheDead(t *testing.T) {
	g, c := withMessages(t)
	if got := asked[web.DeadPlaces](t, c, "GET", "/dead", ""); !got.Complete || len(got.Items) != 0 {
		t.Errorf("nobody is dead, but %+v", got)
	}
	for i := range 3 {
		sent(t, g, queue.Message{Topic: queue.DeadTopic("billing"), Body: fmt.Append(nil, i), BornTime: 1, Properties: []message.Property{{Name: queue.UniqueKey, Value: fmt.Sprint("U", i)}}})
	}
	var aside []message.Message
	for i := range 5 {
		aside = append(aside, message.Message{Topic: bridge.AsideTopic([]string{"cloud", "old"}[i%2], "readings/g/press"), QoS: 1})
	}
	filled(t, g, aside)
	got := asked[web.DeadPlaces](t, c, "GET", "/dead", "")
	want := map[string]uint64{"group billing": 3, "uplink cloud": 3, "uplink old": 2}
	for _, p := range got.Items {
		if p.Newest == nil || want[p.Kind+" "+p.Name] != p.Messages {
			t.Errorf("%+v, want %d messages", p, want[p.Kind+" "+p.Name])
		}
	}
	if len(got.Items) != len(want) || !got.Complete {
		t.Errorf("the places are %+v", got)
	}
}
