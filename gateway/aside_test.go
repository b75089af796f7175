package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sluice/bridge/cloudsim"
	"sluice/web"
)

func startCloud(t *testing.T, o cloudsim.Options) *cloudsim.Server {
	t.Helper()
	cloud, err := cloudsim.Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	start(t, cloud.Run)
	return cloud
}

// TestWhatWasSetAsideIsSentAgainByItsUplinkAlone lets one of two uplinks set messages aside. Sent again,
// they reach that cloud, and the other, which has had them, no second time.
func TestWhatWasSetAsideIsSentAgainByItsUplinkAlone(t *testing.T) {
	picky, other := startCloud(t, cloudsim.Options{}), startCloud(t, cloudsim.Options{})
	address, dir := freePort(t), t.TempDir()
	text := func(template string) string {
		return fmt.Sprintf(`
store: {dir: ./data}
web: {listen: "%s"}
uplinks:
  - name: picky
    driver: mqtt
    address: tcp://%s
    forward: [{from: "readings/#", to: "p/{topic}", payload: {format: template, template: %q}}]
  - name: other
    driver: mqtt
    address: tcp://%s
    forward: [{from: "readings/#", to: "p/{topic}"}]
`, address, picky.Addr(), template, other.Addr())
	}
	g := newGateway(t, parse(t, dir, text("{{slice .Payload 0 9}}"))) // no payload is as long
	start(t, g.Run)
	c := signIn(t, address)
	published(t, g, 5)
	until(t, "all five are set aside", func() bool { u := g.Status().Uplinks; return u[0].SetAside == 5 && u[0].Backlog == 0 })
	until(t, "the other cloud has them", func() bool { return other.Stats().Received == 5 })

	type page struct {
		Items []web.Aside
		Next  uint64
	}
	first := asked[page](t, c, "GET", "/uplinks/picky/aside?limit=3", "")
	if len(first.Items) != 3 || first.Next == 0 {
		t.Fatalf("the first page is %+v", first)
	}
	rest := asked[page](t, c, "GET", fmt.Sprintf("/uplinks/picky/aside?limit=3&next=%d", first.Next), "")
	if len(rest.Items) != 2 || rest.Next != 0 {
		t.Errorf("the last page is %+v", rest)
	}
	a := first.Items[0]
	if a.Topic != "readings/g/d" || a.Origin != 1 || a.Tries != 1 || a.Bytes != 1 || !strings.Contains(a.Reason, "slice") || a.Stored.IsZero() {
		t.Errorf("set aside is %+v", a)
	}
	if got := asked[page](t, c, "GET", "/uplinks/other/aside", ""); len(got.Items) != 0 || got.Next != 0 {
		t.Errorf("the other has set aside %+v", got)
	}
	if status, _ := c.ask("GET", "/uplinks/%23/aside", ""); status != http.StatusNotFound {
		t.Errorf("a wildcard for a name answers %d", status)
	}

	again := func(body string) (int, []byte) {
		return c.ask("POST", fmt.Sprintf("/messages/%d/resend", a.Position), body)
	}
	if status, body := again(`{"group":"billing"}`); status != http.StatusConflict {
		t.Errorf("to a group it answers %d %s", status, body)
	}
	if err := g.Apply(parse(t, dir, text("{{.Payload}}")), "zoe"); err != nil {
		t.Fatal(err)
	}
	status, body := again(`{}`)
	var sent web.Resent
	if err := json.Unmarshal(body, &sent); status != http.StatusOK || err != nil || sent.Topic != "readings/g/d" || sent.Position <= a.Position {
		t.Fatalf("sending it again answers %d %s", status, body)
	}
	until(t, "the cloud has it now", func() bool { return picky.Stats().Received == 1 })
	published(t, g, 1) // behind it: once the other has this, it has passed the copy
	until(t, "the other cloud has what came later", func() bool { return other.Stats().Received >= 6 && g.Status().Uplinks[1].Backlog == 0 })
	if got := other.Stats().Received; got != 6 {
		t.Errorf("the other cloud has %d messages, want 6: it had the copy's original", got)
	}
	copied, err := messages{log: g.store}.record(sent.Position)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range copied.Properties {
		if strings.HasPrefix(p.Name, "sluice-") {
			t.Errorf("the copy says %s=%s", p.Name, p.Value)
		}
	}

	// Without a route the copy would reach nobody.
	if err := g.Apply(parse(t, dir, strings.Replace(text("{{.Payload}}"), "readings/#", "alarms/#", 1)), "zoe"); err != nil {
		t.Fatal(err)
	}
	if status, body := again(`{}`); status != http.StatusConflict || !strings.Contains(string(body), "no route for readings/g/d") {
		t.Errorf("without a route it answers %d %s", status, body)
	}
}
