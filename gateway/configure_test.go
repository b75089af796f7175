package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/gateway/config"
	"sluice/web"
)

// fromFile makes a gateway of a configuration file with that text, in a folder of its own or the one given.
func fromFile(t testing.TB, dir, text string) *Gateway {
	t.Helper()
	path := filepath.Join(dir, "sluice.yaml")
	if text != "" {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(path, Kinds())
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{Config: c, Path: path, Version: "test", Log: slog.New(slog.DiscardHandler), AdminPassword: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func fileOf(t *testing.T, g *Gateway) string {
	t.Helper()
	data, err := os.ReadFile(g.options.Path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func edits(lines ...string) web.ConfigChange {
	var change web.ConfigChange
	for _, line := range lines {
		path, value, _ := strings.Cut(line, " = ")
		e := web.ConfigEdit{Path: strings.Split(path, ".")}
		if value != "" {
			e.Value = json.RawMessage(value)
		}
		change.Edits = append(change.Edits, e)
	}
	return change
}

const plant = `# line 3
store: {dir: ./data}
web: {listen: ""}
rocketmq:
  listen: 127.0.0.1:0
  nameserver: 127.0.0.1:0
  access:
    - {access_key: app, secret_key: HUSH} # of the app
devices:
  - {name: press, driver: modbus, address: "tcp://127.0.0.1:1", interval: 10s, points: [{name: a, address: "holding:0"}]} # the old one
  - {name: pump, driver: modbus, address: "tcp://127.0.0.1:1", interval: 10s, points: [{name: a, address: "holding:0"}]}
`

func TestADifferenceIsToWhatRunsNow(t *testing.T) {
	g := fromFile(t, t.TempDir(), plant)
	start(t, g.Run)
	c := g.configurator
	first := edits(`rocketmq.access.app.secret_key = "QUIET"`, `devices.press.interval = "20s"`)
	first.Edits[0].Path[2] = "0" // what stands there has no name
	second := edits(`devices.pump.interval = "30s"`)
	differences := func(change web.ConfigChange) (changed []string) {
		t.Helper()
		p, err := c.Preview(change, true)
		if err != nil || len(p.Problems) > 0 {
			t.Fatalf("the preview is %+v, %v", p, err)
		}
		if strings.Contains(fmt.Sprint(p.Diff)+string(p.Document), "QUIET") || strings.Contains(fmt.Sprint(p.Diff), "HUSH") {
			t.Errorf("a secret is shown in %+v", p)
		}
		for _, line := range p.Diff {
			if line.Kind == "add" {
				changed = append(changed, strings.TrimSpace(line.Text))
			}
		}
		return changed
	}
	for range 2 {
		if got := differences(second); len(got) != 1 || !strings.Contains(got[0], "interval: 30s") {
			t.Errorf("the second change adds %q", got)
		}
	}
	if got := differences(first); len(got) != 2 || !strings.Contains(got[0], otherSecret) || !strings.Contains(got[1], "interval: 20s") {
		t.Errorf("the first change adds %q", got)
	}
	if _, err := c.Apply(first, c.State().ETag, "zoe"); err != nil {
		t.Fatal(err)
	}
	if got := differences(second); len(got) != 1 || !strings.Contains(got[0], "interval: 30s") {
		t.Errorf("behind the first change, the second adds %q", got)
	}
}

func TestAChangeIsShownAppliedAndWritten(t *testing.T) {
	g := fromFile(t, t.TempDir(), plant)
	start(t, g.Run)
	c := g.configurator
	shown, err := c.Configuration()
	if err != nil || !shown.Writable || shown.FileDiffers || strings.Contains(shown.Text, "HUSH") || !strings.Contains(string(shown.Document), `"secret_key":"***"`) {
		t.Fatalf("shown is %+v, %v", shown, err)
	}
	change := edits(`devices.press.interval = "20s"`, `devices.pump`, `devices.fan = {"name":"fan","driver":"modbus","address":"tcp://127.0.0.1:1","points":[{"name":"x","address":"holding:9"}]}`)
	p, err := c.Preview(change, true)
	if err != nil || !p.Changed || len(p.Problems) > 0 || p.Risky || p.RestartNeeded {
		t.Fatalf("the preview is %+v, %v", p, err)
	}
	if got := fmt.Sprint(p.Starts, p.Stops, p.Restarts); got != "[device fan] [device pump] [device press]" {
		t.Errorf("it moves %s", got)
	}
	if !slices.ContainsFunc(p.Diff, func(l web.DiffLine) bool {
		return l.Kind == "add" && strings.Contains(l.Text, "interval: 20s") && strings.HasSuffix(l.Text, "# the old one") && l.New == 10
	}) || !strings.Contains(string(p.Document), `"fan"`) {
		t.Errorf("the diff is %+v", p.Diff)
	}
	if fileOf(t, g) != plant {
		t.Error("a preview wrote the file")
	}
	done, err := c.Apply(change, shown.ETag, "zoe")
	if err != nil || done.Revision != 2 || done.Pending != nil || done.ETag != c.State().ETag {
		t.Fatalf("applied is %+v, %v", done, err)
	}
	if text := fileOf(t, g); text != g.Config().Text || !strings.Contains(text, "HUSH} # of the app") || !strings.Contains(text, "# the old one") || strings.Contains(text, "pump") {
		t.Errorf("the file is\n%s", text)
	}
	if deviceNamed(g, "fan") == nil || deviceNamed(g, "pump") != nil {
		t.Error("what runs is not what was applied")
	}
	if _, err := c.Apply(change, shown.ETag, "zoe"); !errors.Is(err, web.ErrChanged) {
		t.Errorf("the old tag gives %v", err)
	}
	diff, err := c.Diff(1, 2)
	if err != nil || len(diff) != len(p.Diff) {
		t.Errorf("the revisions differ by %+v, %v", diff, err)
	}
	if done, err = c.Restore(1, done.ETag, "zoe"); err != nil || done.Revision != 3 || fileOf(t, g) != plant {
		t.Errorf("restored is %+v, %v\n%s", done, err, fileOf(t, g))
	}
}

func TestMistakesInAChangeAreNamedAndChangeNothing(t *testing.T) {
	g := fromFile(t, t.TempDir(), plant)
	start(t, g.Run)
	c := g.configurator
	p, err := c.Preview(edits(`devices.press.points.0.address = "nowhere:1"`), false)
	if err != nil || len(p.Problems) != 1 || strings.Join(p.Problems[0].Path, " ") != "devices press points 0 address" || p.Problems[0].Line != 10 {
		t.Errorf("the preview says %+v, %v", p.Problems, err)
	}
	_, err = c.Apply(edits(`devices.press.driver = "x"`), c.State().ETag, "zoe")
	if wrong, ok := errors.AsType[*web.SectionError](err); !ok || len(wrong.Problems) == 0 {
		t.Errorf("applying it gives %v", err)
	}
	text := "devices: ["
	if p, err = c.Preview(web.ConfigChange{Text: &text}, true); err != nil || len(p.Problems) != 1 || p.Problems[0].Line != 1 {
		t.Errorf("no YAML gives %+v, %v", p, err)
	}
	if fileOf(t, g) != plant || g.Config().Text != plant {
		t.Error("something was changed")
	}
}

func TestATextKeepsTheSecretsThatItWasShownWithout(t *testing.T) {
	text := plant + "# password: OLD\n"
	g := fromFile(t, t.TempDir(), text)
	start(t, g.Run)
	c := g.configurator
	shown, err := c.Configuration()
	if err != nil || strings.Contains(shown.Text, "OLD") || strings.Contains(shown.Text, "HUSH") {
		t.Fatalf("shown is %s, %v", shown.Text, err)
	}
	next := strings.Replace(shown.Text, "line 3", "line 4", 1)
	if _, err := c.Apply(web.ConfigChange{Text: &next}, shown.ETag, "zoe"); err != nil || fileOf(t, g) != strings.Replace(text, "line 3", "line 4", 1) {
		t.Errorf("applied: %v\n%s", err, fileOf(t, g))
	}
	next = strings.Replace(fileOf(t, g), "HUSH", "LOUD", 1)
	p, err := c.Preview(web.ConfigChange{Text: &next}, false)
	if said := fmt.Sprint(p.Diff); err != nil || strings.Contains(said, "HUSH") || strings.Contains(said, "LOUD") || !strings.Contains(said, "another one") {
		t.Errorf("another secret shows as %s, %v", said, err)
	}
}

func TestAFileThatWasChangedByHandIsNotOverwritten(t *testing.T) {
	g := fromFile(t, t.TempDir(), plant)
	start(t, g.Run)
	c := g.configurator
	hand := plant + "# by hand\n"
	if err := os.WriteFile(g.options.Path, []byte(hand), 0o600); err != nil {
		t.Fatal(err)
	}
	state := c.State()
	if !state.FileDiffers {
		t.Error("nobody noticed")
	}
	change := edits(`devices.press.interval = "20s"`)
	if _, err := c.Apply(change, state.ETag, "zoe"); !errors.Is(err, web.ErrFileDiffers) {
		t.Errorf("a change gives %v", err)
	}
	done, err := c.Reload("zoe")
	if err != nil || c.State().FileDiffers || g.Config().Text != hand {
		t.Errorf("reloading gives %v", err)
	}
	if err := os.WriteFile(g.options.Path, []byte(plant), 0o600); err != nil {
		t.Fatal(err)
	}
	change.OverFile = true
	if _, err := c.Apply(change, done.ETag, "zoe"); err != nil || !strings.Contains(fileOf(t, g), "20s") {
		t.Errorf("writing over it gives %v", err)
	}
	if r, err := (keeper{g}).Revision(3); err != nil || r.Author != ByFile || strings.Contains(r.Text, "by hand") {
		t.Errorf("what stood in the file is %+v, %v", r, err)
	}
}

func TestTheLogsSettingsWaitForTheNextStart(t *testing.T) {
	g := fromFile(t, t.TempDir(), plant)
	start(t, g.Run)
	c := g.configurator
	change := edits(`store.limit = "1GiB"`, `devices.press.interval = "20s"`)
	if p, err := c.Preview(change, false); err != nil || !p.RestartNeeded {
		t.Errorf("the preview is %+v, %v", p, err)
	}
	done, err := c.Apply(change, c.State().ETag, "zoe")
	if err != nil || !done.RestartNeeded || !c.State().RestartNeeded || g.Config().Store.Limit != 8<<30 || !strings.Contains(fileOf(t, g), "limit: 1GiB") {
		t.Errorf("applied is %+v, %v", done, err)
	}
	if done, err = c.Apply(edits(`store.limit`), done.ETag, "zoe"); err != nil || done.RestartNeeded {
		t.Errorf("taken back it is %+v, %v", done, err)
	}
}

func TestAMovedPageComesBackWhenNobodyConfirms(t *testing.T) {
	here, there := freePort(t), freePort(t)
	g := fromFile(t, t.TempDir(), strings.Replace(plant, `listen: ""`, `listen: "`+here+`"`, 1))
	g.configurator.grace = 700 * time.Millisecond // a minute, but for the test's patience
	before := fileOf(t, g)
	start(t, g.Run)
	admin := signIn(t, here)
	etag := g.configurator.State().ETag
	body := fmt.Sprintf(`{"edits":[{"path":["web","listen"],"value":%q}]}`, there)
	if status, answer := admin.ask("POST", "/config/preview", body); status != http.StatusOK || !strings.Contains(string(answer), `"risky":true`) || !strings.Contains(string(answer), `"restarts":["web"]`) {
		t.Fatalf("the preview answers %d: %s", status, answer)
	}
	status, answer := admin.put("/config", body, etag)
	if status != http.StatusOK || !strings.Contains(string(answer), `"pending"`) {
		t.Fatalf("applying answers %d: %s", status, answer)
	}
	moved := admin.at(there)
	until(t, "the page is at its new address, and knows its users", func() bool {
		status, _ := moved.ask("GET", "/config/state", "")
		return status == http.StatusOK
	})
	if !strings.Contains(fileOf(t, g), there) {
		t.Error("the file does not say so")
	}
	until(t, "the page is back", func() bool {
		status, _ := admin.ask("GET", "/config/state", "")
		return status == http.StatusOK && g.configurator.State().Pending == nil
	})
	if fileOf(t, g) != before || g.Config().Web.Listen != here {
		t.Errorf("the file is\n%s", fileOf(t, g))
	}
	if list, err := (keeper{g}).Revisions(0, 1); err != nil || list[0].Author != ByRollBack {
		t.Errorf("the newest revision is %+v, %v", list, err)
	}
	var audits []web.Audit
	until(t, "the roll-back is in the audit log", func() bool { // which is written after it has happened
		audits, _ = (keeper{g}).FindAudits(web.AuditFilter{Text: "web.listen"}, 0, 10)
		return len(audits) == 2
	})
	was, is := strconv.Quote(here), strconv.Quote(there)
	for i, want := range []web.Audit{{User: ByRollBack, Changes: []web.KeyChange{{Path: "web.listen", Before: is, After: was}}}, {User: Administrator, Changes: []web.KeyChange{{Path: "web.listen", Before: was, After: is}}}} {
		if audits[i].User != want.User || !slices.Equal(audits[i].Changes, want.Changes) {
			t.Errorf("the audit log has %+v, want %+v", audits[i], want)
		}
	}
}

// A file that was applied on the machine itself is in the audit log too, with what it changed and no secrets.
func TestAFileThatIsAppliedIsInTheAuditLog(t *testing.T) {
	g := fromFile(t, t.TempDir(), plant)
	defer g.Close()
	changed := strings.NewReplacer("interval: 10s", "interval: 30s", "HUSH", "LOUD").Replace(fileOf(t, g))
	if err := os.WriteFile(g.options.Path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Reload(BySighup); err != nil {
		t.Fatal(err)
	}
	defer g.parts.stopAll()
	audits, err := (keeper{g}).FindAudits(web.AuditFilter{User: BySighup}, 0, 10)
	if err != nil || len(audits) != 1 || !slices.Contains(audits[0].Changes, web.KeyChange{Path: "devices.press.interval", Before: `"10s"`, After: `"30s"`}) {
		t.Fatalf("the audit log has %+v, %v", audits, err)
	}
	if said := fmt.Sprint(audits); strings.Contains(said, "HUSH") || strings.Contains(said, "LOUD") || !strings.Contains(said, `secret_key "***" "***"`) {
		t.Errorf("of a secret the audit log says %s", said)
	}
}

func TestAConfirmedChangeStays(t *testing.T) {
	_, port, _ := strings.Cut(freePort(t), ":")
	here, there := "127.0.0.1:"+port, "0.0.0.0:"+port // the same port: the old page must let go of it first
	dir := t.TempDir()
	g := fromFile(t, dir, strings.Replace(plant, `listen: ""`, `listen: "`+here+`"`, 1))
	start(t, g.Run)
	admin := signIn(t, here)
	status, answer := admin.put("/config", fmt.Sprintf(`{"edits":[{"path":["web","listen"],"value":%q}]}`, there), g.configurator.State().ETag)
	var done web.ConfigApplied
	if err := json.Unmarshal(answer, &done); status != http.StatusOK || err != nil || done.Pending == nil {
		t.Fatalf("applying answers %d: %s", status, answer)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", markFile)); err != nil {
		t.Errorf("nothing lies in the data directory: %v", err)
	}
	if _, err := g.configurator.Apply(edits(`gateway.name = "x"`), done.ETag, "zoe"); !errors.Is(err, web.ErrPending) {
		t.Errorf("a second change gives %v", err)
	}
	until(t, "it is confirmed", func() bool {
		status, _ := admin.ask("POST", "/config/confirm", fmt.Sprintf(`{"id":%q}`, done.Pending.ID))
		return status == http.StatusNoContent
	})
	if _, err := os.Stat(filepath.Join(dir, "data", markFile)); err == nil || g.configurator.State().Pending != nil || g.Config().Web.Listen != there {
		t.Error("it is not settled")
	}
	if err := g.configurator.Confirm(done.Pending.ID); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("again it gives %v", err)
	}
}

func TestAnUnconfirmedChangeIsGoneAfterARestart(t *testing.T) {
	dir := t.TempDir()
	here := freePort(t)
	g := fromFile(t, dir, strings.Replace(plant, `listen: ""`, `listen: "`+here+`"`, 1))
	before := fileOf(t, g)
	if _, err := g.configurator.Apply(edits(`web.listen = ""`), g.configurator.State().ETag, "zoe"); err != nil || fileOf(t, g) == before {
		t.Fatalf("applying gives %v", err)
	}
	g.parts.stopAll()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	g = fromFile(t, dir, "")
	defer g.Close()
	if fileOf(t, g) != before || g.Config().Text != before || g.configurator.State().Pending != nil {
		t.Errorf("after the restart the file is\n%s", fileOf(t, g))
	}
	if _, err := os.Stat(filepath.Join(dir, "data", markFile)); err == nil {
		t.Error("the mark is still there")
	}
}

func TestFiveThousandPointsArePreviewedInASecond(t *testing.T) {
	var b strings.Builder
	b.WriteString("store: {dir: ./data}\nweb: {listen: \"\"}\ndevices:\n  - name: press\n    driver: modbus\n    address: tcp://127.0.0.1:1\n    points:\n")
	var change web.ConfigChange
	for i := range 5000 {
		fmt.Fprintf(&b, "      - {name: p%d, address: \"holding:%d\", type: uint16, unit: kWh}\n", i, i)
		change.Edits = append(change.Edits, edits(fmt.Sprintf(`devices.press.points.p%d.unit = "Wh"`, i)).Edits...)
	}
	g := fromFile(t, t.TempDir(), b.String())
	defer g.Close()
	began := time.Now()
	p, err := g.configurator.Preview(change, false)
	if err != nil || len(p.Problems) > 0 || len(p.Diff) < 10000 {
		t.Errorf("the preview is %+v, %v", p.Problems, err)
	}
	t.Logf("previewed in %v", time.Since(began))
}

func TestLinesAreCompared(t *testing.T) {
	show := func(list []web.DiffLine) string {
		var b strings.Builder
		for _, l := range list {
			b.WriteString(map[string]string{"same": " ", "add": "+", "remove": "-", "gap": "~"}[l.Kind] + l.Text)
		}
		return b.String()
	}
	for _, c := range []struct{ old, now, want string }{
		{"", "", ""}, {"a", "a\n", ""}, {"", "a", "+a"}, {"a", "", "-a"}, {"a\nb\nc", "a\nc", " a-b c"}, {"a\nb", "b\na", "-a b+a"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n0", "1\n2\n3\n4\n5\n6\n7\n8\n9\nx", " 7 8 9-0+x"},
		{"x\n1\n2\n3\n4\n5\n6\n7\n8\ny", "1\n2\n3\n4\n5\n6\n7\n8", "-x 1 2 3~ 6 7 8-y"},
		{"a\na\nb\na", "a\nb\na\na", " a-a b+a a"},
	} {
		if got := show(diffLines(c.old, c.now)); got != c.want {
			t.Errorf("%q and %q differ by %q, want %q", c.old, c.now, got, c.want)
		}
	}
}
