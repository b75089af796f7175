package gateway

import (
	"encoding/json"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/gateway/machine"
	"sluice/web"
)

// system shows the machine and the process.
type system struct{ *Gateway }

// State reads it all anew: it is asked for by a person, every few seconds at most.
func (s system) State() web.SystemState {
	root := os.DirFS("/")
	process := machine.ReadProcess(root)
	return web.SystemState{
		Network: showNetwork(machine.ReadNetwork(root, machine.Addresses)),
		Time:    s.clock.Time(),
		Machine: showMachine(machine.Read(root)),
		Process: s.showProcess(process),
		Storage: s.showStorage(process),
	}
}

// Configuration is the text that runs.
func (s system) Configuration() string { return withoutSecrets(s.Config().Text) }

// Clean hides what the configuration keeps secret, in all the ways in which texts write it.
func (s system) Clean(text []byte) []byte {
	var pairs []string
	for _, secret := range secretsOf(s.Config()) {
		quoted, err := json.Marshal(secret)
		if err != nil || len(secret) < 4 {
			continue // it cannot be told from ordinary words
		}
		pairs = append(pairs, secret, "***", strings.Trim(string(quoted), `"`), "***")
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(text)))
}

// Restart asks Run to stop.
func (s system) Restart() error {
	if !s.options.Restarts {
		return web.ErrNoRestart
	}
	select {
	case s.restarts <- struct{}{}:
	default: // it was asked for already
	}
	return nil
}

func showNetwork(n machine.Network) web.SystemNetwork {
	shown := web.SystemNetwork{Interfaces: []web.SystemInterface{}, Routes: []web.SystemRoute{}, DNS: append([]string{}, n.DNS...)}
	for _, i := range n.Interfaces {
		shown.Interfaces = append(shown.Interfaces, web.SystemInterface{
			Name: i.Name, Up: i.Up, MAC: orNull(i.MAC), Speed: i.Speed, Addresses: append([]string{}, i.Addresses...), Loopback: i.Loopback,
		})
	}
	for _, r := range n.Routes {
		shown.Routes = append(shown.Routes, web.SystemRoute{Gateway: orNull(r.Gateway), Interface: r.Interface})
	}
	return shown
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func showMachine(m machine.Machine) web.SystemMachine {
	shown := web.SystemMachine{
		Model: orNull(m.Model), Kernel: orNull(m.Kernel), Architecture: runtime.GOARCH, Processors: runtime.NumCPU(), Load: m.Load,
		Memory: m.Memory, Available: m.Available, Temperatures: []web.SystemTemperature{},
		Group: web.SystemGroup{Memory: m.Group.Memory, MemoryUsed: m.Group.MemoryUsed, Processors: m.Group.Processors},
	}
	if m.Uptime != nil {
		seconds := m.Uptime.Seconds()
		shown.Uptime = &seconds
	}
	for _, one := range m.Temperatures {
		shown.Temperatures = append(shown.Temperatures, web.SystemTemperature{Name: one.Name, Celsius: one.Celsius})
	}
	return shown
}

func (s system) showProcess(p machine.Process) web.SystemProcess {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	return web.SystemProcess{
		Version: s.options.Version, Go: runtime.Version(), Started: s.started,
		Resident: p.Resident, Anonymous: p.Anonymous, Heap: int64(heap[0].Value.Uint64()), Goroutines: runtime.NumGoroutine(),
		Threads: p.Threads, Files: p.Files, FileLimit: p.FileLimit, Share: s.usage.share(p.Processor, p.Age),
	}
}

// measured is from when on what the process has written tells of a day: before, it is mostly the start.
const measured = 10 * time.Minute

func (s system) showStorage(p machine.Process) web.SystemStorage {
	dir, log := s.Config().Store.Dir, s.store.Stats()
	shown := web.SystemStorage{
		Dir:  dir,
		Log:  web.SystemLog{Bytes: log.Bytes, Limit: log.Limit, Head: uint64(log.First), Tail: uint64(log.Last)},
		Wear: web.SystemWriting{Bytes: p.Written},
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err == nil {
		total, free := int64(disk.Blocks)*int64(disk.Bsize), int64(disk.Bavail)*int64(disk.Bsize) //nolint:unconvert // 32-bit machines have other types
		shown.Total, shown.Free = &total, &free
	}
	if p.Age != nil {
		seconds := p.Age.Seconds()
		shown.Wear.Seconds = &seconds
		if p.Written != nil && *p.Age >= measured {
			day := float64(*p.Written) / seconds * 86_400
			shown.Wear.PerDay = &day
			if shown.Total != nil && day > 0 {
				days := float64(*shown.Total) / day
				shown.Wear.RewriteDays = &days
			}
		}
	}
	var file unix.Stat_t
	if err := unix.Stat(dir, &file); err == nil {
		device := uint64(file.Dev) //nolint:unconvert // 32-bit machines have other types
		if flash, ok := machine.ReadFlash(os.DirFS("/"), unix.Major(device), unix.Minor(device)); ok {
			shown.Wear.YearsLeft = yearsLeft(flash.Used, shown.Wear.RewriteDays)
			shown.Flash = &web.SystemFlash{Device: flash.Device, Name: flash.Name, Used: flash.Used, Spare: orNull(flash.Spare)}
		}
	}
	return shown
}

// What the estimate takes of the cheaper kind of flash: how often a cell can be written, and how many bytes
// are written in it for one that a program writes.
const (
	flashCycles    = 3000
	flashAmplified = 4
)

// yearsLeft estimates how long a flash lasts of whose life used percent are gone, when its whole size is
// written once in so many days.
func yearsLeft(used *int, rewriteDays *float64) *float64 {
	if used == nil || rewriteDays == nil {
		return nil
	}
	years := float64(max(0, 100-*used)) / 100 * flashCycles / flashAmplified * *rewriteDays / 365.25
	return &years
}

// usage remembers the processor time of the last look, so that the next one tells of the time between.
type usage struct {
	mu    sync.Mutex // guards what follows
	spent time.Duration
	age   time.Duration
	last  *float64
}

// share is the part of one processor that was used since the last look, or since the start at the first.
// Looks that follow at once say the same.
func (u *usage) share(spent, age *time.Duration) *float64 {
	if spent == nil || age == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if passed := *age - u.age; passed >= time.Second {
		share := max(0, (*spent-u.spent).Seconds()/passed.Seconds())
		u.spent, u.age, u.last = *spent, *age, &share
	}
	return u.last
}
