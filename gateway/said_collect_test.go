package gateway

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A sentence is a text of the source that a person may read, as its format: what is put together from
// pieces has %s where a piece is that only the running gateway knows.
type sentence struct {
	text, file string
	logged     bool // it goes into the journal
}

// sentences gives those of one package: every string that has words in it, and single words where an
// error or a report is made of them. What surely nobody reads on the page is left out by how it is used.
func sentences(t *testing.T, dir string, wanted func(text string, in argument) bool) []sentence {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var found []sentence
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		at := path.Join(dir, filepath.Base(name))
		hear(file, argument{}, func(text string, in argument) {
			if wanted(text, in) {
				found = append(found, sentence{text, at, in.first && logging.MatchString(in.call)})
			}
		})
	}
	return found
}

// argument is what a string is given to, if anything.
type argument struct {
	call  string // its last two names, as fmt.Errorf and log.Warn; the field Title of a struct is Title:
	first bool   // among the arguments
}

// hear walks a part of the source.
func hear(part ast.Node, in argument, heard func(text string, in argument)) {
	ast.Inspect(part, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			if n.Tag != nil {
				hear(n.Type, in, heard)
				return false
			}
		case *ast.CallExpr:
			if n == part {
				return true
			}
			if !bilingual(n.Args) {
				hear(n.Fun, argument{}, heard)
				for i, arg := range n.Args {
					hearArgument(arg, argument{called(n.Fun), i == 0}, heard)
				}
			}
			return false
		case *ast.CompositeLit:
			if bilingual(n.Elts) {
				return false
			}
		case *ast.KeyValueExpr:
			if key, is := n.Key.(*ast.Ident); is {
				hearArgument(n.Value, argument{key.Name + ":", true}, heard)
				return false
			}
		case *ast.BinaryExpr, *ast.BasicLit:
			if text, known := written(n.(ast.Expr)); known {
				heard(text, in)
				if sum, is := n.(*ast.BinaryExpr); is {
					hearPieces(sum, heard)
				}
				return false
			}
		}
		return true
	})
}

// hearArgument hears an argument as such, and what is deeper in it for itself.
func hearArgument(arg ast.Expr, in argument, heard func(text string, in argument)) {
	if text, known := written(arg); known {
		heard(text, in)
		if sum, is := arg.(*ast.BinaryExpr); is {
			hearPieces(sum, heard)
		}
		return
	}
	hear(arg, argument{}, heard)
}

// hearPieces hears what the unknown parts of a sum hold themselves.
func hearPieces(sum *ast.BinaryExpr, heard func(text string, in argument)) {
	for _, side := range []ast.Expr{sum.X, sum.Y} {
		if inner, is := side.(*ast.BinaryExpr); is {
			hearPieces(inner, heard)
		} else if _, known := written(side); !known {
			hear(side, argument{}, heard)
		}
	}
}

// written is a string as the source has it; %s stands for what is not known in a sum.
func written(e ast.Expr) (text string, known bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.ParenExpr:
		return written(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, knowsLeft := written(e.X)
		right, knowsRight := written(e.Y)
		if !knowsLeft && !knowsRight {
			return "", false
		}
		if !knowsLeft {
			left = "%s"
		}
		if !knowsRight {
			right = "%s"
		}
		return left + right, true
	}
	return "", false
}

func called(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		switch of := fun.X.(type) {
		case *ast.Ident:
			return of.Name + "." + fun.Sel.Name
		case *ast.SelectorExpr:
			return of.Sel.Name + "." + fun.Sel.Name
		}
		return "." + fun.Sel.Name
	case *ast.IndexExpr:
		return called(fun.X)
	}
	return ""
}

var chinese = regexp.MustCompile(`\p{Han}`)

// bilingual tells a place that says the same in Chinese beside the English.
func bilingual(parts []ast.Expr) bool {
	for _, part := range parts {
		if pair, is := part.(*ast.KeyValueExpr); is {
			part = pair.Value
		}
		if text, known := written(part); known && chinese.MatchString(text) {
			return true
		}
	}
	return false
}

// packagesBelow gives the folders with Go files below one, and itself.
func packagesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join("..", dir), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if base := entry.Name(); base == "testdata" || base == "ui" {
			return fs.SkipDir
		}
		if files, err := filepath.Glob(filepath.Join(name, "*.go")); err != nil || len(files) == 0 {
			return err
		}
		below, err := filepath.Rel("..", name)
		found = append(found, filepath.ToSlash(below))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
