package config

import (
	"fmt"
	"reflect"
	"strings"
)

// decoder fills Go structs from the file's tree. It never stops at a mistake: it reports it, leaves
// that value as it was and goes on, so that one run names everything that is wrong.
type decoder struct {
	file, folder string // folder: where relative paths begin
	root         *node
	kinds        Kinds
	problems     Problems
	blamed       map[string]bool // what has a problem; a second one about the same value would only confuse
	schemas      map[reflect.Type][]field
	references   []reference
	known        map[string]*profile // the profiles that were opened
	weight       int                 // of what they brought in
}

// reference is the mention of something that has to stand elsewhere in the file.
type reference struct{ path, what, name string }

func (d *decoder) report(line, column int, path, message string) {
	if d.blamed[path] {
		return
	}
	if line == 0 { // a profile brought it in
		prefix := ""
		line, column, prefix = d.named(path)
		message = prefix + message
	}
	d.blamed[path] = true
	// An alias brings the same text to many paths; its mistake is one all the same.
	mistake := fmt.Sprint(line, column, path[strings.LastIndexByte(path, '.')+1:], message)
	if d.blamed[mistake] {
		return
	}
	d.blamed[mistake] = true
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Column: column, Path: path, Message: message})
}

func (d *decoder) reportAt(path, message string) {
	line, column, brought := d.root.locate(path)
	if brought {
		line, column = 0, 0
	}
	d.report(line, column, path, message)
}

func (d *decoder) warn(path, message string) {
	line, column, brought := d.root.locate(path)
	if brought {
		prefix := ""
		line, column, prefix = d.named(path)
		message = prefix + message
	}
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Column: column, Path: path, Message: message, Warning: true})
}

func (d *decoder) schema(t reflect.Type) []field {
	fields, ok := d.schemas[t]
	if !ok {
		fields = fieldsOf(t)
		d.schemas[t] = fields
	}
	return fields
}

// decode fills v, which is settable, from n under the rules of f.
func (d *decoder) decode(n *node, path string, v reflect.Value, f *field) {
	switch {
	case n.kind == null:
		d.report(n.line, n.column, path, "empty; write "+wanted(v.Type(), f)+", or leave it out")
	case isScalarType(v.Type()):
		d.decodeText(n, path, v, f)
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			d.presets(v.Elem())
		}
		d.decode(n, path, v.Elem(), f)
	case v.Kind() == reflect.Struct:
		d.decodeSection(n, path, v)
	case v.Kind() == reflect.Slice:
		d.decodeList(n, path, v, f)
	case v.Kind() == reflect.Map:
		d.decodeMap(n, path, v, f)
	case v.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf(plain(n)))
	default:
		d.decodeScalar(n, path, v, f)
	}
}

func (d *decoder) wrongKind(n *node, path string, t reflect.Type, f *field) {
	have := n.describe()
	if t == secretType && n.scalar() {
		have = "this"
	}
	bare := ""
	if plain := plainKind(n.text); n.kind == text && (plain == integer || plain == float || plain == boolean) {
		bare = ", without quotes"
	}
	d.report(n.line, n.column, path, fmt.Sprintf("%s stands here; write %s%s", have, wanted(t, f), bare))
}

func (d *decoder) decodeSection(n *node, path string, v reflect.Value) {
	fields := d.schema(v.Type())
	if n.kind != section {
		d.wrongKind(n, path, v.Type(), nil)
		return
	}
	targets, known, complete := d.targets(n, path, v, fields)
	seen, misspelt := map[string]*entry{}, map[string]bool{}
	for i := range n.entries {
		e := &n.entries[i]
		at := join(path, e.key)
		if first := seen[e.key]; first != nil {
			if first != e && !e.merged && !first.merged {
				d.report(e.line, e.column, at, fmt.Sprintf("this key stands in line %d already; keep one of them", first.line))
			}
			continue
		}
		seen[e.key] = n.child(e.key)
		target, ok := targets[e.key]
		switch {
		case !ok && complete:
			misspelt[nearest(e.key, known)] = true
			d.report(e.line, e.column, at, fmt.Sprintf("unknown key%s; known here: %s", meant(e.key, known), strings.Join(known, ", ")))
		case ok && seen[e.key].value.kind != null:
			d.decode(seen[e.key].value, at, target.value, target.field)
		}
	}
	for _, name := range known {
		// A key that was probably misspelt has been named once.
		if t := targets[name]; t.field.required && (seen[name] != nil || !misspelt[name]) {
			d.requireKey(n, join(path, name), t, seen[name])
		}
	}
}

// target is where the value of a key goes.
type target struct {
	value reflect.Value
	field *field
}

// targets finds the place for each key of a section: the struct's own fields, and beside them those
// of the driver that it names. known lists the keys in their order; complete is false when the
// driver is not there to say which keys it knows.
func (d *decoder) targets(n *node, path string, v reflect.Value, fields []field) (targets map[string]target, known []string, complete bool) {
	targets, known, complete = map[string]target{}, names(fields), true
	for i := range fields {
		f := &fields[i]
		if f.options == "" {
			targets[f.name] = target{v.FieldByIndex(f.index), f}
			continue
		}
		options := d.openOptions(n, path, f.options)
		if options == nil {
			complete = false
			continue
		}
		v.FieldByIndex(f.index).Set(reflect.ValueOf(options))
		own := reflect.ValueOf(options).Elem()
		d.presets(own)
		inner, innerKnown, _ := d.targets(n, path, own, d.schema(own.Type()))
		for name, t := range inner {
			if _, twice := targets[name]; twice {
				panic(fmt.Sprintf("bug: %s repeats the key %q, which every section of its kind has", own.Type(), name))
			}
			targets[name] = t
		}
		known = append(known, innerKnown...)
	}
	return targets, known, complete
}

// requireKey reports a key that is missing or empty.
func (d *decoder) requireKey(n *node, path string, t target, e *entry) {
	want := "write " + wanted(t.value.Type(), t.field) + explain(t.field)
	if e == nil {
		if t.value.IsZero() {
			d.report(n.line, n.column, path, "missing; "+want)
		}
		return
	}
	empty := e.value.kind == null || e.value.kind == text && e.value.text == "" ||
		e.value.kind == list && len(e.value.items) == 0
	if empty {
		d.report(e.value.line, e.value.column, path, "empty; "+want)
	}
}

func explain(f *field) string {
	if f.doc == "" {
		return ""
	}
	return ": " + f.doc
}

func (d *decoder) decodeList(n *node, path string, v reflect.Value, f *field) {
	if n.kind != list {
		d.wrongKind(n, path, v.Type(), f)
		return
	}
	each := f.forItem()
	items := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, value := range n.items {
		into := items.Index(i)
		d.presets(into)
		d.decode(value, item(path, i), into, each)
	}
	v.Set(items)
	d.bounds(n, path, v, f)
	if f.unique != "" {
		d.unique(n, path, f.unique)
	}
}

// unique reports the items of a list that share a key which tells them apart.
func (d *decoder) unique(n *node, path, key string) {
	first := map[string]int{}
	for i, each := range n.items {
		e := each.child(key)
		if e == nil || !e.value.scalar() || e.value.text == "" {
			continue
		}
		name := e.value.text
		j, twice := first[name]
		if !twice {
			first[name] = i
			continue
		}
		line, _ := d.root.find(join(item(path, j), key))
		d.report(e.value.line, e.value.column, join(item(path, i), key),
			fmt.Sprintf("%q is taken by %s in line %d; each needs its own %s", clip(name), item(path, j), line, key))
	}
}

func (d *decoder) decodeMap(n *node, path string, v reflect.Value, f *field) {
	if n.kind != section {
		d.wrongKind(n, path, v.Type(), f)
		return
	}
	each := f.forItem()
	out := reflect.MakeMapWithSize(v.Type(), len(n.entries))
	for i := range n.entries {
		e := &n.entries[i]
		key := reflect.ValueOf(e.key).Convert(v.Type().Key())
		switch had := n.child(e.key); {
		case had == e:
			into := reflect.New(v.Type().Elem()).Elem()
			d.presets(into)
			d.decode(e.value, join(path, e.key), into, each)
			out.SetMapIndex(key, into)
		case !e.merged && !had.merged:
			d.report(e.line, e.column, join(path, e.key), fmt.Sprintf("this key stands in line %d already; keep one of them", had.line))
		}
	}
	v.Set(out)
	d.bounds(n, path, v, f)
}

// presets fills in the default tags of everything in v that has no value yet.
func (d *decoder) presets(v reflect.Value) {
	if v.Kind() != reflect.Struct || isScalarType(v.Type()) {
		return
	}
	for _, f := range d.schema(v.Type()) {
		if f.options != "" {
			continue
		}
		value := v.FieldByIndex(f.index)
		if f.preset == "" || !value.IsZero() {
			d.presets(value)
			continue
		}
		if err := setText(value, f.preset); err != nil {
			panic(fmt.Sprintf("bug: the default of %s.%s: %v", v.Type(), f.name, err))
		}
	}
}

// plain gives a value without a schema, for fields of type any.
func plain(n *node) any {
	switch n.kind {
	case list:
		out := make([]any, len(n.items))
		for i := range n.items {
			out[i] = plain(n.items[i])
		}
		return out
	case section:
		out := map[string]any{}
		for i := range n.entries {
			out[n.entries[i].key] = plain(n.child(n.entries[i].key).value)
		}
		return out
	}
	return plainScalar(n)
}
