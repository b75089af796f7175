package firmware

import (
	"io/fs"
	"path"
	"strings"
)

// Release is which image runs.
type Release struct {
	Image   string // IMAGE_ID: which one, with its board
	Version string // IMAGE_VERSION
}

// ReadRelease reads os-release(5); what it does not say is empty.
func ReadRelease(root fs.FS) Release {
	text, err := fs.ReadFile(root, "etc/os-release")
	if err != nil {
		text, _ = fs.ReadFile(root, "usr/lib/os-release")
	}
	said := parseRelease(text)
	return Release{Image: said["IMAGE_ID"], Version: said["IMAGE_VERSION"]}
}

// parseRelease reads assignments as a shell would that substitutes nothing.
func parseRelease(text []byte) map[string]string {
	said := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" || line[0] == '#' {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			double := value[0] == '"'
			if value = value[1 : n-1]; double {
				value = unescape(value)
			}
		}
		said[name] = value
	}
	return said
}

func unescape(text string) string {
	var plain strings.Builder
	escaped := false
	for _, r := range text {
		if r == '\\' && !escaped {
			escaped = true
			continue
		}
		escaped = false
		plain.WriteRune(r)
	}
	return plain.String()
}

// Manager is the package manager that brought the gateway to a machine without slots.
type Manager struct {
	Name     string
	Commands []string // what updates the gateway, to be typed by an administrator
}

// managers are known by what they leave of a package that they have installed.
var managers = []struct {
	file    string // that exists
	says    string // a line of it; empty: whatever it says
	manager Manager
}{
	{"var/lib/dpkg/info/sluice.list", "", Manager{"apt", []string{"apt-get install ./sluice_VERSION_ARCHITECTURE.deb", "apt-get update && apt-get install --only-upgrade sluice"}}},
	{"usr/lib/opkg/info/sluice.control", "", Manager{"opkg", []string{"opkg install ./sluice_VERSION_ARCHITECTURE.ipk", "opkg update && opkg upgrade sluice"}}},
	{"lib/apk/db/installed", "P:sluice", Manager{"apk", []string{"apk add --allow-untrusted ./sluice_VERSION_ARCHITECTURE.apk", "apk update && apk upgrade sluice"}}},
	{"usr/lib/sysimage/rpm", "", Manager{"dnf", []string{"dnf install ./sluice-VERSION.ARCHITECTURE.rpm", "dnf upgrade sluice"}}},
	{"var/lib/rpm", "", Manager{"dnf", []string{"dnf install ./sluice-VERSION.ARCHITECTURE.rpm", "dnf upgrade sluice"}}},
}

// ManagerOf says which package manager the program at executable came from; false: none that is known.
func ManagerOf(root fs.FS, executable string) (Manager, bool) {
	if path.Clean(executable) != "/usr/bin/sluice" {
		return Manager{}, false // somebody copied it there
	}
	for _, m := range managers {
		if _, err := fs.Stat(root, m.file); err != nil {
			continue
		}
		if m.says != "" {
			text, err := fs.ReadFile(root, m.file)
			if err != nil || !strings.Contains("\n"+string(text)+"\n", "\n"+m.says+"\n") {
				continue
			}
		}
		return m.manager, true
	}
	return Manager{}, false
}
