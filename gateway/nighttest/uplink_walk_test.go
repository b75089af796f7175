//go:build linux

package nighttest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// walk is one gateway on its way through all outages.
type walk struct {
	line   *line
	plcs   *plant
	papers papers
	door   *door
	cloud  farCloud
	record *record
	g      *gateway
	n      *night
	long   bool
	log    []string
}

// outagePhase is one thing that goes wrong for a while. It is over when the cloud gets more again.
type outagePhase struct {
	name       string
	begin, end func(t *testing.T)
	during     func(t *testing.T) // default: the phase's length goes by
	says       string             // what the gateway says about it meanwhile
	kill       bool               // the gateway is killed in the middle
	steady     bool               // the connection must live through it
	rests      int                // how often the cloud itself is ended
}

const (
	slowLine  = 64_000 // bits a second
	flap      = 2 * time.Second
	lateBy    = 1500 * time.Millisecond
	cutBehind = 37 // messages, or batches of them
)

func (w *walk) phases() []outagePhase {
	manner := func(m manners) func(*testing.T) { return func(*testing.T) { w.door.behave(m) } }
	good := manners{certificate: w.papers.good}
	nothing := func(*testing.T) {}
	phases := []outagePhase{
		{name: "calm", begin: nothing, end: nothing, steady: true},
		{name: "packets dropped", begin: w.line.cut, end: w.line.heal, kill: true},
		{name: "line of 64 kbit/s", begin: func(t *testing.T) { w.line.slow(t, slowLine) }, during: w.crawl, end: w.line.fast, kill: w.long},
		{name: "flapping every 2 s", begin: nothing, during: w.flap, end: nothing, kill: true},
		{name: "broker accepts and never answers", begin: manner(manners{certificate: good.certificate, silent: true}), end: manner(good),
			says: "no answer", kill: w.long},
		{name: "acknowledges late", begin: func(*testing.T) { w.door.delay(lateBy) }, end: func(*testing.T) { w.door.delay(0) }, steady: true},
		{name: "cloud ended", begin: w.cloud.rest, end: w.cloud.comeBack, kill: w.long, rests: 1},
		{name: "disconnects behind message 37", begin: manner(manners{certificate: good.certificate, cutAt: cutBehind}), during: w.progress, end: manner(good), kill: w.long},
		{name: "wrong certificate", begin: manner(manners{certificate: w.papers.strangers}), end: manner(good), says: "authority"},
		{name: "expired certificate", begin: manner(manners{certificate: w.papers.expired}), end: manner(good), says: "expired", kill: w.long},
	}
	for i, r := range w.cloud.refusals() {
		phases = append(phases, outagePhase{name: r.name, begin: manner(manners{certificate: good.certificate, refuse: r}), end: manner(good), says: r.says, kill: i == 0})
	}
	return append(phases, outagePhase{name: "gateway killed while it drains", begin: nothing, during: w.killDraining, end: nothing, rests: w.drains()})
}

// length is how long a phase lasts.
func (w *walk) length() time.Duration {
	if w.long {
		return 15 * time.Second
	}
	return 1200 * time.Millisecond
}

func (w *walk) run(t *testing.T, p outagePhase) {
	t.Helper()
	begin, kills, logins, count := time.Now(), w.n.kills, w.door.passed(), w.record.count()
	rewinds, repeats := w.cloud.far()
	spell := w.n.begins(p.name, 0, uplinkWindow+repeats)
	p.begin(t)
	if p.kill && p.during == nil {
		time.Sleep(between(0, w.length()/2))
		w.n.killGateway(t, w.g)
	}
	if p.during != nil {
		p.during(t)
	} else {
		time.Sleep(w.length())
	}
	if p.says != "" {
		until(t, time.Minute, fmt.Sprintf("%q in what the gateway says while: %s", p.says, p.name), func() bool {
			return strings.Contains(w.said(t), p.says)
		})
	}
	said := w.said(t)
	if p.kill && p.during != nil {
		w.n.killGateway(t, w.g)
	}
	p.end(t)
	before := w.record.count()
	until(t, 3*time.Minute, "readings in the cloud after: "+p.name, func() bool {
		w.g.process.alive(t)
		return w.record.count() > before+20 && w.said(t) == ""
	})
	came := w.door.passed() - logins
	if p.steady && came > 0 {
		t.Errorf("%s: %d new connections, want the old one to live", p.name, came)
	}
	spell.rewinds = came + rewinds*p.rests
	spell.until = w.record.count() + uplinkWindow + 2*subscriberLag
	w.log = append(w.log, fmt.Sprintf("%-34s %5.1f s, %d kills, %2d logins, %6d deliveries, backlog %6d; said %.90q",
		p.name, time.Since(begin).Seconds(), w.n.kills-kills, came, w.record.count()-count, w.status(t).backlog(), said))
}

// said is what the gateway says of its uplink's trouble.
func (w *walk) said(t *testing.T) string {
	t.Helper()
	return w.status(t).Uplinks[0].LastError
}

// status asks until there is an answer: what is judged here is the delivery, and a machine that has
// other things to do may take its time for a login.
func (w *walk) status(t *testing.T) (s status) {
	t.Helper()
	until(t, 2*time.Minute, "the status", func() (answered bool) {
		w.g.process.alive(t)
		var err error
		s, err = w.g.askStatus(t.Context())
		return err == nil
	})
	return s
}

// crawl waits on the slow line, and looks at whether it is one.
func (w *walk) crawl(t *testing.T) {
	t.Helper()
	time.Sleep(w.length()) // until what was under way is through
	count, begin := w.record.count(), time.Now()
	time.Sleep(2 * w.length())
	until(t, time.Minute, "a batch to be through", func() bool { return w.record.count() > count })
	came := w.record.count() - count
	// A reading with its topic and packet has well over 150 bytes.
	most := int(slowLine / 8 / 150 * time.Since(begin).Seconds() * 1.3)
	if came > most+uplinkWindow {
		t.Errorf("%d readings in %v over a line that carries 64 kbit/s, want about %d at the most", came, time.Since(begin), most)
	}
}

func (w *walk) flap(t *testing.T) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < max(2*flap, 2*w.length()); {
		w.line.cut(t)
		time.Sleep(flap)
		w.line.heal(t)
		time.Sleep(flap)
	}
}

// progress waits until connections that end behind their 37th message have brought a few hundred up.
func (w *walk) progress(t *testing.T) {
	t.Helper()
	count, logins := w.record.count(), w.door.passed()
	until(t, 2*time.Minute, "progress over short connections", func() bool {
		return w.record.count() > count+5*cutBehind && w.door.passed() > logins+2
	})
}

func (w *walk) drains() int {
	if w.long {
		return 3
	}
	return 1
}

// killDraining kills the gateway again and again while it catches up.
func (w *walk) killDraining(t *testing.T) {
	t.Helper()
	for range w.drains() {
		w.cloud.rest(t)
		w.n.silent(&spell{})
		time.Sleep(w.length())
		at := w.record.count() + 100
		w.cloud.comeBack(t)
		until(t, time.Minute, "the beginning of the drain", func() bool { return w.record.count() > at })
		w.n.killGateway(t, w.g)
	}
}

// verdict ends the walk: nothing new comes, what waits is brought up, and all of it is judged.
func (w *walk) verdict(t *testing.T, order string) {
	t.Helper()
	w.plcs.stop()
	w.status(t)
	end := w.g.drained(t, w.record)
	until(t, time.Minute, "an end of the record", func() bool {
		count := w.record.count()
		time.Sleep(500 * time.Millisecond)
		return w.record.count() == count
	})
	w.g.stop(t)
	w.cloud.spent(t)
	var outages []outage
	for _, s := range w.n.outages {
		outages = append(outages, s.outage)
	}
	record := w.record.deliveries(t)
	var v *verdict
	switch {
	case order == "live-first":
		v = judgeLanes(record, outages, lanes...)
		for _, lane := range lanes {
			if !slices.ContainsFunc(record, func(d delivery) bool { return strings.HasPrefix(d.topic, lane) }) {
				t.Errorf("nothing came on %s", lane)
			}
		}
	case w.cloud.inOneOrder():
		v = judge(record, outages)
	default:
		v = judgeLanes(record, outages, "plants/")
	}
	v.complete(end.seqs())
	v.report(t)
	least := slices.MinFunc(end.Devices, func(a, b device) int { return cmp.Compare(a.Seq, b.Seq) }).Seq
	t.Logf("%d devices, %d readings of each at the least, %d kills, down %v\n%s\n%s",
		len(end.Devices), least, w.n.kills, w.g.down.Round(time.Millisecond), strings.Join(w.log, "\n"), v.summary())
}
