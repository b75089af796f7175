package firmware

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Linux is this machine.
type Linux struct{}

// Boot implements Machine.
func (Linux) Boot() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown" // then every start looks like the same one, and no update is taken for a failed one
	}
	return string(bytes.TrimSpace(text))
}

// Uptime implements Machine.
func (Linux) Uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// Reboot implements Machine: systemd-logind stops everything in order.
func (Linux) Reboot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, raucPatience)
	defer cancel()
	conn, err := connect("")
	if err != nil {
		return fmt.Errorf("restart the machine: %w", err)
	}
	defer conn.Close()
	err = conn.Object("org.freedesktop.login1", "/org/freedesktop/login1").CallWithContext(ctx, "org.freedesktop.login1.Manager.Reboot", 0, false).Err
	if err != nil {
		return fmt.Errorf("restart the machine: %w", err)
	}
	return nil
}

// needed are the parts of the kernel that an update goes through: the bundle's file or the stream of it, its
// hash tree, and its file system.
var needed = []string{"loop", "dm_mod", "dm_verity", "nbd", "squashfs"}

// Modules implements Machine.
func (Linux) Modules() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	return modules(os.DirFS("/"), unix.ByteSliceToString(name.Release[:]))
}

// modules says which of those that are needed a kernel does not have, or has without what they need
// themselves: a module whose neighbour was left out of an image is not loaded, and nobody notices before
// the next update.
func modules(root fs.FS, release string) error {
	dir := path.Join("lib/modules", release)
	if _, err := fs.Stat(root, path.Join(dir, "modules.dep")); errors.Is(err, fs.ErrPermission) {
		return nil // ProtectKernelModules=yes of the unit hides them: then this is not known, which is no fault
	}
	builtin := map[string]bool{}
	text, err := fs.ReadFile(root, path.Join(dir, "modules.builtin"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(text)) {
		builtin[moduleName(strings.TrimSpace(line))] = true
	}
	text, err = fs.ReadFile(root, path.Join(dir, "modules.dep"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files := dependencies(text)
	var missing []string
	for _, module := range needed {
		if builtin[module] {
			continue
		}
		paths, known := files[module]
		if !known {
			if _, err := fs.Stat(root, "sys/module/"+module); err != nil {
				missing = append(missing, module)
			}
			continue
		}
		for _, file := range paths {
			if _, err := fs.Stat(root, path.Join(dir, file)); err != nil {
				missing = append(missing, module+" ("+file+" does not exist)")
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the kernel %s lacks what updates need: %s", release, strings.Join(missing, ", "))
	}
	return nil
}

// dependencies reads modules.dep: the file of each module, and those of the ones that it needs.
func dependencies(text []byte) map[string][]string {
	files := map[string][]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		file, needs, ok := strings.Cut(lines.Text(), ":")
		if ok && file != "" {
			files[moduleName(file)] = append([]string{file}, strings.Fields(needs)...)
		}
	}
	return files
}

// moduleName is the name under which the kernel knows a module's file.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
