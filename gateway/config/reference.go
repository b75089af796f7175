package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteReference writes every key of the configuration as Markdown, with the drivers of kinds.
func WriteReference(w io.Writer, kinds Kinds) error {
	var b bytes.Buffer
	b.WriteString("# Configuration\n\n")
	b.WriteString("One YAML file. Unknown keys and impossible values are refused with their line; `sluice check --config FILE` names them all.\n")
	b.WriteString("Relative paths begin at the folder of the file. Durations are written 200ms, 5s, 720h, sizes 4GiB, 500MB.\n")
	for _, f := range Describe(Config{}) {
		writeSection(&b, 2, f)
		switch f.Name {
		case "devices":
			writeKinds(&b, "driver", kinds.Driver, kinds.DriverNames)
		case "uplinks":
			writeKinds(&b, "uplink driver", kinds.Uplink, kinds.UplinkNames)
		}
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	return nil
}

func writeKinds(b *bytes.Buffer, what string, open func(string) (any, bool), names []string) {
	for _, name := range names {
		options, ok := open(name)
		if !ok {
			panic("bug: the driver " + name + " is listed but cannot be opened")
		}
		fields := Describe(options)
		fmt.Fprintf(b, "\n### The %s `%s`\n\n", what, name)
		if len(fields) == 0 {
			b.WriteString("It has no keys of its own.\n")
			continue
		}
		writeTable(b, "", fields)
	}
}

func writeSection(b *bytes.Buffer, level int, f Field) {
	fmt.Fprintf(b, "\n%s `%s`\n\n%s\n", strings.Repeat("#", level), f.Name, f.Doc)
	if f.List {
		b.WriteString("A list; each item has these keys.\n")
	}
	b.WriteByte('\n')
	writeTable(b, "", f.Fields)
}

func writeTable(b *bytes.Buffer, prefix string, fields []Field) {
	b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	writeRows(b, prefix, fields)
}

func writeRows(b *bytes.Buffer, prefix string, fields []Field) {
	for _, f := range fields {
		name := prefix + f.Name
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, typeCell(f), defaultCell(f), cell(f.Doc))
		inner := name + "."
		if f.List {
			inner = name + "[]."
		} else if f.Type == "map" {
			inner = name + ".*."
		}
		writeRows(b, inner, f.Fields)
	}
}

func typeCell(f Field) string {
	text := f.Type
	if f.List {
		text = strings.ReplaceAll("list of "+text, "section", "sections")
	}
	switch {
	case len(f.Enum) > 0:
		text += ": " + either(f.Enum)
	case f.Min != "" && f.Max != "":
		text += ", " + f.Min + " to " + f.Max
	case f.Min != "":
		text += ", at least " + f.Min
	case f.Max != "":
		text += ", at most " + f.Max
	}
	return cell(text)
}

func defaultCell(f Field) string {
	switch {
	case f.Default != "":
		return "`" + cell(f.Default) + "`"
	case f.Required:
		return "required"
	}
	return ""
}

func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
}
