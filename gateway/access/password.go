package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// passwordFile is a file with a user's hash. It is read when it is needed, and again when it has
// changed.
type passwordFile struct {
	path, user string
	limits     limits
	log        *slog.Logger

	mu      sync.Mutex // guards what follows
	looked  time.Time
	seen    fs.FileInfo
	hash    *hash // nil: nobody comes in with it
	trouble string
}

const (
	lookAgain   = time.Second
	largestFile = 1 << 20 // bytes; a mosquitto_passwd file may hold thousands of users
)

// load gives the hash, or nil while there is none that can be used.
func (f *passwordFile) load() *hash {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.looked.IsZero() && now.Sub(f.looked) < lookAgain {
		return f.hash
	}
	f.looked = now
	info, err := os.Stat(f.path)
	if err == nil && f.seen != nil && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return f.hash
	}
	f.seen = info
	if err == nil {
		f.hash, err = f.read()
	}
	if err != nil {
		// What was there before must not count any longer: somebody may have taken it away.
		f.hash, f.seen = nil, nil
	}
	f.note(err)
	return f.hash
}

// note logs a change of state.
func (f *passwordFile) note(err error) {
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble == f.trouble {
		return
	}
	f.trouble = trouble
	if err != nil {
		f.log.Error("user cannot log in with a password", "user", f.user, "file", f.path, "err", err)
		return
	}
	f.log.Info("user can log in again", "user", f.user, "file", f.path)
}

func (f *passwordFile) read() (*hash, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("read the password's hash: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, largestFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the password's hash: %w", err)
	}
	if len(data) > largestFile {
		return nil, fmt.Errorf("read the password's hash: the file has more than %d bytes", largestFile)
	}
	text, err := findHash(string(data), f.user)
	if err != nil {
		return nil, err
	}
	return parseHash(text, f.limits)
}

// findHash finds a user's hash in a file that holds one hash and nothing else, or lines of
// name:hash as mosquitto_passwd and htpasswd write them.
func findHash(data, user string) (string, error) {
	var lines []string
	for line := range strings.Lines(data) {
		if line = strings.TrimRight(line, "\r\n"); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return "", errors.New("the password's file is empty")
	}
	if len(lines) == 1 && lines[0][0] == '$' {
		return lines[0], nil
	}
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, user+":"); ok {
			return text, nil
		}
	}
	return "", fmt.Errorf("the password's file has neither one hash alone nor a line that begins with %s:", user)
}
