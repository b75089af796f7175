package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/bridge/cloudsim"
	"sluice/web"
)

// TestAnUplinkIsTestedBesideTheOneThatRuns tests an uplink over the API while it forwards: a good one,
// and one that is refused.
func TestAnUplinkIsTestedBesideTheOneThatRuns(t *testing.T) {
	var logins atomic.Int32
	cloud := startCloud(t, cloudsim.Options{})
	strict := startCloud(t, cloudsim.Options{Login: func(_, _, _ string) byte {
		logins.Add(1)
		return 5
	}})
	address := freePort(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: ./data}
web: {listen: "%s"}
uplinks:
  - {name: cloud, driver: mqtt, address: "tcp://%s", forward: [{from: "readings/#", to: "p/{topic}"}]}
  - {name: strict, driver: mqtt, address: "tcp://%s", retry: 10m, forward: [{from: "readings/#", to: "p/{topic}"}]}
`, address, cloud.Addr(), strict.Addr())))
	start(t, g.Run)
	c := signIn(t, address)
	until(t, "the uplink is online", func() bool { return g.Status().Uplinks[0].State == "online" })
	since := g.Status().Uplinks[0].Since

	steps, result := tested(t, c, "cloud")
	if got := strings.Join(steps, ", "); got != "port open, logged in, published, acknowledged" || !result.OK || result.Error != "" {
		t.Errorf("the steps are %s, the result %+v", got, result)
	}
	if s := g.Status().Uplinks[0]; s.State != "online" || !s.Since.Equal(since) || s.Tries != 1 {
		t.Errorf("the test has disturbed the uplink: %+v", s)
	}
	if got := cloud.Stats(); got.Received != 1 || got.Connects != 2 {
		t.Errorf("the cloud saw %+v, want the test's message on a second connection", got)
	}

	steps, result = tested(t, c, "strict")
	if got := strings.Join(steps, ", "); got != "port open, logged in" || result.OK || !strings.Contains(result.Error, "not authorised") {
		t.Errorf("the steps are %s, the result %+v", got, result)
	}
	if status, _ := c.ask("POST", "/uplinks/none/test", ""); status != http.StatusNotFound {
		t.Errorf("an unknown uplink answers %d", status)
	}
	if got := logins.Load(); got < 2 {
		t.Errorf("%d tried to log in, want the uplink and the test", got)
	}
}

// tested tests an uplink and gives the names of the steps, and the result.
func tested(t *testing.T, c *client, name string) (steps []string, result web.TestResult) {
	t.Helper()
	status, body := c.ask("POST", "/uplinks/"+name+"/test", "")
	if status != http.StatusOK {
		t.Fatalf("testing %s answers %d %s", name, status, body)
	}
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	for _, line := range lines[:len(lines)-1] {
		var step web.TestStep
		if err := json.Unmarshal([]byte(line), &step); err != nil || step.Step == "" {
			t.Errorf("a step is %s, %v", line, err)
		}
		steps = append(steps, step.Step)
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil {
		t.Errorf("the result is %s, %v", lines[len(lines)-1], err)
	}
	return steps, result
}
