package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestFirmwareOfAGatewayWithoutSlots(t *testing.T) {
	startSluice(t)
	if got := remote(t, "firmware", "status"); !strings.Contains(got, "copied there") {
		t.Errorf("status says %q", got)
	}
	bundle := filepath.Join(t.TempDir(), "sluice.raucb")
	if err := os.WriteFile(bundle, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"install", bundle}, {"install", "https://example.com/sluice.raucb"}, {"restart"}} {
		if got := remote(t, append([]string{"firmware"}, args...)...); !strings.Contains(got, "package manager") {
			t.Errorf("%q says %q, want who updates it", args, got)
		}
	}
}

// TestFirmwareIsWaitedFor installs on a gateway that takes a while.
func TestFirmwareIsWaitedFor(t *testing.T) {
	var asked atomic.Int32
	var got atomic.Value
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		install := map[string]any{"running": asked.Add(1) < 3, "phase": "installing", "percent": 40, "version": "2.0.0", "error": ""}
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			got.Store(fmt.Sprintf("%s %s %d %s", r.URL.Query().Get("name"), r.Header.Get("Content-Type"), len(body), r.Header.Get("Authorization")))
			w.WriteHeader(http.StatusAccepted)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "rauc", "install": install})
	}))
	defer gateway.Close()
	t.Setenv("SLUICE_URL", gateway.URL)
	t.Setenv("SLUICE_TOKEN", "slc_x")
	bundle := filepath.Join(t.TempDir(), "sluice-2.raucb")
	if err := os.WriteFile(bundle, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := remote(t, "firmware", "install", bundle); said != "version 2.0.0 is installed and runs after sluice firmware restart" {
		t.Errorf("it says %q", said)
	}
	if want := "sluice-2.raucb application/octet-stream 1048576 Bearer slc_x"; got.Load() != want {
		t.Errorf("the gateway got %v, want %s", got.Load(), want)
	}
	if err := updateBoxesIn(context.Background(), io.Discard, []string{"install"}); err == nil {
		t.Error("install without a bundle is taken")
	}
}
