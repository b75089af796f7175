package rocketmqtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Gather is the command that brings what this package runs.
const Gather = "mvn -q -f testpeers/pom.xml package"

// Generation is one of the two generations of Java clients.
type Generation string

// The generations, by their major version.
const (
	Current Generation = "5"
	Old     Generation = "4"
)

// jars is where Maven put things.
type jars struct{ java, target string }

func findJars() (jars, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return jars{}, errors.New("java is not installed: .ci/peers")
	}
	_, file, _, _ := runtime.Caller(0)
	target := filepath.Join(filepath.Dir(file), "..", "target")
	for _, dir := range []string{"lib", "lib4", "scenarios", "scenarios4"} {
		if _, err := os.Stat(filepath.Join(target, dir)); err != nil {
			return jars{}, fmt.Errorf("the jars of RocketMQ are missing: %s", Gather)
		}
	}
	return jars{java, target}, nil
}

// Require skips a test that has no RocketMQ to run, or fails it where there must be one.
func Require(t testing.TB) {
	t.Helper()
	require(t)
}

func require(t testing.TB) jars {
	t.Helper()
	found, err := findJars()
	switch {
	case err == nil:
	case os.Getenv("SLUICE_REQUIRE_PEERS") == "1":
		t.Fatalf("%v, and SLUICE_REQUIRE_PEERS=1", err)
	default:
		t.Skip(err)
	}
	return found
}

// server is the class path of name server and broker.
func (j jars) server() string { return filepath.Join(j.target, "lib", "*") }

// client is the class path of the scenarios, with the client of one generation.
func (j jars) client(of Generation) string {
	suffix := ""
	if of == Old {
		suffix = "4"
	}
	return classPath(filepath.Join(j.target, "scenarios"+suffix), j.quiet(), filepath.Join(j.target, "lib"+suffix, "*"))
}

// admin is the class path of mqadmin.
func (j jars) admin() string { return classPath(j.quiet(), j.server()) }

// quiet has what keeps clients from logging to where they print.
func (j jars) quiet() string { return filepath.Join(j.target, "..", "java", "resources") }

func classPath(parts ...string) string { return strings.Join(parts, string(os.PathListSeparator)) }
