package store

import (
	"testing"
	"testing/fstest"
)

func TestMemoryIsTheLeastBound(t *testing.T) {
	const machine = "MemFree: 1 kB\nMemTotal:  247000 kB\nBuffers: 3 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing known", nil, 0},
		{"the machine", map[string]string{"proc/meminfo": machine}, 247000 << 10},
		{"nonsense", map[string]string{"proc/meminfo": "MemTotal: many kB\n", "proc/self/cgroup": "::\n0\n"}, 0},
		{"more than there can be", map[string]string{"proc/meminfo": "MemTotal: 9223372036854775807 kB\n"}, 0},
		{"a group", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "134217728\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, 128 << 20},
		{"the group above", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "67108864\n",
		}, 64 << 20},
		{"a container that sees the host's path", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/docker/0123\n", "sys/fs/cgroup/memory.max": "67108864\n",
		}, 64 << 20},
		{"a path that leads out", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/../../x\n", "x/memory.max": "1\n",
		}, 247000 << 10},
		{"version 1", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "5:cpu:/a\n4:blkio,memory:/a\n0::/\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "100000000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   "9223372036854771712\n",
		}, 100000000},
		{"version 1 without a bound", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 247000 << 10},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryIn(root); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
	if Memory() < 16<<20 {
		t.Errorf("this machine has %d bytes of memory", Memory())
	}
}

func FuzzMemory(f *testing.F) {
	f.Add("MemTotal: 247000 kB\n", "0::/a/b\n", "max\n")
	f.Add("MemTotal: 247000 kB\n", "4:memory:/a\n", "100000000\n")
	f.Fuzz(func(t *testing.T, machine, groups, limit string) {
		got := memoryIn(fstest.MapFS{
			"proc/meminfo":                                 {Data: []byte(machine)},
			"proc/self/cgroup":                             {Data: []byte(groups)},
			"sys/fs/cgroup/memory.max":                     {Data: []byte(limit)},
			"sys/fs/cgroup/a/b/memory.max":                 {Data: []byte(limit)},
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": {Data: []byte(limit)},
		})
		if got < 0 {
			t.Errorf("%q %q %q: %d bytes of memory", machine, groups, limit, got)
		}
	})
}
