package machine

import (
	"io/fs"
	"math"
	"strings"
	"time"
)

// Process is what the kernel counts for this process.
type Process struct {
	Resident  *int64         // bytes of memory
	Anonymous *int64         // of them, those that no file has, so that the kernel cannot drop them
	Threads   *int64         //
	Files     *int           // descriptors that are open
	FileLimit *int64         // of them; nil: unknown or unlimited
	Processor *time.Duration // processor time since the start
	Age       *time.Duration // since the process was started, which outlives a restart in place
	Written   *int64         // bytes that it made the kernel write to disks, since then
}

// ticks a second in which /proc counts: USER_HZ, which is 100 wherever Linux runs.
const ticks = 100

// ReadProcess reads Process.
func ReadProcess(root fs.FS) (p Process) {
	status := table(root, "proc/self/status")
	p.Resident, p.Anonymous = kilobytes(status["VmRSS"]), kilobytes(status["RssAnon"])
	if n, ok := whole(status["Threads"]); ok && n > 0 {
		p.Threads = &n
	}
	if open, err := fs.ReadDir(root, "proc/self/fd"); err == nil {
		n := len(open)
		p.Files = &n
	}
	for text := range strings.Lines(string(file(root, "proc/self/limits"))) {
		if rest, ok := strings.CutPrefix(text, "Max open files"); ok {
			if words := strings.Fields(rest); len(words) > 0 {
				if n, ok := whole(words[0]); ok {
					p.FileLimit = &n
				}
			}
		}
	}
	if n, ok := whole(table(root, "proc/self/io")["write_bytes"]); ok && n >= 0 {
		p.Written = &n
	}
	p.Processor, p.Age = times(root)
	return p
}

// times reads /proc/self/stat. The name in it is in parentheses and may have any character.
func times(root fs.FS) (processor, age *time.Duration) {
	text := string(file(root, "proc/self/stat"))
	words := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(words) < 20 {
		return nil, nil
	}
	user, ok := whole(words[11]) // utime, the 14th of proc(5)
	system, also := whole(words[12])
	if ok && also && user >= 0 && system >= 0 && user < math.MaxInt64/int64(time.Second) && system < math.MaxInt64/int64(time.Second) {
		spent := time.Duration(float64(user+system) / ticks * float64(time.Second))
		processor = &spent
	}
	begun, ok := whole(words[19]) // starttime, the 22nd
	if up := uptime(root); ok && up > 0 && begun >= 0 && begun < math.MaxInt64/int64(time.Second) {
		if since := up - time.Duration(float64(begun)/ticks*float64(time.Second)); since > 0 {
			age = &since
		}
	}
	return processor, age
}
