package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
)

// retryCase is one line of the retry table, here and in docs/uplinks.md.
type retryCase struct {
	failure string
	does    string
	when    string        // what the documentation says of after
	after   time.Duration // from the failure to what the gateway says
	slack   time.Duration // how much later it may be

	begin, end func(t *testing.T, w *retryWorld)
	says       string                            // what State must come to say; empty: nothing may be said
	through    bool                              // the connection must live through it
	secure     bool                              // over TLS
	ballast    int                               // bytes more in each reading
	aside      int                               // messages that are set aside
	tries      int                               // of a message that is refused; 0: as always
	during     func(t *testing.T, w *retryWorld) // what else must hold while it lasts
}

const backoffWords = "; tried again"

func faults(f cloudsim.Faults) func(*testing.T, *retryWorld) {
	return func(_ *testing.T, w *retryWorld) { w.cloud.SetFaults(f) }
}

// anew is for what only shows on a new connection.
func anew(do func(*testing.T, *retryWorld)) func(*testing.T, *retryWorld) {
	return func(t *testing.T, w *retryWorld) {
		do(t, w)
		w.cloud.SetUp(false)
		w.cloud.SetUp(true)
	}
}

func good(_ *testing.T, w *retryWorld) { w.cloud.SetFaults(cloudsim.Faults{}) }

func shows(which func(a *simulatedAuthority) *tls.Certificate) func(*testing.T, *retryWorld) {
	return anew(func(_ *testing.T, w *retryWorld) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.certificate = which(w.authority)
	})
}

var showsGood = shows(func(a *simulatedAuthority) *tls.Certificate { return a.leaf(nil) })

func cutLine(_ *testing.T, w *retryWorld)  { w.line.SetCut(true) }
func healLine(_ *testing.T, w *retryWorld) { w.line.SetCut(false) }

// only refuses the twentieth reading of the press.
func only(err error) func(o *bridge.Outgoing) error {
	return func(o *bridge.Outgoing) error {
		if strings.HasSuffix(o.Topic, "/press") && strings.Contains(string(o.Payload), `"seq":20,`) {
			return err
		}
		return nil
	}
}

func refusing(err error) func(*testing.T, *retryWorld) {
	return func(_ *testing.T, w *retryWorld) { w.uplink.set(only(err)) }
}

func wanting(_ *testing.T, w *retryWorld) { w.uplink.set(nil) }

var retryTable = []retryCase{
	{failure: "Nobody listens there", does: "offline" + backoffWords, when: "at once", says: "nobody listens",
		begin: func(_ *testing.T, w *retryWorld) { w.line.SetRefuse(true); w.cloud.SetUp(false) },
		end:   func(_ *testing.T, w *retryWorld) { w.line.SetRefuse(false); w.cloud.SetUp(true) }},
	{failure: "The connection cannot be opened: packets are dropped", does: "the try is given up" + backoffWords,
		when: "`connect_timeout` (10 s)", after: 10 * time.Second, says: "no answer",
		begin: func(_ *testing.T, w *retryWorld) {
			w.cloud.SetUp(false)
			synctest.Wait() // the end of the connection gets through before the line is cut
			w.line.SetCut(true)
			w.cloud.SetUp(true)
		}, end: healLine},
	{failure: "The cloud accepts TCP and never answers", does: "the try is given up" + backoffWords,
		when: "`connect_timeout` (10 s)", after: 10 * time.Second, says: "no answer",
		begin: anew(faults(cloudsim.Faults{Silent: true})), end: good},
	{failure: "The cloud refuses the login", does: "offline, with the cloud's reason" + backoffWords, when: "at once", says: "not authorised",
		begin: anew(faults(cloudsim.Faults{RefuseLogin: 5})), end: good},
	{failure: "The certificate is by an unknown authority", does: "offline, nothing is sent" + backoffWords, when: "at once", says: "authority", secure: true,
		begin: shows(func(*simulatedAuthority) *tls.Certificate { return newSimulatedAuthority().leaf(nil) }), end: showsGood},
	{failure: "The certificate has expired", does: "offline, nothing is sent" + backoffWords, when: "at once", says: "expired", secure: true,
		begin: shows(func(a *simulatedAuthority) *tls.Certificate {
			return a.leaf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
		}), end: showsGood},
	{failure: "The certificate is for another name", does: "offline, nothing is sent" + backoffWords, when: "at once", says: "name", secure: true,
		begin: shows(func(a *simulatedAuthority) *tls.Certificate {
			return a.leaf(func(c *x509.Certificate) { c.DNSNames = []string{"elsewhere.example"} })
		}), end: showsGood},
	{failure: "The cloud closes the connection", does: "what was in flight is sent again, in order" + backoffWords, when: "at once", says: "closed",
		begin: func(_ *testing.T, w *retryWorld) { w.cloud.SetUp(false); w.line.SetRefuse(false) },
		end:   func(_ *testing.T, w *retryWorld) { w.cloud.SetUp(true) }},
	{failure: "Packets are dropped on an open connection, messages in flight", does: "the connection is given up; then as above",
		when: "30 s without any acknowledgement", after: 30 * time.Second, says: "acknowledges nothing", begin: cutLine, end: healLine},
	{failure: "Packets are dropped on an open connection, nothing in flight", does: "the cloud is pinged, and the connection given up when it does not answer; then as above",
		when: "`keep_alive` (30 s) and 10 s", after: 38 * time.Second, slack: 10 * time.Second, says: "pingresp",
		begin: func(_ *testing.T, w *retryWorld) {
			w.source.pause(true)
			time.Sleep(time.Second) // what is in flight gets through
			w.line.SetCut(true)
		},
		end: func(_ *testing.T, w *retryWorld) { w.line.SetCut(false); w.source.pause(false) }},
	{failure: "The line takes no more bytes", does: "the connection is given up; then as above",
		when: "20 s without a byte taken", after: 20 * time.Second, slack: 3 * time.Second, says: "takes no more bytes", ballast: 20_000, begin: cutLine, end: healLine},
	{failure: "Packets are dropped for less than that", does: "nothing: TCP sends them again", when: "—", through: true,
		begin: func(_ *testing.T, w *retryWorld) {
			w.line.SetCut(true)
			time.Sleep(25 * time.Second)
			w.line.SetCut(false)
		},
		end: func(*testing.T, *retryWorld) {}},
	{failure: "The cloud takes messages and acknowledges none", does: "the connection is given up, what was in flight is sent again" + backoffWords + "; the page says so until something is acknowledged",
		when: "30 s without any acknowledgement", after: 30 * time.Second, says: "acknowledges nothing",
		begin: faults(cloudsim.Faults{NoAck: true}), end: good},
	{failure: "The cloud acknowledges late", does: "nothing: up to `window` messages wait for it", when: "—", through: true,
		begin: faults(cloudsim.Faults{AckDelay: 5 * time.Second}), end: good},
	{failure: "The line is slow", does: "nothing: up to `window` messages are on it, the rest waits in the log", when: "—", through: true,
		begin: faults(cloudsim.Faults{BytesPerSecond: 250}), end: good},
	{failure: "The cloud disconnects at a message that it has not taken", does: "what was in flight is sent again, in order; the waits begin at 0.5 s again once anything was acknowledged",
		when: "at once", says: "closed", begin: anew(faults(cloudsim.Faults{DropAt: 20})), end: good, during: progresses},
	{failure: "The cloud disconnects at a message that it has taken, but not acknowledged", does: "what was in flight is sent again: up to `window` messages arrive twice, with the same seq",
		when: "at once", says: "closed", begin: anew(faults(cloudsim.Faults{DropBeforeAck: 20})), end: good, during: progresses},
	{failure: "The cloud refuses one message, asking again may help", does: "its route waits, from 0 to 0.5 s, then 1 s … up to 30 s, and offers it again; other routes go on",
		when: "at once", says: "quota", tries: 1000, begin: refusing(&bridge.RefusedError{Reason: "over the quota", Retry: true}), end: wanting},
	{failure: "The cloud has refused one message `tries` times (10)", does: "it is set aside under `$dead/…` with its reason, in one step with the cursor; the route goes on",
		when: "after the tenth try", aside: 1, through: true,
		begin: refusing(&bridge.RefusedError{Reason: "over the quota", Retry: true}), during: setsAside(10), end: wanting},
	{failure: "The cloud refuses one message, asking again is of no use", does: "it is set aside under `$dead/…` with its reason; the route goes on",
		when: "at once", aside: 1, through: true,
		begin: refusing(&bridge.RefusedError{Reason: "too large"}), during: setsAside(1), end: wanting},
	{failure: "A message to be set aside cannot be, because the log refuses it", does: "the route waits as for a refusal, and tries again; nothing is dropped",
		when: "at once", says: "disk is full", aside: 1,
		begin: func(t *testing.T, w *retryWorld) {
			w.source.fail(nil, errors.New("the disk is full"))
			refusing(&bridge.RefusedError{Reason: "too large"})(t, w)
		},
		end: func(t *testing.T, w *retryWorld) {
			w.source.fail(nil, nil)
			setsAside(0)(t, w)
			wanting(t, w)
		}},
	{failure: "The log cannot be read", does: "the connection is closed" + backoffWords, when: "at once", says: "read the log",
		begin: func(_ *testing.T, w *retryWorld) { w.source.fail(errors.New("bad block"), nil) },
		end:   func(_ *testing.T, w *retryWorld) { w.source.fail(nil, nil) }},
	{failure: "The cloud refuses a subscription", does: "readings go up; commands do not come down until the next connection", when: "at once", says: "cannot receive", through: true,
		begin: func(_ *testing.T, w *retryWorld) {
			w.cloud.SetFaults(cloudsim.Faults{RefuseSubscribe: true})
			w.restart(bridge.ReceiveRoute{From: "plants/commands/{gateway}/+", To: "commands/{gateway}/{device}"})
		},
		end: func(_ *testing.T, w *retryWorld) { w.cloud.SetFaults(cloudsim.Faults{}); w.restart() }},
	{failure: "The gateway is stopped", does: "answers of what is in flight are waited for; what then has none is sent again after the start", when: "2 s at the most", through: true,
		begin: func(t *testing.T, w *retryWorld) {
			w.cloud.SetFaults(cloudsim.Faults{AckDelay: time.Minute})
			time.Sleep(10 * time.Second)
			from := time.Now()
			w.stop()
			// Closing the line politely takes up to one second more.
			if took := time.Since(from); took < 2*time.Second || took > 3*time.Second {
				t.Errorf("the forwarder took %s to stop, want 2 s and a little", took)
			}
			w.cloud.SetFaults(cloudsim.Faults{})
			w.start()
			time.Sleep(time.Second)
		},
		end: func(*testing.T, *retryWorld) {}},
}
