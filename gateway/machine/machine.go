// Package machine reads what Linux tells about the machine and this process: /proc, /sys and two files
// of /etc. It changes nothing, and hides how each of them is written. What cannot be found out is nil
// or absent, never a guess. The files come from an fs.FS whose root stands for /, so that recorded ones
// can be read as well.
package machine

import (
	"io"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"time"
)

// Machine is the hardware and how busy it is.
type Machine struct {
	Model        string    // as the device tree or the firmware calls it; empty: unknown
	Kernel       string    // the release; empty: unknown
	Load         []float64 // averages over 1, 5 and 15 minutes; nil: unknown
	Memory       *int64    // bytes in the machine
	Available    *int64    // of them, what programs can still have
	Group        Group     // what a control group allows
	Temperatures []Sensor  // in the order of the kernel's zones
	Uptime       *time.Duration
}

// Group is what the control group of this process allows.
type Group struct {
	Memory     *int64   // bytes; nil: as many as there are
	MemoryUsed *int64   // bytes, with the page cache
	Processors *float64 // of processor time; nil: all
}

// Sensor is one thermal zone.
type Sensor struct {
	Name    string
	Celsius float64
}

// Read reads all of Machine.
func Read(root fs.FS) Machine {
	m := Machine{
		Model:        model(root),
		Kernel:       line(root, "proc/sys/kernel/osrelease"),
		Load:         load(root),
		Group:        group(root),
		Temperatures: temperatures(root),
	}
	for key, value := range table(root, "proc/meminfo") {
		switch key {
		case "MemTotal":
			m.Memory = kilobytes(value)
		case "MemAvailable":
			m.Available = kilobytes(value)
		}
	}
	if up := uptime(root); up > 0 {
		m.Uptime = &up
	}
	return m
}

// model is what the board or the PC calls itself.
func model(root fs.FS) string {
	if name := strings.Trim(line(root, "proc/device-tree/model"), "\x00 "); name != "" {
		return name
	}
	vendor, product := line(root, "sys/class/dmi/id/sys_vendor"), line(root, "sys/class/dmi/id/product_name")
	return strings.TrimSpace(vendor + " " + product)
}

func load(root fs.FS) []float64 {
	words := strings.Fields(line(root, "proc/loadavg"))
	if len(words) < 3 {
		return nil
	}
	averages := make([]float64, 3)
	for i, word := range words[:3] {
		n, ok := number(word)
		if !ok {
			return nil
		}
		averages[i] = n
	}
	return averages
}

func uptime(root fs.FS) time.Duration {
	word, _, _ := strings.Cut(line(root, "proc/uptime"), " ")
	seconds, ok := number(word)
	if !ok || seconds < 0 || seconds > math.MaxInt64/float64(2*time.Second) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// maxZones bounds what is read of a machine with many sensors.
const maxZones = 32

func temperatures(root fs.FS) (sensors []Sensor) {
	zones, err := fs.ReadDir(root, "sys/class/thermal")
	if err != nil {
		return nil
	}
	for _, zone := range zones {
		if !strings.HasPrefix(zone.Name(), "thermal_zone") || len(sensors) == maxZones {
			continue
		}
		at := path.Join("sys/class/thermal", zone.Name())
		milli, ok := whole(line(root, at+"/temp"))
		// A zone without a sensor shows absurd values, -273 and the like.
		if !ok || milli < -60_000 || milli > 200_000 || milli == 0 {
			continue
		}
		sensors = append(sensors, Sensor{Name: line(root, at+"/type"), Celsius: float64(milli) / 1000})
	}
	return sensors
}

// group reads the limits of the process's control group and of those above it, of which the tightest
// counts. In a container only the mount's root may be seen.
func group(root fs.FS) (g Group) {
	for text := range strings.Lines(string(file(root, "proc/self/cgroup"))) {
		parts := strings.SplitN(strings.TrimSpace(text), ":", 3) // number:controllers:path
		if len(parts) != 3 {
			continue
		}
		mount, limit, used := "sys/fs/cgroup", "memory.max", "memory.current"
		switch {
		case strings.Contains(","+parts[1]+",", ",memory,"): // version 1
			mount, limit, used = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
		case parts[1] != "":
			continue
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			folder := path.Join(mount, at)
			// Version 1 writes no limit as a number near the largest.
			if n, ok := whole(line(root, folder+"/"+limit)); ok && n > 0 && n < 1<<60 && (g.Memory == nil || n < *g.Memory) {
				g.Memory = &n
			}
			if n, ok := whole(line(root, folder+"/"+used)); ok && n > 0 && g.MemoryUsed == nil {
				g.MemoryUsed = &n
			}
			if share, ok := quota(line(root, folder+"/cpu.max")); ok && (g.Processors == nil || share < *g.Processors) {
				g.Processors = &share
			}
			if at == "/" {
				break
			}
		}
	}
	return g
}

// quota reads "50000 100000": of a period of 100 ms, 50 ms.
func quota(text string) (float64, bool) {
	words := strings.Fields(text)
	if len(words) != 2 {
		return 0, false
	}
	share, ok := whole(words[0])
	period, also := whole(words[1])
	if !ok || !also || share <= 0 || period <= 0 {
		return 0, false
	}
	return float64(share) / float64(period), true
}

// largestFile bounds what is read of one file: these are short, whoever wrote them.
const largestFile = 256 << 10

func file(root fs.FS, name string) []byte {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largestFile))
	if err != nil {
		return nil // half a file would be half a number
	}
	return text
}

// line is the first line of a file, without what cannot be shown.
func line(root fs.FS, name string) string {
	text, _, _ := strings.Cut(string(file(root, name)), "\n")
	return strings.TrimSpace(strings.ToValidUTF8(strings.Trim(text, "\x00"), "\uFFFD"))
}

// table reads lines such as "MemTotal:  1024 kB".
func table(root fs.FS, name string) map[string]string {
	values := map[string]string{}
	for text := range strings.Lines(string(file(root, name))) {
		if key, value, ok := strings.Cut(text, ":"); ok {
			values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return values
}

// kilobytes reads "1024 kB", in bytes.
func kilobytes(text string) *int64 {
	word, unit, _ := strings.Cut(text, " ")
	n, ok := whole(word)
	if !ok || unit != "kB" || n < 0 || n > math.MaxInt64>>10 {
		return nil
	}
	n <<= 10
	return &n
}

func whole(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

func number(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}
