package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// modbusOptions is shaped like a driver's own options.
type modbusOptions struct {
	Address string        `yaml:"address" required:"true" doc:"tcp://host:port, or rtu://BUS"`
	Unit    byte          `yaml:"unit" min:"1" max:"247" doc:"Modbus unit id"`
	Timeout time.Duration `yaml:"timeout" min:"1ms" doc:"one request, including the answer"`
	Model   string        `yaml:"model" path:"true" doc:"a file with the model's registers"`
	Points  []modbusPoint `yaml:"points" required:"true" unique:"name" doc:"what is read"`
}

type modbusPoint struct {
	Name    string  `yaml:"name" required:"true" check:"name" doc:"the name in a reading"`
	Address string  `yaml:"address" required:"true" doc:"area:register"`
	Type    string  `yaml:"type" default:"uint16" enum:"bool,int16,uint16,int32,uint32,int64,float32,float64,string" doc:"how it is coded"`
	Order   string  `yaml:"order" enum:"ABCD,CDAB" doc:"the order of bytes"`
	Unit    string  `yaml:"unit" doc:"the physical unit"`
	Length  int     `yaml:"length" min:"1" max:"250" doc:"characters of a string"`
	Access  string  `yaml:"access" default:"r" enum:"r,rw" doc:"whether it may be written"`
	Scale   float64 `yaml:"scale" default:"1" doc:"a factor"`
	Band    float64 `yaml:"deadband" doc:"smaller changes are not reported"`
}

func (o *modbusOptions) Validate(report func(path, problem string)) {
	if o.Address != "" && !strings.Contains(o.Address, "://") {
		report("address", "write tcp://host:port or rtu://BUS")
	}
	for i, p := range o.Points {
		if p.Address != "" && !strings.Contains(p.Address, ":") {
			report(item("points", i)+".address", "write an area and a register, for example holding:0")
		}
	}
}

func (o *modbusOptions) Refer(to func(path, what, name string)) {
	if bus, ok := strings.CutPrefix(o.Address, "rtu://"); ok {
		to("address", "bus", bus)
	}
}

type cloudOptions struct {
	Address      string `yaml:"address" required:"true" doc:"tcp:// or ssl://"`
	ClientID     string `yaml:"client_id" doc:"the MQTT client id"`
	Username     string `yaml:"username" doc:"the user"`
	PasswordFile string `yaml:"password_file" path:"secret" doc:"a file with the password"`
	TLS          struct {
		CA         string `yaml:"ca" path:"true" doc:"who signed the server's certificate"`
		Cert       string `yaml:"cert" path:"true" doc:"our certificate"`
		Key        string `yaml:"key" path:"secret" doc:"its key"`
		ServerName string `yaml:"server_name" doc:"the name in the server's certificate"`
	} `yaml:"tls" doc:"how TLS is checked"`
}

var testKinds = Kinds{
	Driver: func(kind string) (any, bool) {
		return &modbusOptions{Unit: 1, Timeout: time.Second}, kind == "modbus"
	},
	DriverNames: []string{"modbus"},
	Uplink:      func(kind string) (any, bool) { return &cloudOptions{}, kind == "mqtt" },
	UplinkNames: []string{"mqtt"},
}

var update = flag.Bool("update", false, "write the expected problems anew")

// TestGolden checks each testdata file against the problems in the .txt beside it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d files in testdata, err %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if strconv.IntSize == 32 && strings.Contains(file, "full") {
				t.Skip("its limit of 8GiB is refused on a 32-bit machine")
			}
			got := outcome(t, file)
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", file, got, want)
			}
		})
	}
}

func outcome(t *testing.T, file string) string {
	t.Helper()
	c, err := Load(filepath.FromSlash(file), testKinds)
	if err == nil {
		return "usable\n" + lines(c.Warnings)
	}
	problems, ok := err.(Problems)
	if !ok {
		t.Fatalf("%s: %v is no Problems", file, err)
	}
	for _, p := range problems {
		if p.Line < 1 || p.Column < 1 {
			t.Errorf("%v has no place", p)
		}
	}
	return "refused\n" + lines(problems)
}

func lines(ps Problems) string {
	if len(ps) == 0 {
		return ""
	}
	return strings.ReplaceAll(ps.Error(), "testdata"+string(filepath.Separator), "") + "\n"
}

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("test.yaml", []byte(text), testKinds)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return c
}

// problems gives what Parse says about text, warnings included.
func problems(t *testing.T, text string) string {
	t.Helper()
	c, err := Parse("test.yaml", []byte(text), testKinds)
	if err != nil {
		return err.Error()
	}
	return c.Warnings.Error()
}

func TestTenMistakesAreAllNamed(t *testing.T) {
	_, err := Load("testdata/ten_mistakes.yaml", testKinds)
	found, ok := err.(Problems)
	if !ok {
		t.Fatalf("got %v, want Problems", err)
	}
	want := []struct {
		line int
		path string
		says string
	}{
		{2, "gateway.name", "means something else in a topic"},
		{3, "store.limit", "not a size"},
		{4, "web.listen", "not an address"},
		{5, "mqtt.anonymous", "true or false"},
		{7, "devices[0].nmae", `did you mean "name"`},
		{9, "devices[0].interval", "200ms"},
		{12, "devices[0].points[0].type", "float32"},
		{16, "devices[1].address", `no bus is called "rs485-9"`},
		{17, "devices[1].unit", "1 to 247"},
		{19, "uplinks[0].window", "1 to 65535"},
	}
	if len(found) != len(want) {
		t.Errorf("got %d problems, want %d:\n%v", len(found), len(want), found)
	}
	for _, w := range want {
		hit := false
		for _, p := range found {
			hit = hit || p.Line == w.line && p.Path == w.path && strings.Contains(p.Message, w.says) && !p.Warning
		}
		if !hit {
			t.Errorf("nothing says %q about %s in line %d; got\n%v", w.says, w.path, w.line, found)
		}
	}
}

func TestContractFileFillsTheStructs(t *testing.T) {
	c, err := Load("testdata/sluice.yaml", testKinds)
	if err != nil {
		t.Fatal(err)
	}
	if c.Gateway.Name != "line-3" || c.Store.Dir != filepath.Join("testdata", "data") || c.Web.Listen != "127.0.0.1:8080" {
		t.Errorf("got %+v %+v %+v", c.Gateway, c.Store, c.Web)
	}
	if !reflect.DeepEqual(c.MQTT.Listen, []string{"127.0.0.1:1883"}) || !c.MQTT.Anonymous || c.MQTT.MaxPacket != 1<<20 {
		t.Errorf("got %+v", c.MQTT)
	}
	device := c.Devices[0]
	options := device.Options.(*modbusOptions)
	if device.Name != "press" || device.Interval != Duration(200*time.Millisecond) || options.Timeout != time.Second || options.Unit != 1 {
		t.Errorf("got %+v %+v", device, options)
	}
	if got, want := options.Points[1], (modbusPoint{Name: "temperature", Address: "holding:2", Type: "float32", Order: "ABCD", Unit: "°C", Access: "r", Scale: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	uplink := c.Uplinks[0]
	if uplink.Window != 100 || uplink.Options.(*cloudOptions).ClientID != "line-3" {
		t.Errorf("got %+v", uplink)
	}
	if got, want := uplink.Forward[0], (ForwardRoute{From: "readings/#", To: "plants/{topic}", QoS: 1, Start: "oldest", Order: "strict",
		Payload: Payload{Format: "stored", Group: "default", BigIntegers: "number"}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAnEmptyFileHasTheDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "store:\nmqtt: {}\ndevices: []\n", "~\n"} {
		c := parse(t, text)
		want := Retention{Age: Duration(720 * time.Hour), Size: min(4<<30, c.Store.Limit)} // less on 32 bit
		if c.Gateway.Name == "" || c.Store.Limit == 0 || c.Store.Retention != want || c.Store.WhenFull != "drop-oldest" || c.Store.Dir != "data" {
			t.Errorf("%q gives %+v %+v", text, c.Gateway, c.Store)
		}
	}
}

func TestSectionsCompareByContent(t *testing.T) {
	data, err := os.ReadFile("testdata/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	one, two := parse(t, string(data)), parse(t, string(data))
	if !one.Devices[0].Equal(two.Devices[0]) || !one.Uplinks[0].Equal(two.Uplinks[0]) {
		t.Error("the same text gave sections that differ")
	}
	changed := parse(t, strings.Replace(string(data), "holding:100", "holding:101", 1))
	if one.Devices[0].Equal(changed.Devices[0]) || !one.Uplinks[0].Equal(changed.Uplinks[0]) {
		t.Error("a changed point must change its device and nothing else")
	}
}

func TestMissingFileIsOneClearError(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), testKinds)
	if err == nil || !strings.Contains(err.Error(), "read the configuration") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestSyntaxErrorIsOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"gateway: {name: a\nweb: 1\n":        "test.yaml:2:1: this is not YAML",
		"gateway:\n\t- x\n":                  "test.yaml:2:1: this is not YAML",
		"gateway: 'a\n":                      "test.yaml:1:10: this is not YAML",
		"a: b: c\n":                          "test.yaml:1:4: this is not YAML",
		"a: 1\n---\nb: 2\n":                  "test.yaml:3:1: a second document",
		"a: *b\n":                            "test.yaml:1:4: no &b",
		"a: !!str 1\n":                       "test.yaml:1:4: tags such as !!str",
		"a: \xff\n":                          "test.yaml:1:4: byte 0xff",
		"a: \"\x07\"\n":                      "test.yaml:1:5: control character",
		strings.Repeat("[", 10000):           "test.yaml:1:65: brackets",
		strings.Repeat("- ", 10000):          "test.yaml:1:401: too far to the right",
		strings.Repeat("&a ", 10000):         "test.yaml:1:1: one anchor behind another",
		strings.Repeat("? ", 10000):          "test.yaml:1:401: too far to the right",
		"a: &a [*a]\n":                       "test.yaml:1:8: no &a",
		billionLaughs():                      "more than",
		strings.Repeat("#", maxBytes+1):      "test.yaml:1:1: the file has",
		"gateway: [a, , b]\n":                "test.yaml:1:14: this is not YAML",
		"devices:\n  - {name: a, driver: b]": "test.yaml:2:5: this is not YAML",
	} {
		_, err := Parse("test.yaml", []byte(text), testKinds)
		if err == nil {
			t.Errorf("%.40q was taken", text)
			continue
		}
		if got := err.Error(); !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%.40q\n got %s\nwant one line with %s", text, got, want)
		}
	}
}

// billionLaughs is a small file that means ten to the power of twenty values.
func billionLaughs() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n")
	for i := 1; i < 20; i++ {
		alias := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Join(slices.Repeat([]string{alias}, 10), ", "))
	}
	return b.String()
}
