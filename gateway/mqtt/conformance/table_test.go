package conformance

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/mqtt-conformance.md")

const tableFile = "../../../docs/mqtt-conformance.md"

// citation is one bracket; "3.1.1" before it means the other standard, whose numbers differ.
var (
	citation = regexp.MustCompile(`(3\.1\.1 )?\[((?:MQTT-[\d.]+-\d+(?:,\s+(?://\s*)?)?)+)\]`)
	numbers  = regexp.MustCompile(`MQTT-([\d.]+-\d+)`)
)

// citing gives for each statement the tests of MQTT that name it, as package.Test.
func citing(t *testing.T) map[string][]string {
	t.Helper()
	tests := make(map[string][]string)
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return citedIn(name, string(text), tests)
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// citedIn attributes what a file cites to the test around it. What stands outside of every test and
// fuzz target is nobody's.
func citedIn(name, text string, tests map[string][]string) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") && !strings.HasPrefix(f.Name.Name, "Fuzz") {
			continue
		}
		from := f.Pos()
		if f.Doc != nil {
			from = f.Doc.Pos()
		}
		for _, m := range citation.FindAllStringSubmatch(text[set.Position(from).Offset:set.Position(f.End()).Offset], -1) {
			if m[1] != "" {
				continue
			}
			for _, n := range numbers.FindAllStringSubmatch(m[2], -1) {
				if test := file.Name.Name + "." + f.Name.Name; !slices.Contains(tests[n[1]], test) {
					tests[n[1]] = append(tests[n[1]], test)
				}
			}
		}
	}
	return nil
}

func binds(s statement) bool { return s.who != client }

func TestEveryStatementThatBindsAServerHasATest(t *testing.T) {
	tests := citing(t)
	known := make(map[string]bool)
	for _, s := range statements {
		if known[s.number] {
			t.Errorf("%s stands twice in the list", s.number)
		}
		known[s.number] = true
		if binds(s) && len(tests[s.number]) == 0 {
			t.Errorf("no test for %s: %s", s.number, s.words)
		}
	}
	for number, names := range tests {
		if !known[number] {
			t.Errorf("%v cites %s, which MQTT 5 does not have", names, number)
		}
	}
	if len(statements) != 251 {
		t.Errorf("the list has %d statements, MQTT 5 has 251", len(statements))
	}
}

func TestConformanceTableIsUpToDate(t *testing.T) {
	want := table(citing(t))
	if *update {
		if err := os.WriteFile(tableFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the tests say; go test ./gateway/mqtt/conformance -run Table -update writes it", tableFile)
	}
}

// table is the document.
func table(tests map[string][]string) []byte {
	var b bytes.Buffer
	bound := 0
	for _, s := range statements {
		if binds(s) {
			bound++
		}
	}
	fmt.Fprintf(&b, `# MQTT 5, statement by statement

The specification (OASIS MQTT Version 5.0, 7 March 2019) numbers %d normative statements; %d of them bind a
server or something that a server has to check. Each of those has a test, most of them over a socket against
a whole gateway. The words are ours and short: the specification has the whole sentence under its number.

Made by `+"`go test ./gateway/mqtt/conformance -run Table -update`"+` from the tests themselves; a statement
without a test and a stale table fail the build.

`, len(statements), bound)
	fmt.Fprintln(&b, "| statement | in short | binds | tests |\n|---|---|---|---|")
	for _, s := range statements {
		names := "–"
		if all := tests[s.number]; len(all) > 0 {
			slices.Sort(all)
			names = strings.Join(all, ", ")
		}
		fmt.Fprintf(&b, "| MQTT-%s | %s | %s | %s |\n", s.number, strings.ReplaceAll(s.words, "|", `\|`), s.who, names)
	}
	return b.Bytes()
}

func TestCitationsAreFound(t *testing.T) {
	tests := make(map[string][]string)
	err := citedIn("x_test.go", strings.ReplaceAll(`package p
// [M-9.9.9-9] is outside.
var a = 1

// TestA holds [M-1.2.3-4,
// M-1.2.3-5] and 3.1.1 [M-5.5.5-5].
func TestA() {
	_ = "[M-4.2-1]"
}

func helper() { /* [M-8.8.8-8] */ }
`, "M-", "MQTT-"), tests)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{"1.2.3-4", "1.2.3-5", "4.2-1"} {
		if got := tests[number]; len(got) != 1 || got[0] != "p.TestA" {
			t.Errorf("%s is cited by %v, want p.TestA", number, got)
		}
	}
	if len(tests) != 3 {
		t.Errorf("found %v, want three statements", tests)
	}
}
