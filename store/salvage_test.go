package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A kill may interrupt a salvage at any moment; the next open goes on from there.
func TestSalvageSurvivesAKill(t *testing.T) {
	for name, until := range map[string]func(dir string) error{
		"while gathering": func(dir string) error {
			return os.Rename(filepath.Join(dir, gathered), filepath.Join(dir, gathering))
		},
		"when gathered": func(string) error { return nil },
		"when some old files are gone": func(dir string) error {
			return os.Remove(filepath.Join(dir, "log", manifestFile))
		},
		"when the old files are gone": func(dir string) error { return moveOld(dir, filepath.Join(dir, "log")) },
		"when some new files have come": func(dir string) error {
			if err := moveOld(dir, filepath.Join(dir, "log")); err != nil {
				return err
			}
			if err := os.Rename(filepath.Join(dir, gathered), filepath.Join(dir, replacing)); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, replacing, "00001.mem"), filepath.Join(dir, "log", "00001.mem"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, epoch := filled(t, 200)
			if err := os.Truncate(filepath.Join(dir, "log", manifestFile), 5); err != nil {
				t.Fatal(err)
			}
			if err := gather(dir, "log", func(err error) { t.Error(err) }, func(string, []byte) {}); err != nil {
				t.Fatal(err)
			}
			if err := until(dir); err != nil {
				t.Fatal(err)
			}
			s := reopen(t, dir, nil)
			want := make([]int, 200)
			for i := range want {
				want[i] = i + 1
			}
			if got := positions(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v", got)
			}
			if _, last, err := s.Sequence("press"); err != nil || last != 200 {
				t.Errorf("press is at %d, %v, want 200", last, err)
			}
			if s.epoch <= epoch {
				t.Errorf("the epoch is %d, was %d: nobody knows whether the end is there", s.epoch, epoch)
			}
			appendEach(t, s, 201, 1)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			sound(t, dir)
			if left, _ := filepath.Glob(filepath.Join(dir, "salvage*")); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}
