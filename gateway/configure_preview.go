package gateway

import (
	"reflect"
	"slices"

	"sluice/gateway/config"
	"sluice/web"
)

// Preview says what a change would do.
func (c *configurator) Preview(change web.ConfigChange, document bool) (web.ConfigPreview, error) {
	c.changing.Lock() // one at a time too: a large configuration is work
	defer c.changing.Unlock()
	p, err := c.propose(change)
	if err != nil {
		return web.ConfigPreview{}, err
	}
	shown := web.ConfigPreview{
		ETag: etagOf(p.running.Text), Changed: p.text != p.running.Text, Diff: []web.DiffLine{},
		Starts: []string{}, Stops: []string{}, Restarts: []string{}, Problems: p.problems, Warnings: p.warnings,
	}
	if p.next != nil {
		next := c.gateway.withStore(p.running, p.next)
		shown.RestartNeeded = next != p.next
		shown.Risky = !reflect.DeepEqual(p.running.Web, next.Web)
		shown.Starts, shown.Stops, shown.Restarts = c.gateway.moves(p.running, next)
	}
	if document && p.document != nil { // else the problems say it
		if shown.Document, err = p.document.JSON(secretKeys()); err != nil {
			return shown, err
		}
	}
	if shown.Changed {
		shown.Diff = c.differenceLocked(p)
	}
	return shown, nil
}

// asShown is a text of the configuration as people see it, and the secrets that it hides.
type asShown struct {
	text, shown string
	secrets     map[string]bool
}

// differenceLocked compares what was proposed with what runs, and spoils the proposal's document. To hide the secrets
// of a large configuration takes as long as to check it, so what was found for the one that runs is kept.
func (c *configurator) differenceLocked(p *proposal) []web.DiffLine {
	if c.runs.text != p.running.Text {
		c.runs.text = p.running.Text
		c.runs.shown, c.runs.secrets = hideBoth(p.running.Text, nil, nil)
	}
	after, _ := hideBoth(p.text, p.document, c.runs.secrets)
	return diffLines(c.runs.shown, after)
}

// moves says what Apply would start, stop and replace.
func (g *Gateway) moves(running, next *config.Config) (starts, stops, restarts []string) {
	starts, stops, restarts = []string{}, []string{}, []string{}
	had := map[string]any{}
	g.mu.Lock()
	for _, p := range g.placed {
		had[p.name] = p.spec
	}
	g.mu.Unlock()
	for name, line := range linesOf(running) {
		had["bus "+name] = line
	}
	note := func(name string, spec any) {
		was, there := had[name]
		delete(had, name)
		switch {
		case name == placeCommands: // which follows the devices and is none of anybody's concern
		case !there:
			starts = append(starts, name)
		case !reflect.DeepEqual(was, spec):
			restarts = append(restarts, name)
		}
	}
	for name, line := range linesOf(next) {
		note("bus "+name, line)
	}
	for _, wanted := range g.places(next) {
		note(wanted.name, wanted.spec)
	}
	for name := range had {
		stops = append(stops, name)
	}
	slices.Sort(starts)
	slices.Sort(stops)
	slices.Sort(restarts)
	return starts, stops, restarts
}

// Schema describes every key.
func (c *configurator) Schema() web.ConfigSchema {
	kinds := Kinds()
	schema := web.ConfigSchema{
		Sections: map[string][]config.Field{}, Drivers: map[string]web.DriverSchema{}, Kinds: map[string][]config.Field{},
	}
	for _, f := range config.Describe(config.Config{}) {
		schema.Sections[f.Name] = append([]config.Field{}, f.Fields...)
	}
	for _, name := range kinds.DriverNames {
		options, _ := kinds.Driver(name)
		driver := web.DriverSchema{Device: []config.Field{}, Point: []config.Field{}}
		for _, f := range config.Describe(options) {
			if f.Name == "points" {
				driver.Point = append(driver.Point, f.Fields...)
			} else {
				driver.Device = append(driver.Device, f)
			}
		}
		schema.Drivers[name] = driver
	}
	for _, name := range kinds.UplinkNames {
		options, _ := kinds.Uplink(name)
		schema.Kinds[name] = append([]config.Field{}, config.Describe(options)...)
	}
	return schema
}
