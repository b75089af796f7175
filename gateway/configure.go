package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"time"

	"sluice/gateway/config"
	"sluice/store"
	"sluice/web"
)

// configurator changes the configuration for the page: its text, what runs, and the file.
type configurator struct {
	gateway *Gateway
	grace   time.Duration // to confirm a change in

	changing sync.Mutex // one change at a time; guards runs
	runs     asShown    // the running text, once its difference to another was asked for

	mu      sync.Mutex // guards what follows
	pending *unconfirmed
	turned  chan struct{} // a place: pending has changed
	waits   string        // the tag of a text whose settings for the log count from the next start on
}

// confirmWithin is how long a change of the page's address waits until it is confirmed.
const confirmWithin = time.Minute

func newConfigurator(g *Gateway) *configurator {
	return &configurator{gateway: g, grace: confirmWithin, turned: make(chan struct{}, 1)}
}

func etagOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// State says which configuration runs.
func (c *configurator) State() web.ConfigState {
	return c.stateOf(c.gateway.Config())
}

func (c *configurator) stateOf(running *config.Config) web.ConfigState {
	path := c.gateway.options.Path
	state := web.ConfigState{ETag: etagOf(running.Text), Path: path, Pending: c.shownPending()}
	state.RestartNeeded = c.storeWaits(state.ETag)
	if path == "" {
		return state
	}
	text, err := os.ReadFile(path)
	state.FileDiffers = err != nil || string(text) != running.Text
	state.Writable = writable(path)
	return state
}

// writable says whether the file at path can be replaced.
func writable(path string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	const mayWrite = 2 // W_OK of access(2)
	return syscall.Access(filepath.Dir(path), mayWrite) == nil
}

// Configuration shows what runs.
func (c *configurator) Configuration() (web.Configuration, error) {
	running := c.gateway.Config()
	shown := web.Configuration{ConfigState: c.stateOf(running)}
	d, err := config.ReadDocument(c.gateway.options.Path, []byte(running.Text))
	if err != nil {
		// It runs, and yet it cannot be edited by parts, which the next change will say.
		shown.Text, shown.Document = withoutSecrets(running.Text), []byte("{}")
		return shown, nil
	}
	if shown.Document, err = d.JSON(secretKeys()); err != nil {
		return shown, err
	}
	shown.Text = hideIn(d, running.Text, nil)
	return shown, nil
}

// proposal is a change that was looked at: what it would make of the configuration.
type proposal struct {
	running  *config.Config
	text     string
	document *config.Document // the text taken apart; nil when it cannot be
	next     *config.Config   // nil with problems
	problems []web.SectionProblem
	warnings []web.SectionProblem
}

// propose makes the new text and reads it.
func (c *configurator) propose(change web.ConfigChange) (*proposal, error) {
	p := &proposal{running: c.gateway.Config(), problems: []web.SectionProblem{}, warnings: []web.SectionProblem{}}
	if p.running.Text == "" {
		return nil, web.ErrNoFile
	}
	document, text, err := changed(c.gateway.options.Path, p.running.Text, change)
	if wrong, ok := errors.AsType[*config.EditError](err); ok {
		p.problems = append(p.problems, web.SectionProblem{Path: append([]string{}, wrong.Path...), Line: wrong.Line, Text: wrong.Text})
		p.text, p.document = p.running.Text, takenApart(p.running.Text)
		return p, nil
	}
	if wrong, ok := errors.AsType[config.Problems](err); ok {
		p.text = p.running.Text
		c.show(p, wrong)
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	p.document, p.text = document, text
	return p, c.check(p)
}

// check reads the new text, as the gateway would read its file.
func (c *configurator) check(p *proposal) (err error) {
	if p.document != nil {
		p.next, err = p.document.Config(c.name(), Kinds())
	} else {
		p.next, err = config.Parse(c.name(), []byte(p.text), Kinds())
	}
	wrong, mistaken := errors.AsType[config.Problems](err)
	switch {
	case mistaken:
		c.show(p, wrong)
	case err != nil:
		return err
	default:
		c.show(p, p.next.Warnings)
	}
	return nil
}

// name is the file as whose text the configuration is read: relative paths begin at its folder.
func (c *configurator) name() string {
	if path := c.gateway.options.Path; path != "" {
		return path
	}
	return "sluice.yaml"
}

// show sorts what was said about a text into problems and warnings.
func (c *configurator) show(p *proposal, said config.Problems) {
	if len(said) == 0 {
		return
	}
	for _, each := range said {
		shown := web.SectionProblem{Path: []string{}, Line: each.Line, Text: each.Message}
		if p.document != nil {
			shown.Path = p.document.Steps(each.Path)
		}
		if each.Warning {
			p.warnings = append(p.warnings, shown)
		} else {
			p.problems = append(p.problems, shown)
		}
	}
}

// changed gives the new text, in which nothing else differs from the old, and the same taken apart, unless it
// cannot be.
func changed(name, text string, change web.ConfigChange) (*config.Document, string, error) {
	if change.Text != nil {
		whole, err := putSecretsBack(text, *change.Text)
		return takenApart(whole), whole, err
	}
	d, err := config.ReadDocument(name, []byte(text))
	if err != nil {
		return nil, "", err
	}
	edits := make([]config.Edit, len(change.Edits))
	for i, e := range change.Edits {
		edits[i] = config.Edit(e)
	}
	if err := d.Edit(edits, secretKeys()); err != nil {
		return nil, "", err
	}
	next, err := d.Edited()
	if err != nil {
		return nil, "", err
	}
	return next, next.Source(), nil
}

// takenApart is nil for what cannot be edited; what is wrong with it is found elsewhere.
func takenApart(text string) *config.Document {
	d, err := config.ReadDocument("", []byte(text))
	if err != nil {
		return nil
	}
	return d
}

// Apply makes a change.
func (c *configurator) Apply(change web.ConfigChange, etag, user string) (web.ConfigApplied, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if err := c.ready(etag, change.OverFile); err != nil {
		return web.ConfigApplied{}, err
	}
	p, err := c.propose(change)
	if err != nil {
		return web.ConfigApplied{}, err
	}
	return c.apply(p, user)
}

// Restore applies the text of a revision.
func (c *configurator) Restore(revision uint64, etag, user string) (web.ConfigApplied, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if err := c.ready(etag, false); err != nil {
		return web.ConfigApplied{}, err
	}
	text, err := c.revision(revision)
	if err != nil {
		return web.ConfigApplied{}, err
	}
	p := &proposal{running: c.gateway.Config(), text: text, document: takenApart(text), problems: []web.SectionProblem{}}
	if err := c.check(p); err != nil {
		return web.ConfigApplied{}, err
	}
	return c.apply(p, user)
}

// ready says why nothing can be changed now.
func (c *configurator) ready(etag string, overFile bool) error {
	state := c.State()
	switch {
	case !state.Writable:
		return web.ErrNoFile
	case state.Pending != nil:
		return web.ErrPending
	case etag != state.ETag:
		return web.ErrChanged
	case !state.FileDiffers:
		return nil
	case !overFile:
		return web.ErrFileDiffers
	}
	// What somebody wrote by hand is not lost.
	text, err := os.ReadFile(state.Path)
	if err != nil {
		return nil // there is no such file any more
	}
	return c.gateway.admin.AddRevision(store.Revision{Author: ByFile, Text: string(text)})
}

// apply runs what was proposed, then writes it into the file. With an error the old configuration runs on
// and the file is as it was.
func (c *configurator) apply(p *proposal, user string) (done web.ConfigApplied, err error) {
	if len(p.problems) > 0 {
		return done, &web.SectionError{Problems: p.problems}
	}
	next := c.gateway.withStore(p.running, p.next)
	risky := !reflect.DeepEqual(p.running.Web, next.Web)
	if risky && next != p.next {
		return done, &web.SectionError{Problems: []web.SectionProblem{{Path: []string{"store"}, Text: "the log's settings count from the next start on, and the page's address at once; change one after the other"}}}
	}
	var waiting *unconfirmed
	if risky {
		if waiting, err = c.mark(p.running.Text); err != nil {
			return done, err
		}
	}
	undo := func(err error) error {
		if waiting != nil {
			err = errors.Join(err, c.unmark())
		}
		return err
	}
	if err := c.gateway.Apply(next, user); err != nil {
		return done, undo(err)
	}
	if err := config.WriteAtomic(c.gateway.options.Path, []byte(p.text)); err != nil {
		return done, undo(errors.Join(err, c.gateway.Apply(p.running, ByRollBack)))
	}
	c.noteStore(p.next, next)
	if waiting != nil {
		c.wait(waiting)
	}
	done = c.outcome()
	done.Changes = keyChanges(p.running.Text, p.text, p.document)
	return done, nil
}

// keyChanges tells by which keys two texts differ, without their secrets; none when one of them cannot be taken
// apart. d is the new text taken apart, or nil.
func keyChanges(old, now string, d *config.Document) (changes []web.KeyChange) {
	before := takenApart(old)
	if d == nil {
		d = takenApart(now)
	}
	if old == now || before == nil || d == nil {
		return nil
	}
	for _, change := range config.Changes(before, d, secretKeys()) {
		changes = append(changes, web.KeyChange(change))
	}
	return changes
}

// outcome describes what runs after a change.
func (c *configurator) outcome() web.ConfigApplied {
	running := c.gateway.Config()
	done := web.ConfigApplied{ETag: etagOf(running.Text), Pending: c.shownPending()}
	done.RestartNeeded = c.storeWaits(done.ETag)
	if newest, err := c.gateway.admin.Revisions(0, 1); err == nil && len(newest) == 1 && newest[0].Text == running.Text {
		done.Revision = newest[0].Number
	}
	return done
}

// Reload applies the file as it is. Whoever asks for it has seen the file: what waited to be confirmed is.
func (c *configurator) Reload(user string) (web.ConfigApplied, error) {
	if c.gateway.options.Path == "" {
		return web.ConfigApplied{}, web.ErrNoFile
	}
	_, changes, err := c.gateway.reload(user)
	if wrong, ok := errors.AsType[config.Problems](err); ok {
		p := &proposal{document: takenApart("")}
		c.show(p, wrong)
		return web.ConfigApplied{}, &web.SectionError{Problems: p.problems}
	}
	if err != nil {
		return web.ConfigApplied{}, err
	}
	done := c.outcome()
	done.Changes = changes
	return done, nil
}

// Reload applies the file of Options.Path as it is now, for author: BySighup, say. It gives what it read; an error
// leaves the old configuration running. The audit log has what was changed.
func (g *Gateway) Reload(author string) (*config.Config, error) {
	c, changes, err := g.reload(author)
	if err == nil {
		g.recordConfig(author, "configuration file applied", changes)
	}
	return c, err
}

// reload is Reload that leaves it to its caller to record the changes.
func (g *Gateway) reload(author string) (c *config.Config, changes []web.KeyChange, err error) {
	g.configurator.changing.Lock()
	defer g.configurator.changing.Unlock()
	if c, err = config.Load(g.options.Path, Kinds()); err != nil {
		return nil, nil, err
	}
	running := g.Config()
	next := g.withStore(running, c)
	if err := g.Apply(next, author); err != nil {
		return nil, nil, err
	}
	g.configurator.noteStore(c, next)
	changes = keyChanges(running.Text, c.Text, nil)
	if g.configurator.shownPending() == nil {
		return c, changes, nil
	}
	return c, changes, g.configurator.settle()
}

// recordConfig makes an audit record of a change of the configuration that came over no connection.
func (g *Gateway) recordConfig(author, action string, changes []web.KeyChange) {
	if err := g.admin.AddAudit(store.Audit{User: author, Action: action, Changes: keptChanges(changes)}); err != nil {
		g.log.Warn("an audit record could not be written", "action", action, "user", author, "err", err)
	}
}

// withStore gives next as it can run now, itself if nothing is in the way: the log keeps its settings until
// the next start.
func (g *Gateway) withStore(running, next *config.Config) *config.Config {
	if reflect.DeepEqual(running.Store, next.Store) {
		return next
	}
	now := *next
	now.Store = running.Store
	return &now
}

// noteStore notes whether what was read runs but for the log's settings.
func (c *configurator) noteStore(read, runs *config.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = ""
	if read != runs {
		c.waits = etagOf(read.Text)
		c.gateway.log.Warn("the log's settings were changed and count from the next start on")
	}
}

// storeWaits says whether the text with that tag has settings for the log that do not count yet.
func (c *configurator) storeWaits(etag string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waits == etag
}

// Diff compares two revisions.
func (c *configurator) Diff(from, to uint64) ([]web.DiffLine, error) {
	old, err := c.revision(from)
	if err != nil {
		return nil, err
	}
	now := c.gateway.Config().Text
	if to != 0 {
		if now, err = c.revision(to); err != nil {
			return nil, err
		}
	}
	return compare(old, now), nil
}

func (c *configurator) revision(number uint64) (string, error) {
	r, known, err := c.gateway.admin.Revision(number)
	if err == nil && !known {
		err = fmt.Errorf("revision %d: %w; the last 1,000 are kept", number, web.ErrUnknown)
	}
	return r.Text, err
}

// compare shows what lies between two texts, without their secrets.
func compare(old, now string) []web.DiffLine {
	before, known := hideBoth(old, nil, nil)
	after, _ := hideBoth(now, nil, known)
	return diffLines(before, after)
}
