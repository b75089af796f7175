package web

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/gin-gonic/gin"
)

// What a bundle holds of each. A file is cut rather than grow without end.
const (
	bundledAudits    = 200
	bundledRevisions = 200
	bundledLogs      = 2000
	bundledFile      = 8 << 20 // bytes of one file
)

// bundle writes the files of a diagnostics bundle, each cleaned of secrets and with its sum.
type bundle struct {
	zip   *zip.Writer
	clean func([]byte) []byte
	sums  bytes.Buffer
}

// add writes one file as text, from which secrets are removed.
func (b *bundle) add(name string, content []byte) error {
	return b.put(name, clipped(b.clean(content), bundledFile))
}

// addJSON writes what somebody reads as JSON.
func (b *bundle) addJSON(name string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		text = []byte(err.Error()) // the other files are wanted all the same
	}
	return b.add(name, append(text, '\n'))
}

func (b *bundle) put(name string, content []byte) error {
	file, err := b.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Now()})
	if err != nil {
		return err
	}
	fmt.Fprintf(&b.sums, "%x  %s\n", sha256.Sum256(content), name)
	_, err = file.Write(content)
	return err
}

func clipped(content []byte, most int) []byte {
	if len(content) <= most {
		return content
	}
	return append(content[:most:most], "\n… cut off here\n"...)
}

// diagnostics sends all that somebody needs who shall find out what is wrong with this gateway.
func (s *Server) diagnostics(c *gin.Context) {
	status := s.current(nil)
	name := "sluice-diagnostics-" + time.Now().UTC().Format("20060102T150405Z") + ".zip"
	d := &download{to: c.Writer, control: http.NewResponseController(c.Writer), begin: func() {
		c.Header("Content-Type", "application/zip")
		c.Header("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
		s.record(c, who(c).user, "diagnostics", name)
	}}
	if err := s.writeBundle(d, status); err != nil {
		s.log.Warn("a diagnostics bundle was cut off", "err", err)
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) writeBundle(to io.Writer, status statusAnswer) error {
	b := &bundle{zip: zip.NewWriter(to), clean: s.options.System.Clean}
	steps := []func() error{
		func() error { return b.add("configuration.yaml", []byte(s.options.System.Configuration())) },
		func() error { return b.addJSON("status.json", status) },
		func() error { return b.addJSON("system.json", s.options.System.State()) },
		func() error { return b.add("metrics.txt", []byte(exposition(status.Status))) },
		func() error { return b.add("versions.txt", versions(s.options.Version)) },
		func() error { return s.bundleLogs(b) },
		func() error { return s.bundleRecords(b) },
		func() error { return s.bundleBuses(b) },
		func() error { return bundleProfiles(b) },
		func() error { return b.put("SHA256SUMS", bytes.Clone(b.sums.Bytes())) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return b.zip.Close()
}

func versions(version string) []byte {
	text := fmt.Appendf(nil, "sluice %s\n", version)
	if info, ok := debug.ReadBuildInfo(); ok {
		text = append(text, info.String()...)
	}
	return text
}

func (s *Server) bundleLogs(b *bundle) error {
	if s.options.Logs == nil {
		return nil
	}
	var text bytes.Buffer
	for _, r := range s.options.Logs.Before(LogFilter{Level: logLevels[0]}, 0, bundledLogs) {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	return b.add("log.jsonl", text.Bytes())
}

func (s *Server) bundleRecords(b *bundle) error {
	if s.options.Keeper == nil {
		return nil
	}
	audits, err := s.options.Keeper.FindAudits(AuditFilter{}, 0, bundledAudits)
	if err != nil {
		s.log.Warn("a diagnostics bundle lacks something", "what", "audit records", "err", err)
	}
	if err := b.addJSON("audit.json", audits); err != nil {
		return err
	}
	revisions, err := s.options.Keeper.Revisions(0, bundledRevisions)
	if err != nil {
		s.log.Warn("a diagnostics bundle lacks something", "what", "revisions", "err", err)
	}
	return b.addJSON("revisions.json", revisions)
}

// bundleBuses writes what is known of each line, and its last frames.
func (s *Server) bundleBuses(b *bundle) error {
	if s.options.Buses == nil {
		return nil
	}
	lines := s.options.Buses.List()
	if err := b.addJSON("buses.json", lines); err != nil {
		return err
	}
	frames := map[string][]BusFrame{}
	for _, line := range lines {
		if found, err := s.options.Buses.Frames(line.Name, 0); err == nil { // else it has just gone
			frames[line.Name] = found
		}
	}
	return b.addJSON("frames.json", frames)
}

func bundleProfiles(b *bundle) error {
	var goroutines, heap bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&goroutines, 2); err != nil {
		return err
	}
	if err := b.add("goroutines.txt", goroutines.Bytes()); err != nil {
		return err
	}
	if err := pprof.Lookup("heap").WriteTo(&heap, 0); err != nil {
		return err
	}
	return b.put("heap.pprof", heap.Bytes()) // it holds addresses and names of functions, and no data
}
