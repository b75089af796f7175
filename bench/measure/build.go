package measure

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Gateway is the binary that is measured: the one that was named, else bin/sluice, and for a profile the same with its
// symbols, which bin/sluice has not, built into dir.
func Gateway(root, named, profile, dir string) (string, error) {
	switch {
	case named != "":
	case profile != "":
		named = filepath.Join(dir, "sluice")
		return named, Build(root, named, "./cmd/sluice")
	default:
		named = filepath.Join(root, "bin", "sluice")
	}
	if _, err := os.Stat(named); err != nil {
		return "", fmt.Errorf("%w: ./build.sh makes it", err)
	}
	return named, nil
}

// Build compiles a package of the module in dir.
func Build(dir, out, what string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, what)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", what, err, text)
	}
	return nil
}
