//go:build linux

package nighttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestAnUnconfirmedChangeDoesNotSurviveAKill moves the page to another address and kills the gateway
// before anybody has confirmed it: at its next start the gateway is where it was.
func TestAnUnconfirmedChangeDoesNotSurviveAKill(t *testing.T) {
	here, there := freeAddress(t), freeAddress(t)
	text := fmt.Sprintf("# the hall's gateway\nstore: {dir: ./data}\nweb: {listen: %q}\n", here)
	g := newGateway(t, site{}, here, text)
	g.start(t)
	code, body, err := g.authorised(t.Context(), "/api/v1/config")
	var running struct{ ETag string }
	if err != nil || code != http.StatusOK || json.Unmarshal(body, &running) != nil {
		t.Fatalf("the configuration is %d, %v: %s", code, err, body)
	}
	change := fmt.Appendf(nil, `{"edits":[{"path":["web","listen"],"value":%q}]}`, there)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+here+"/api/v1/config", bytes.NewReader(change))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+g.token)
	request.Header.Set("If-Match", `"`+running.ETag+`"`)
	response, err := g.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the change answers %s", response.Status)
	}
	g.web = there
	until(t, 20*time.Second, "the page at its new address", func() bool {
		code, _, err := g.request(t.Context(), http.MethodGet, "/readyz", nil)
		return err == nil && code == http.StatusOK
	})
	if data, err := os.ReadFile(g.config); err != nil || !strings.Contains(string(data), there) {
		t.Errorf("the file does not say so: %v\n%s", err, data)
	}
	g.kill(t)
	g.web = here
	g.start(t)
	if data, err := os.ReadFile(g.config); err != nil || string(data) != text {
		t.Errorf("after the kill the file is %v\n%s", err, data)
	}
}
