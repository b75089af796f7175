package gateway

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"sluice/bridge/cloudsim"
	"sluice/web"
)

// TestAReadingIsFollowedFromThePollToTheAcknowledgement follows one of many readings to two clouds.
func TestAReadingIsFollowedFromThePollToTheAcknowledgement(t *testing.T) {
	plc, a, b := startPLC(t), startCloud(t, cloudsim.Options{}), startCloud(t, cloudsim.Options{})
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: ./data, limit: 768MiB}
web: {listen: ""}
mqtt: {listen: []}
devices:
%suplinks:
  - {name: a, driver: mqtt, address: "tcp://%s", forward: [{from: "readings/{gateway}/+", to: "{topic}"}]}
  - {name: b, driver: mqtt, address: "tcp://%s", forward: [{from: "readings/#", to: "{topic}"}, {from: "status/#", to: "{topic}"}]}
  - {name: not, driver: mqtt, address: "tcp://%s", forward: [{from: "status/#", to: "{topic}"}]}
`, deviceYAML("press", plc.Addr(), 50*time.Millisecond), a.Addr(), b.Addr(), a.Addr())))
	start(t, g.Run)
	until(t, "both forward", func() bool { u := g.Status().Uplinks; return u[0].Sent > 2 && u[1].Sent > 2 })

	var steps []web.TraceStep
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	complete, err := g.tracer.Trace(ctx, "press", func(s web.TraceStep) { steps = append(steps, s) })
	if err != nil || !complete {
		t.Fatalf("it ends with %t, %v after %+v", complete, err, steps)
	}
	seen := map[string]web.TraceStep{}
	for _, s := range steps {
		seen[s.Step+" "+s.Uplink] = s
		if s.Seq != steps[0].Seq || s.Device != "press" {
			t.Errorf("a step is of another reading: %+v", s)
		}
	}
	for _, want := range []string{"polled ", "stored ", "sent a", "sent b", "acknowledged a", "acknowledged b"} {
		if _, ok := seen[want]; !ok {
			t.Errorf("%q is missing in %+v", want, steps)
		}
	}
	if len(steps) != 6 || seen["polled "].Value["a"] == nil || seen["stored "].Position == 0 || seen["sent b"].Bytes == 0 ||
		seen["acknowledged b"].At.Before(seen["polled "].At) {
		t.Errorf("the steps are %+v", steps)
	}
	if g.tracer.watched.Load() != 0 || len(g.tracer.follows) != 0 {
		t.Error("somebody watches still")
	}

	if _, err := g.tracer.Trace(ctx, "none", nil); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("an unknown device: %v", err)
	}
	for range mostFollowed {
		g.tracer.add(&follow{})
	}
	if _, err := g.tracer.Trace(ctx, "press", nil); !errors.Is(err, web.ErrTracing) {
		t.Errorf("one too many: %v", err)
	}
}

// TestATraceEndsWithoutAnAcknowledgement cuts the uplink: the reading is stored, and waited for in vain.
func TestATraceEndsWithoutAnAcknowledgement(t *testing.T) {
	plc, cloud := startPLC(t), startCloud(t, cloudsim.Options{})
	g := newGateway(t, parse(t, t.TempDir(), cutConfig("", plc.Addr(), cloud.Addr().String(), "strict")))
	start(t, g.Run)
	until(t, "it forwards", func() bool { return g.Status().Uplinks[0].Sent > 2 })
	if _, err := g.outages.Cut("cloud", time.Minute); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var last web.TraceStep
	complete, err := g.tracer.Trace(ctx, "press", func(s web.TraceStep) { last = s })
	if complete || err != nil || last.Step != "stored" {
		t.Errorf("it ends with %t, %v after %+v", complete, err, last)
	}
}
