package store

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// Memory is how many bytes of memory this process may have: the machine's, or less where a control
// group says so. 0 means that nobody knows.
func Memory() int64 { return memoryIn(os.DirFS("/")) }

func memoryIn(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	take := func(n int64) {
		if n > 0 {
			least = min(least, n)
		}
	}
	take(machineMemory(root))
	for _, limit := range groupLimits(root) {
		take(groupLimit(root, limit))
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}

func machineMemory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "MemTotal:" || fields[2] != "kB" {
			continue
		}
		kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || kilobytes > math.MaxInt64>>10 {
			return 0
		}
		return kilobytes << 10
	}
	return 0
}

// groupLimits gives the files that may bound this process: those of its group and of every group
// above it, since a group may have no bound of its own. In a container the path may be that of the
// host, of which only the mount's root is seen here.
func groupLimits(root fs.FS) (files []string) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(parts) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		switch {
		case strings.Contains(","+parts[1]+",", ",memory,"): // version 1
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case parts[1] != "":
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			files = append(files, path.Join(mount, group, file))
			if group == "/" {
				break
			}
		}
	}
	return files
}

// groupLimit reads one bound; 0 is none. Version 1 says "none" with the largest page number.
func groupLimit(root fs.FS, file string) int64 {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0
	}
	limit, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || limit >= math.MaxInt64-1<<20 {
		return 0 // "max", or no number
	}
	return limit
}
