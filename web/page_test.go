package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gin-gonic/gin"
)

func builtPage(t *testing.T) http.Handler {
	t.Helper()
	return pageOf(t, fstest.MapFS{
		"README.md":            {Data: []byte("about")},
		"index.html":           {Data: []byte("<html>page</html>")},
		"icon.svg":             {Data: []byte("<svg/>")},
		"assets/app-abc.js":    {Data: []byte("plain")},
		"assets/app-abc.js.gz": {Data: []byte("gzipped")},
		"assets/app-abc.js.br": {Data: []byte("brotli")},
	})
}

func pageOf(t *testing.T, files fstest.MapFS) http.Handler {
	t.Helper()
	p, err := openPage(files)
	if err != nil {
		t.Fatal(err)
	}
	engine := gin.New()
	engine.NoRoute(p.serve)
	return engine
}

func fetch(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder
}

func TestThePageIsServedCompressed(t *testing.T) {
	h := builtPage(t)
	for accept, want := range map[string][2]string{
		"":                       {"", "plain"},
		"gzip, deflate":          {"gzip", "gzipped"},
		"gzip, deflate, br":      {"br", "brotli"},
		"br;q=0, gzip;q=0.5":     {"gzip", "gzipped"},
		"br;q=0.000,gzip; q=0":   {"", "plain"},
		"GZIP":                   {"gzip", "gzipped"},
		"brotli-like, gzipped":   {"", "plain"},
		"br ; q=0.1, gzip;q=1.0": {"br", "brotli"},
	} {
		got := fetch(h, "GET", "/assets/app-abc.js", "Accept-Encoding", accept)
		if got.Code != 200 || got.Header().Get("Content-Encoding") != want[0] || got.Body.String() != want[1] {
			t.Errorf("Accept-Encoding %q gives %d %q %q, want %q", accept, got.Code, got.Header().Get("Content-Encoding"), got.Body, want)
		}
		if kind := got.Header().Get("Content-Type"); !strings.Contains(kind, "javascript") {
			t.Errorf("content type is %q", kind)
		}
		if got.Header().Get("Vary") != "Accept-Encoding" {
			t.Error("Vary is missing")
		}
	}
}

func TestAClientWithoutGzipGetsWhatIsKeptCompressedOnly(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte("plain script")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h := pageOf(t, fstest.MapFS{
		"index.html":           {Data: []byte("<html>page</html>")},
		"assets/app-abc.js.gz": {Data: packed.Bytes()},
		"assets/app-abc.js.br": {Data: []byte("brotli")},
		"assets/bad.js.gz":     {Data: []byte("no gzip")},
	})
	got := fetch(h, "GET", "/assets/app-abc.js")
	if got.Code != 200 || got.Body.String() != "plain script" || got.Header().Get("Content-Encoding") != "" {
		t.Errorf("without gzip it is %d %q %q", got.Code, got.Header().Get("Content-Encoding"), got.Body)
	}
	if kind := got.Header().Get("Content-Type"); !strings.Contains(kind, "javascript") {
		t.Errorf("content type is %q", kind)
	}
	if zipped := fetch(h, "GET", "/assets/app-abc.js", "Accept-Encoding", "gzip"); !bytes.Equal(zipped.Body.Bytes(), packed.Bytes()) || zipped.Header().Get("ETag") == got.Header().Get("ETag") {
		t.Errorf("with gzip it is %q, tag %s and %s", zipped.Body, zipped.Header().Get("ETag"), got.Header().Get("ETag"))
	}
	if part := fetch(h, "GET", "/assets/app-abc.js", "Range", "bytes=6-"); part.Code != http.StatusPartialContent || part.Body.String() != "script" {
		t.Errorf("a part of it is %d %q", part.Code, part.Body)
	}
	if again := fetch(h, "GET", "/assets/app-abc.js", "If-None-Match", got.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("asked again it is %d", again.Code)
	}
	if bad := fetch(h, "GET", "/assets/bad.js"); bad.Code != http.StatusInternalServerError {
		t.Errorf("a damaged one is %d", bad.Code)
	}
	for _, name := range []string{"/assets/app-abc.js.gz", "/assets/app-abc.js.br"} {
		if own := fetch(h, "GET", name); own.Code != http.StatusNotFound {
			t.Errorf("%s is served as a file of its own: %d", name, own.Code)
		}
	}
}

func TestThePageIsCachedByItsTag(t *testing.T) {
	h := builtPage(t)
	for path, want := range map[string]string{
		"/assets/app-abc.js": "public, max-age=31536000, immutable",
		"/":                  "no-cache",
		"/icon.svg":          "no-cache",
	} {
		got := fetch(h, "GET", path, "Accept-Encoding", "gzip")
		if cache := got.Header().Get("Cache-Control"); cache != want {
			t.Errorf("%s: Cache-Control is %q, want %q", path, cache, want)
		}
		tag := got.Header().Get("ETag")
		again := fetch(h, "GET", path, "Accept-Encoding", "gzip", "If-None-Match", tag)
		if tag == "" || again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s with tag %s: %d and %d bytes, want 304 and none", path, tag, again.Code, again.Body.Len())
		}
	}
	plain := fetch(h, "GET", "/assets/app-abc.js").Header().Get("ETag")
	small := fetch(h, "GET", "/assets/app-abc.js", "Accept-Encoding", "gzip").Header().Get("ETag")
	if plain == small {
		t.Error("two encodings share a tag")
	}
}

func TestPathsOfThePageGiveThePage(t *testing.T) {
	h := builtPage(t)
	for _, path := range []string{"/", "/devices/press", "/index.html", "/README.md", "/../../etc/passwd"} {
		got := fetch(h, "GET", path)
		if got.Code != 200 || !strings.Contains(got.Body.String(), "page") {
			t.Errorf("%s gives %d %q, want the page", path, got.Code, got.Body)
		}
	}
	wantProblem(t, fetch(h, "GET", "/assets/app-of-yesterday.js"), http.StatusNotFound)
	head := fetch(h, "HEAD", "/")
	if head.Code != 200 || head.Body.Len() != 0 {
		t.Errorf("HEAD gives %d and %d bytes", head.Code, head.Body.Len())
	}
}

func TestABinaryWithoutThePageSaysHowToBuildIt(t *testing.T) {
	h := pageOf(t, fstest.MapFS{"README.md": {Data: []byte("about")}})
	got := fetch(h, "GET", "/")
	if got.Code != 200 || !bytes.Contains(got.Body.Bytes(), []byte("./build.sh")) {
		t.Errorf("/ gives %d %q", got.Code, got.Body)
	}
}
