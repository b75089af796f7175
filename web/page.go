package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

//go:embed all:ui/dist
var embedded embed.FS

const index = "index.html"

// notBuilt is served by a binary that was built without the page.
const notBuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice</title>
<h1>Sluice runs, but this binary was built without its page.</h1>
<p>Build it with <code>./build.sh</code> in the project's folder, which needs Node.js. The API works: see <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</p>
</html>
`

// page is the built page. Its bytes stay in the binary; memory holds only names and tags.
type page struct {
	files  fs.FS
	assets map[string]asset
}

// asset is one file of the page with its compressed forms, best first. Browsers ask for br only
// over TLS or from localhost, so gzip is the one that counts in a plant.
type asset struct {
	kind      string
	forever   bool // the name holds a hash of the content
	encodings []encoding
}

type encoding struct {
	name   string // of the content coding; empty for the plain file
	file   string
	tag    string
	unpack bool // the file is compressed, and the plain bytes are made of it each time
}

var suffixes = map[string]string{".br": "br", ".gz": "gzip"}

// openPage lists what the build left in files.
func openPage(files fs.FS) (*page, error) {
	p := &page{files: files, assets: map[string]asset{}}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		// The build keeps most files in their compressed forms only: everything but a script of somebody's
		// asks for those, and the plain ones would be three fifths of the page.
		name = strings.TrimSuffix(name, ".gz")
		if _, known := p.assets[name]; err != nil || entry.IsDir() || name == "README.md" || path.Ext(name) == ".br" || known {
			return err
		}
		a, err := p.open(name)
		p.assets[name] = a
		return err
	})
	return p, err
}

func (p *page) open(name string) (asset, error) {
	a := asset{kind: mime.TypeByExtension(path.Ext(name)), forever: strings.HasPrefix(name, "assets/")}
	if a.kind == "" {
		a.kind = "application/octet-stream"
	}
	for _, suffix := range []string{".br", ".gz", ""} {
		tag, err := tagOf(p.files, name+suffix)
		if errors.Is(err, fs.ErrNotExist) && suffix != "" {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) && len(a.encodings) > 0 {
			packed := a.encodings[len(a.encodings)-1] // the .gz that led here
			a.encodings = append(a.encodings, encoding{file: packed.file, tag: strings.TrimSuffix(packed.tag, `"`) + `-plain"`, unpack: true})
			continue
		}
		if err != nil {
			return asset{}, err
		}
		a.encodings = append(a.encodings, encoding{name: suffixes[suffix], file: name + suffix, tag: tag})
	}
	return a, nil
}

func tagOf(files fs.FS, name string) (string, error) {
	file, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return `"` + hex.EncodeToString(hash.Sum(nil)[:12]) + `"`, nil
}

// serve answers every path that is not a route: a file of the page, else the page itself, whose
// own addresses are not known here.
func (p *page) serve(c *gin.Context) {
	name := strings.TrimPrefix(path.Clean("/"+c.Request.URL.Path), "/")
	if name == "api" || strings.HasPrefix(name, "api/") {
		refuse(c, problem{Status: http.StatusNotFound, Detail: "the API has no " + c.Request.URL.Path})
		return
	}
	if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
		c.Header("Allow", "GET, HEAD")
		refuse(c, problem{Status: http.StatusMethodNotAllowed, Detail: "pages can only be read"})
		return
	}
	found, ok := p.assets[name]
	if !ok && strings.HasPrefix(name, "assets/") {
		// A page from before an update asks for what is gone: the page itself would be taken for a script.
		refuse(c, problem{Status: http.StatusNotFound, Detail: "this file belongs to another version of the page"})
		return
	}
	if !ok {
		found, ok = p.assets[index]
	}
	if !ok {
		write(c, http.StatusOK, "text/html; charset=utf-8", []byte(notBuilt))
		return
	}
	p.send(c, found)
}

func (p *page) send(c *gin.Context, a asset) {
	chosen := a.encodings[len(a.encodings)-1]
	for _, e := range a.encodings {
		if e.name == "" || accepts(c.GetHeader("Accept-Encoding"), e.name) {
			chosen = e
			break
		}
	}
	content, err := p.content(chosen)
	if err != nil {
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError})
		return
	}
	defer content.Close()
	header := c.Writer.Header()
	header.Set("Content-Type", a.kind)
	header.Set("Vary", "Accept-Encoding")
	header.Set("ETag", chosen.tag)
	header.Set("Cache-Control", "no-cache") // may be kept, must be asked about
	if a.forever {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if chosen.name != "" {
		header.Set("Content-Encoding", chosen.name)
	}
	c.Status(http.StatusOK)
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, content)
}

// content opens what is sent for an encoding.
func (p *page) content(e encoding) (io.ReadSeekCloser, error) {
	file, err := p.files.Open(e.file)
	if err != nil {
		return nil, err
	}
	if !e.unpack {
		content, ok := file.(io.ReadSeekCloser)
		if !ok {
			panic("bug: the embedded page cannot be sought in")
		}
		return content, nil
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", e.file, err)
	}
	plain, err := io.ReadAll(unpacked) // what the build packed; the largest file has 1 MB at most
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", e.file, err)
	}
	return inMemory{bytes.NewReader(plain)}, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// accepts tells whether an Accept-Encoding header allows coding [RFC 9110 12.5.3].
func accepts(header, coding string) bool {
	for offer := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(offer, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		quality, given := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		return !given || strings.Trim(quality, "0.") != ""
	}
	return false
}
