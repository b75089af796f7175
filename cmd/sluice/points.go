package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"sluice/gateway"
	"sluice/gateway/config"
)

const pointsUsage = `sluice points turns tables of points into configurations and back. It needs no running gateway.

  sluice points import FILE                            what a table holds, as the points of a device's section
  sluice points import FILE --config FILE --device NAME  put the points among those of a device, or a whole device beside the others
  sluice points export --config FILE --device NAME --format csv|xlsx|neuron|kepware|device
                                                       the points of a device as a table, or all of it as one file

Each explains its flags with -h. docs/points.md says which tables are understood.
`

func points(_ context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, pointsUsage)
		return usageErrorf("import or export?")
	}
	switch args[0] {
	case "import":
		return pointsImport(args[1:], os.Stdout)
	case "export":
		return pointsExport(args[1:], os.Stdout)
	case "help", "-h", "--help":
		fmt.Print(pointsUsage)
		return nil
	}
	fmt.Fprint(os.Stderr, pointsUsage)
	return usageErrorf("there is no command \"points %s\"", args[0])
}

func pointsImport(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sluice points import", flag.ContinueOnError)
	path := flags.String("config", "", "the configuration that gets the points; without it, they are printed")
	device := flags.String("device", "", "the device in it that they are for; if FILE is a whole device, its new name")
	station := flags.String("station", "", "of a table with the points of several stations: the one that is wanted")
	layout := flags.String("layout", "", "plain, neuron or kepware; without it, as the table looks")
	base := flags.Int("base", 0, "what plain numbers beside an area count from: 0 or 1")
	order := flags.String("order", "", "byte order of values of several registers where the table has none: ABCD, CDAB, BADC or DCBA")
	only := flags.Bool("replace", false, "take points of the device away that are not in the table")
	dry := flags.Bool("dry-run", false, "with --config: print the new configuration instead of writing it")
	columns := columnFlag{}
	flags.Var(columns, "column", "which column stands where, as address=4, counted from 1; 0 is nowhere. May be given several times")
	file, err := parseOne(flags, args, "file")
	if err != nil {
		return err
	}
	how := gateway.PointFileOptions{Device: *device, Layout: *layout, Base: *base, Order: *order, Columns: columns}
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "station" {
			how.Station = station
		}
	})
	switch {
	case (*path == "") != (*device == ""):
		return usageErrorf("%s: --config and --device go together", flags.Name())
	case *base != 0 && *base != 1:
		return usageErrorf("%s: --base is 0 or 1, not %d", flags.Name(), *base)
	case !oneOf(*layout, "", "plain", "neuron", "kepware"):
		return usageErrorf("%s: --layout is plain, neuron or kepware, not %q", flags.Name(), *layout)
	case !oneOf(*order, "", "ABCD", "CDAB", "BADC", "DCBA"):
		return usageErrorf("%s: --order is ABCD, CDAB, BADC or DCBA, not %q", flags.Name(), *order)
	}
	data, err := readFile(file)
	if err != nil {
		return err
	}
	if *path == "" {
		found, err := gateway.ReadPoints(data, how, nil)
		if err != nil {
			return usageErrorf("%s: %v", file, err)
		}
		refused := tellProblems(found)
		fmt.Fprint(out, found.YAML)
		return refused
	}
	c, err := load(*path)
	if err != nil {
		return err
	}
	text, found, err := gateway.ImportPoints(*path, c, data, how, *only)
	refused := tellProblems(found)
	if err != nil {
		if _, wrong := errors.AsType[config.Problems](err); wrong {
			return usageErrorf("%s would not be good with these points; it is as it was", *path)
		}
		return usageErrorf("%s: %v", file, err)
	}
	if refused != nil {
		return fmt.Errorf("%w; %s is as it was", refused, *path)
	}
	if *dry {
		_, err := out.Write(text)
		return err
	}
	if err := config.WriteAtomic(*path, text); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d points are in %s; a running gateway takes them with SIGHUP\n", len(found.Points), *path)
	return nil
}

// tellProblems prints what is wrong with a table. The error counts the rows that could not be taken.
func tellProblems(found gateway.PointFile) error {
	refused := 0
	for _, p := range found.Problems {
		text := p.Text
		if p.Column != "" {
			text = p.Column + ": " + text
		}
		if p.Row > 0 {
			text = fmt.Sprintf("line %d: %s", p.Row, text)
		}
		if p.Warning {
			text = "warning: " + text
		} else {
			refused++
		}
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(text, "\n", " "))
	}
	if refused == 0 {
		return nil
	}
	return fmt.Errorf("%d mistakes are in the table", refused)
}

func pointsExport(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sluice points export", flag.ContinueOnError)
	path := flags.String("config", "sluice.yaml", "the configuration")
	device := flags.String("device", "", "the device")
	format := flags.String("format", "csv", "csv, xlsx, neuron or kepware; device is all of the device as one file")
	target := flags.String("out", "", "the file to write; without it, standard output")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *device == "" {
		return usageErrorf("%s: which device?", flags.Name())
	}
	if !oneOf(*format, "csv", "xlsx", "neuron", "kepware", "device") {
		return usageErrorf("%s: --format is csv, xlsx, neuron, kepware or device, not %q", flags.Name(), *format)
	}
	c, err := load(*path)
	if err != nil {
		return err
	}
	var file strings.Builder
	var problems []gateway.PointProblem
	if *format == "device" {
		var section []byte
		if section, err = gateway.DeviceFile(c, *device); err == nil {
			file.Write(section)
		}
	} else {
		problems, err = gateway.WritePoints(c, *device, *format, &file)
	}
	if err != nil {
		return usageError{err}
	}
	_ = tellProblems(gateway.PointFile{Problems: problems}) // what another product has no form for is nobody's mistake
	if *target != "" {
		return config.WriteAtomic(*target, []byte(file.String()))
	}
	_, err = io.WriteString(out, file.String())
	return err
}

// largestTable is more than any table may have, so that what is too large is refused and not cut.
const largestTable = 16 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, largestTable))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

func oneOf(word string, words ...string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// columnFlag takes address=4.
type columnFlag map[string]int

func (columnFlag) String() string { return "" }

func (c columnFlag) Set(text string) error {
	var name string
	var at int
	if _, err := fmt.Sscanf(strings.Replace(text, "=", " ", 1), "%s %d", &name, &at); err != nil || at < 0 {
		return errors.New("write for example address=4")
	}
	c[name] = at - 1
	return nil
}
