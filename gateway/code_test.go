package gateway

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCodeLiesInItsFileUntilThereIsAPassword(t *testing.T) {
	dir := t.TempDir()
	code := filepath.Join(dir, "code.txt")
	g := &Gateway{options: Options{CodeFile: code}, setup: "ABCD2345"}
	g.keepCode()
	if text, err := os.ReadFile(code); err != nil || strings.TrimSpace(string(text)) != "ABCD2345" {
		t.Errorf("the file says %q, %v", text, err)
	}
	g.forgetCode()
	g.forgetCode() // at the next start
	if _, err := os.Stat(code); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestAResetGoesOnAfterAPowerCut(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"000001.vlog", resetFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second is the one after the cut
		if asked, err := RemoveForReset(dir); err != nil || !asked {
			t.Fatalf("%v, %v", asked, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("there is still %v", left)
		}
	}
	if err := ForgetReset(dir); err != nil {
		t.Fatal(err)
	}
	if asked, err := RemoveForReset(dir); err != nil || asked {
		t.Errorf("it is asked for again: %v", err)
	}
}

func TestTheYearsOfFlash(t *testing.T) {
	used, days := 20, 36.525
	if got := yearsLeft(&used, &days); got == nil || *got < 59.9 || *got > 60.1 {
		t.Errorf("0.8 of 750 rewrites, one in a tenth of a year, are %v years, want 60", got)
	}
	if used = 110; *yearsLeft(&used, &days) != 0 {
		t.Error("a flash beyond its life has years left")
	}
	if yearsLeft(nil, &days) != nil || yearsLeft(&used, nil) != nil {
		t.Error("something was invented")
	}
}
