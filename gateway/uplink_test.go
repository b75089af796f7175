package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sluice/gateway/config"
	"sluice/gateway/message"
)

// Two routes with the same filter have places of their own, {gateway} is filled in in a filter, and what goes
// up names the log that it is from: else two gateways, or two logs of one, would have the same identities.
func TestRoutesHavePlacesFiltersAndIdentities(t *testing.T) {
	type item struct{ ID, Topic string }
	var mu sync.Mutex
	var got []item
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch []item
		if err == nil {
			err = json.Unmarshal(body, &batch)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		got = append(got, batch...)
		mu.Unlock()
	}))
	t.Cleanup(receiver.Close)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: ./data, limit: 768MiB}
web: {listen: ""}
mqtt: {listen: []}
uplinks:
  - name: cloud
    driver: http
    address: %s
    forward:
      - {from: "readings/{gateway}/#", to: "a/{topic}"}
      - {from: "readings/{gateway}/#", to: "b/{topic}", name: second}
`, receiver.URL)))
	start(t, g.Run)
	for _, topic := range []string{"readings/line-3/press", "readings/line-4/press"} {
		if err := g.broker.Publish(t.Context(), &message.Message{Topic: topic, Payload: []byte("x"), QoS: 1}, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "both routes have sent", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) >= 2 })
	epoch, _, err := g.broker.Sequence("")
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	seen := map[string]bool{}
	for _, i := range got {
		seen[i.Topic] = true
		if want := fmt.Sprintf("line-3-%d-1", epoch); i.ID != want {
			t.Errorf("%s is known as %s, want %s", i.Topic, i.ID, want)
		}
	}
	if len(seen) != 2 || !seen["a/readings/line-3/press"] || !seen["b/readings/line-3/press"] {
		t.Errorf("the cloud has %v", got)
	}

	_, err = config.Parse("x.yaml", []byte("uplinks: [{name: c, driver: mqtt, address: \"tcp://h\", forward: [{from: a, to: b}, {from: a, to: c}]}]"), Kinds())
	if err == nil || !strings.Contains(err.Error(), "forward[1]") || !strings.Contains(err.Error(), "two routes cannot share one place") {
		t.Errorf("two routes of one place: %v", err)
	}
}
