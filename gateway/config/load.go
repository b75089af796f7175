package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Kinds are the drivers of this build. Driver and Uplink give a fresh pointer to a driver's options
// struct with its defaults, in which ok is false for a driver that is not there; the names are for
// messages. The struct obeys the tags that the package comment lists.
type Kinds struct {
	Driver      func(kind string) (options any, ok bool)
	DriverNames []string
	Uplink      func(kind string) (options any, ok bool)
	UplinkNames []string
	// Profile gives the file of a device profile: a section with driver, defaults and points.
	Profile      func(name string) ([]byte, bool)
	ProfileNames []string
	// Payload reports what tags cannot say about what a route makes of its messages; nil: nothing.
	Payload func(p Payload, report func(path, problem string))
	// Devices reports what goes wrong between the devices' points, groups and expressions; nil: nothing.
	Devices func(c *Config, report func(path, problem string))
}

// Validator is implemented by options that know more than tags can say. Paths are relative to the
// section, for example points[3].address, and empty for the section itself. Validate is called even
// when other mistakes were found, and sees the zero value or the default where one was.
type Validator interface {
	Validate(report func(path, problem string))
}

// Referrer is implemented by options that name something elsewhere in the file. what is "bus". An
// address of the form bus://NAME needs no Referrer.
type Referrer interface {
	Refer(to func(path, what, name string))
}

// Router is implemented by uplink options that know where messages go and in which payload format,
// unless a route says otherwise; what is empty they do not know.
type Router interface {
	Route() (to, format string)
}

// Load reads and checks the file at path. The error is a Problems when the file could be read but
// not used; it then holds the warnings as well.
func Load(path string, kinds Kinds) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, data, kinds)
}

// Parse checks data as if it stood in the file called name: relative paths in it begin at that
// file's folder. The error is a Problems.
func Parse(name string, data []byte, kinds Kinds) (*Config, error) {
	root, bad := parseYAML(data)
	if bad != nil {
		return nil, Problems{{File: name, Line: bad.line, Column: bad.column, Message: bad.message}}
	}
	return decodeFile(name, string(data), root, kinds)
}

// Config checks the document as it was read, or as Edited gave it, as Parse checks its text.
func (d *Document) Config(name string, kinds Kinds) (*Config, error) {
	text := d.Source()
	if d.open {
		return Parse(name, []byte(text), kinds) // a last line without an end may say something else
	}
	return decodeFile(name, text, d.tree, kinds)
}

// decodeFile leaves the tree as it is.
func decodeFile(name, text string, root *node, kinds Kinds) (*Config, error) {
	if root == nil || root.kind == null {
		root = &node{kind: section, line: 1, column: 1}
	}
	d := decoder{
		file: name, folder: filepath.Dir(name), root: root, kinds: kinds,
		blamed: map[string]bool{}, schemas: map[reflect.Type][]field{}, known: map[string]*profile{},
	}
	var c Config
	v := reflect.ValueOf(&c).Elem()
	d.presets(v)
	d.profiles()
	d.decodeSection(d.root, "", v)
	d.routes(&c)
	d.validate(&c)
	d.check(&c)
	d.later()
	d.problems.sort()
	if d.problems.serious() {
		return nil, d.problems
	}
	c.Warnings = d.problems
	c.Text = text
	return &c, nil
}

// openOptions gives fresh options for the driver that a section names, or nil with a report.
func (d *decoder) openOptions(n *node, path, which string) any {
	open, have := d.kinds.Driver, d.kinds.DriverNames
	if which == "uplink" {
		open, have = d.kinds.Uplink, d.kinds.UplinkNames
	}
	here := "this version has none"
	if len(have) > 0 {
		here = "this version has " + strings.Join(slices.Sorted(slices.Values(have)), ", ")
	}
	e, at := n.child("driver"), join(path, "driver")
	switch {
	case e == nil:
		d.report(n.line, n.column, at, "missing; "+here)
		return nil
	case e.value.kind == null || e.value.kind == text && e.value.text == "":
		d.report(e.value.line, e.value.column, at, "empty; "+here)
		return nil
	case e.value.kind != text:
		return nil // of the wrong kind, which its own rules report
	}
	kind := e.value.text
	if open != nil {
		if options, ok := open(kind); ok {
			if v := reflect.ValueOf(options); v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
				panic(fmt.Sprintf("bug: the options of driver %s are a %T, not a pointer to a struct", kind, options))
			}
			return options
		}
	}
	d.report(e.value.line, e.value.column, at, fmt.Sprintf("%q is not a driver%s; %s", clip(kind), meant(kind, have), here))
	return nil
}

// validate asks the options what tags could not say.
func (d *decoder) validate(c *Config) {
	all := map[string]any{}
	for i := range c.Devices {
		all[item("devices", i)] = c.Devices[i].Options
	}
	for i := range c.Uplinks {
		all[item("uplinks", i)] = c.Uplinks[i].Options
		if d.kinds.Payload == nil {
			continue
		}
		for j, route := range c.Uplinks[i].Forward {
			path := item(item("uplinks", i)+".forward", j) + ".payload"
			d.kinds.Payload(route.Payload, func(at, problem string) { d.reportAt(join(path, at), problem) })
		}
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if v, ok := all[path].(Validator); ok {
			v.Validate(func(at, problem string) { d.reportAt(join(path, at), problem) })
		}
		if r, ok := all[path].(Referrer); ok {
			r.Refer(func(at, what, name string) {
				d.references = append(d.references, reference{join(path, at), what, name})
			})
		}
	}
	// Only of what is sound in itself can be said whether it fits together.
	if d.kinds.Devices != nil && !d.problems.serious() {
		d.kinds.Devices(c, d.reportAt)
	}
}
