package rocketmqtest

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// Mqadmin runs one command of mqadmin against a name server and gives what it printed. mqadmin ends well
// whatever happens: what went wrong is in its words.
func Mqadmin(t testing.TB, nameServer string, command ...string) string {
	t.Helper()
	found := require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	home := t.TempDir()
	args := slices.Concat(machine(found.java, home)[1:], []string{
		"-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-cp", found.admin(), "org.apache.rocketmq.tools.command.MQAdminStartup",
	}, command, []string{"-n", nameServer})
	out, errs, err := run(ctx, home, found.java, args...)
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("mqadmin %v: %v", command, err)
	}
	return string(out) + string(errs)
}
