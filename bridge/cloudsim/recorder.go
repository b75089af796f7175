package cloudsim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

// recorder appends payloads to a file, one a line, and syncs before it returns. A payload that has
// a line break of its own stands there as a JSON string.
type recorder struct {
	topics bool // a line begins with the topic and a space

	mu   sync.Mutex // guards what follows
	file *os.File
	line []byte
}

// openRecorder continues a file. What a kill left of a last line was never acknowledged: it is cut.
func openRecorder(path string) (*recorder, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the recording: %w", err)
	}
	end, err := wholeLines(file)
	if err == nil {
		err = file.Truncate(end)
	}
	if err == nil {
		_, err = file.Seek(end, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("continue the recording %s: %w", path, err)
	}
	return &recorder{file: file}, nil
}

// wholeLines gives the offset behind the last line break.
func wholeLines(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	buffer := make([]byte, 64<<10)
	for end := info.Size(); end > 0; {
		from := max(0, end-int64(len(buffer)))
		part := buffer[:end-from]
		if _, err := file.ReadAt(part, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
	}
	return 0, nil
}

func (r *recorder) write(topics []string, payloads [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line = r.line[:0]
	for i, p := range payloads {
		if r.topics {
			r.line = append(append(r.line, topics[i]...), ' ')
		}
		if bytes.ContainsAny(p, "\n\r") || len(p) > 0 && p[0] == '"' {
			quoted, err := json.Marshal(string(p))
			if err != nil {
				return fmt.Errorf("record a payload: %w", err)
			}
			p = quoted
		}
		r.line = append(r.line, p...)
		r.line = append(r.line, '\n')
	}
	if _, err := r.file.Write(r.line); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("sync the recording: %w", err)
	}
	return nil
}

func (r *recorder) close() error { return r.file.Close() }

// Check reads a recording and reports what it holds. A last line that was cut short by a kill is
// left out: nobody was told that it had arrived.
func Check(r io.Reader) (Report, error) {
	var c Checker
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return c.Report(), nil
		}
		if err != nil {
			return c.Report(), fmt.Errorf("read the recording: %w", err)
		}
		line = line[:len(line)-1]
		var text string
		if len(line) > 0 && line[0] == '"' && json.Unmarshal(line, &text) == nil {
			line = []byte(text)
		}
		c.Add(line)
	}
}
