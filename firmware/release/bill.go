package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
)

// bill is a bill of materials, CycloneDX 1.6. It has neither time nor serial number, so that the same commit
// gives the same bytes.
type bill struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type     string    `json:"type"`
	Name     string    `json:"name"`
	Version  string    `json:"version,omitempty"`
	Package  string    `json:"purl,omitempty"`
	Ref      string    `json:"bom-ref,omitempty"`
	Scope    string    `json:"scope,omitempty"`
	Hashes   []hash    `json:"hashes,omitempty"`
	Licenses []license `json:"licenses,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type license struct {
	Expression string `json:"expression"`
}

// writeBill writes of what a built program is made: Go's own record inside it, which names the modules that
// were linked and no others, and the npm packages that its page is made of.
func writeBill(w io.Writer, program, lock string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read what %s is made of: %w", program, err)
	}
	page, err := os.ReadFile(lock)
	if err != nil {
		return err
	}
	packages, err := npmPackages(page)
	if err != nil {
		return fmt.Errorf("read %s: %w", lock, err)
	}
	b := bill{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{component{Type: "application", Name: "sluice"}}}
	for _, s := range info.Settings {
		if _, version, ok := strings.Cut(s.Value, "main.version="); ok && s.Key == "-ldflags" {
			b.Metadata.Component.Version = strings.Trim(version, `"' `)
		}
	}
	b.Components = append(b.Components, component{Type: "library", Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go"),
		Package: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go"), Licenses: []license{{"BSD-3-Clause"}}})
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component{Type: "library", Name: m.Path, Version: m.Version, Package: "pkg:golang/" + m.Path + "@" + url.PathEscape(m.Version)}
		// What go.sum holds is a sum of sums, which CycloneDX has no name for; the version names the module.
		b.Components = append(b.Components, c)
	}
	b.Components = append(b.Components, packages...)
	for i := range b.Components {
		b.Components[i].Ref = b.Components[i].Package
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(b)
}

// npmPackages lists what a package-lock.json installs for the page itself; what only builds and tests it is
// left out, as nothing of it is shipped.
func npmPackages(lock []byte) ([]component, error) {
	var read struct {
		Packages map[string]struct {
			Version, Integrity, License string
			Dev, Optional, DevOptional  bool
		}
	}
	if err := json.Unmarshal(lock, &read); err != nil {
		return nil, err
	}
	if len(read.Packages) == 0 {
		return nil, fmt.Errorf("it lists no packages")
	}
	seen := map[string]bool{}
	var all []component
	for path, p := range read.Packages {
		at := strings.LastIndex(path, "node_modules/")
		if at < 0 || p.Dev || p.Optional || p.DevOptional {
			continue
		}
		name := path[at+len("node_modules/"):]
		c := component{Type: "library", Name: name, Version: p.Version, Package: "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + p.Version}
		if seen[c.Package] {
			continue
		}
		seen[c.Package] = true
		if p.License != "" {
			c.Licenses = []license{{p.License}}
		}
		if sum, ok := strings.CutPrefix(p.Integrity, "sha512-"); ok {
			if raw, err := base64.StdEncoding.DecodeString(sum); err == nil {
				c.Hashes = []hash{{"SHA-512", hex.EncodeToString(raw)}}
			}
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b component) int { return cmp.Compare(a.Package, b.Package) })
	return all, nil
}
