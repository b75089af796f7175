package rocketmq

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/gateway/remoting"
)

var update = flag.Bool("update", false, "write docs/rocketmq-coverage.md")

const coverageFile = "../../docs/rocketmq-coverage.md"

// covered is what a comment says about request codes.
type covered struct{ file, supported, leftOut string }

// codeName is one code in the head of such a comment.
var codeName = regexp.MustCompile(`\b(\d{3,}) ([A-Z][A-Z0-9_]+)\b`)

// comments reads what the files of this package say about codes.
func comments(t *testing.T) map[int]covered {
	t.Helper()
	files, err := filepath.Glob("[0-9]*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[int]covered)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(text), "\n\n") {
			for code, one := range comment(t, file, block) {
				if old, twice := all[code]; twice {
					t.Errorf("%d is described in %s and in %s", code, old.file, file)
				}
				all[code] = one
			}
		}
	}
	return all
}

// comment reads one block of lines if it is a comment about codes.
func comment(t *testing.T, file, block string) map[int]covered {
	t.Helper()
	var lines []string
	for line := range strings.Lines(block) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "//")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSpace(text))
	}
	if len(lines) == 0 || !codeName.MatchString(lines[0]) || codeName.FindStringIndex(lines[0])[0] != 0 {
		return nil
	}
	head, rest, _ := strings.Cut(strings.Join(lines, " "), "  ")
	one := covered{file: file}
	one.supported, one.leftOut, _ = strings.Cut(rest, "Left out: ")
	supported, ok := strings.CutPrefix(one.supported, "Supported: ")
	if one.supported = strings.TrimSpace(supported); !ok || one.supported == "" {
		t.Errorf("%s: %s: the comment does not say what is supported", file, head)
	}
	all := make(map[int]covered)
	for _, found := range codeName.FindAllStringSubmatch(head, -1) {
		code, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		if name := remoting.RequestName(code); name != found[2] {
			t.Errorf("%s: %d is called %s, not %s", file, code, name, found[2])
		}
		all[code] = one
	}
	return all
}

// fromUs are the codes that the gateway sends and does not serve.
var fromUs = []int{
	remoting.CheckTransactionState, remoting.NotifyConsumerIDsChanged, remoting.ResetConsumerClientOffset,
	remoting.GetConsumerStatusFromClient, remoting.PushReplyMessageToClient,
}

// fromBroker are those that it sends to the name servers of a cluster.
var fromBroker = []int{remoting.RegisterBroker, remoting.UnregisterBroker, remoting.QueryDataVersion}

// TestCoverage holds docs/rocketmq-coverage.md to the comments, and the comments to the tables of handlers.
func TestCoverage(t *testing.T) {
	said := comments(t)
	for code := range said {
		_, everybody := handlers[code]
		_, admin := administration[code]
		if !everybody && !admin && !slices.Contains(fromUs, code) && !slices.Contains(fromBroker, code) {
			t.Errorf("%s describes %d, which nothing serves", said[code].file, code)
		}
		if everybody && admin {
			t.Errorf("%d is in both tables", code)
		}
	}
	for _, table := range []map[int]handler{handlers, administration} {
		for code := range table {
			if _, described := said[code]; !described {
				t.Errorf("%d %s is served, and no comment describes it", code, remoting.RequestName(code))
			}
		}
	}
	want := coverage(said)
	if *update {
		if err := os.WriteFile(coverageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/rocketmq-coverage.md is out of date: go test ./gateway/rocketmq -run Coverage -update")
	}
}

const coverageHead = `# RocketMQ request codes

Made from the comments in ` + "`gateway/rocketmq`" + ` by ` + "`go test ./gateway/rocketmq -run Coverage -update`" + `. A code that is not supported is
answered with code 3, REQUEST_CODE_NOT_SUPPORTED, and the connection stays open. Those with "admin" need an account with ` + "`admin: true`" + ` once
accounts are configured.

| code | name | who | supported | left out | file |
|---|---|---|---|---|---|
`

// lastCode is more than every request code.
const lastCode = 300_000

func coverage(said map[int]covered) []byte {
	var b bytes.Buffer
	b.WriteString(coverageHead)
	for code := range lastCode {
		name := remoting.RequestName(code)
		if name == strconv.Itoa(code) {
			continue // nobody has given it a name
		}
		one, known := said[code]
		if !known {
			fmt.Fprintf(&b, "| %d | %s | | not supported: answered with code 3 | | |\n", code, name)
			continue
		}
		who := "all"
		if _, admin := administration[code]; admin {
			who = "admin"
		}
		if slices.Contains(fromUs, code) {
			who = "sent to clients"
		}
		if slices.Contains(fromBroker, code) {
			who = "sent to name servers"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | [%s](../gateway/rocketmq/%s) |\n", code, name, who, cell(one.supported), cell(one.leftOut), one.file, one.file)
	}
	return b.Bytes()
}

// cell is a text that stands in a table.
func cell(text string) string {
	return strings.TrimSuffix(strings.ReplaceAll(text, "|", `\|`), ".")
}
