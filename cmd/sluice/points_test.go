package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pressConfig = `web: {listen: ""}
devices:
  - name: press                 # at the door
    driver: modbus
    address: tcp://127.0.0.1:5020
    points:
      - {name: counter, address: "holding:0", type: uint32}   # shots
`

// inFolder writes files and gives the folder.
func inFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func contents(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPointsAreImportedIntoAConfiguration(t *testing.T) {
	dir := inFolder(t, map[string]string{
		"sluice.yaml": pressConfig,
		"good.csv":    "点位名称,地址,数据类型,倍率\ncounter,40011,dword,\nlevel,40013,int,0.1\n",
		"bad.csv":     "name,address,type\nlevel,holding:3,int\ncolour,100,int\n",
		"odd.csv":     "name,address,type\nlevel,holding:3,float24\n",
	})
	in := func(name string) string { return filepath.Join(dir, name) }
	file := in("sluice.yaml")

	out, code := tool(t, "points", "import", in("good.csv"))
	if want := "points:\n  - {name: counter, address: \"40011\", type: uint32}\n  - {name: level, address: \"40013\", type: int16, scale: 0.1}\n"; code != 0 || out != want {
		t.Errorf("left with %d and printed\n%s\nwant\n%s", code, out, want)
	}
	said := onStderr(t, func() {
		if out, code := tool(t, "points", "import", in("bad.csv")); code != exitFailed || out != "points:\n  - {name: level, address: \"holding:3\", type: int16}\n" {
			t.Errorf("left with %d and printed\n%s", code, out)
		}
	})
	if !strings.HasPrefix(said, `line 3: address: "100" says no area`) {
		t.Errorf("said %q", said)
	}

	want := strings.Replace(pressConfig, `      - {name: counter, address: "holding:0", type: uint32}   # shots
`, `      - {name: counter, address: "40011", type: uint32}   # shots
      - {name: level, address: "40013", type: int16, scale: 0.1}
`, 1)
	if out, code = tool(t, "points", "import", in("good.csv"), "--config", file, "--device", "press", "--dry-run"); code != 0 || out != want || contents(t, file) != pressConfig {
		t.Errorf("a dry run left with %d and printed\n%s\nwant\n%s", code, out, want)
	}
	if out, code = tool(t, "points", "import", "--config", file, "--device", "press", in("good.csv")); code != 0 || !strings.HasPrefix(out, "2 points are in ") || contents(t, file) != want {
		t.Errorf("left with %d and printed %s; the file is\n%s\nwant\n%s", code, out, contents(t, file), want)
	}

	for _, c := range []struct {
		args []string
		code int
		said string
	}{
		{[]string{in("bad.csv"), "--config", file, "--device", "press"}, exitFailed, "line 3: address"},
		{[]string{in("odd.csv"), "--config", file, "--device", "press"}, exitUsage, "line 2: type: "},
		{[]string{in("good.csv"), "--config", file, "--device", "nobody"}, exitUsage, ""},
		{[]string{in("good.csv"), "--config", file}, exitUsage, ""},
		{[]string{in("none.csv")}, exitUsage, ""},
		{[]string{}, exitUsage, ""},
		{[]string{in("good.csv"), in("bad.csv")}, exitUsage, ""},
		{[]string{in("good.csv"), "--base", "2"}, exitUsage, ""},
		{[]string{in("good.csv"), "--order", "AB"}, exitUsage, ""},
		{[]string{in("good.csv"), "--layout", "excel"}, exitUsage, ""},
		{[]string{in("good.csv"), "--column", "address"}, exitUsage, ""},
	} {
		said := onStderr(t, func() {
			if _, code := tool(t, append([]string{"points", "import"}, c.args...)...); code != c.code {
				t.Errorf("%q left with %d, want %d", c.args, code, c.code)
			}
		})
		if !strings.Contains(said, c.said) {
			t.Errorf("%q said %q, want %q", c.args, said, c.said)
		}
		if contents(t, file) != want {
			t.Fatalf("%q changed the file to\n%s", c.args, contents(t, file))
		}
	}
	out, code = tool(t, "points", "import", in("good.csv"), "--column", "scale=0", "--column", "address=2")
	if code != 0 || strings.Contains(out, "scale") {
		t.Errorf("columns by hand: left with %d and printed\n%s", code, out)
	}
}

func TestPointsAreExportedAndWholeDevicesMove(t *testing.T) {
	dir := inFolder(t, map[string]string{"a.yaml": pressConfig, "b.yaml": "web: {listen: \"\"}\n"})
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	out, code := tool(t, "points", "export", "--config", a, "--device", "press")
	if want := "\uFEFFname,address,type\ncounter,holding:0,uint32\n"; code != 0 || out != want {
		t.Errorf("left with %d and printed %q, want %q", code, out, want)
	}
	book := filepath.Join(dir, "press.xlsx")
	if out, code = tool(t, "points", "export", "--config", a, "--device", "press", "--format", "neuron", "--out", book); code != 0 || out != "" {
		t.Errorf("left with %d and printed %q", code, out)
	}
	if out, code = tool(t, "points", "import", book); code != 0 || !strings.Contains(out, `{name: counter, address: "400001", type: uint32`) {
		t.Errorf("from Neuron's workbook: left with %d and printed %q", code, out)
	}
	device := filepath.Join(dir, "press.yaml")
	if _, code = tool(t, "points", "export", "--config", a, "--device", "press", "--format", "device", "--out", device); code != 0 || !strings.Contains(contents(t, device), "# shots") {
		t.Errorf("left with %d and wrote\n%s", code, contents(t, device))
	}
	if _, code = tool(t, "points", "import", device, "--config", b, "--device", "press-2"); code != 0 || !strings.Contains(contents(t, b), "  - name: press-2") {
		t.Errorf("left with %d; the file is\n%s", code, contents(t, b))
	}
	if out, code = tool(t, "check", "--config", b); code != 0 || !strings.Contains(out, "1 devices") {
		t.Errorf("check left with %d and printed %s", code, out)
	}
	for _, args := range [][]string{{"--config", a}, {"--config", a, "--device", "nobody"}, {"--config", a, "--device", "press", "--format", "pdf"}, {"--config", dir + "/none", "--device", "press"}} {
		if _, code := tool(t, append([]string{"points", "export"}, args...)...); code != exitUsage {
			t.Errorf("%q left with %d, want %d", args, code, exitUsage)
		}
	}
	for _, args := range [][]string{{"points"}, {"points", "sell"}} {
		if _, code := tool(t, args...); code != exitUsage {
			t.Errorf("%q left with %d, want %d", args, code, exitUsage)
		}
	}
}
