package payload

import (
	"strings"
	"testing"
)

func TestTemplateSeesTheReading(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{`{{.Gateway}} {{.Device}} {{.Epoch}} {{.Seq}} {{.TS}} {{.Topic}} {{.Reading}}`, "line-3 press 1 42 1795345665221 readings/line-3/press true"},
		{`{{.Values.temperature}} {{.Values.counter}}`, "21.5 7"},
		{`{"p":{{.Values.pressure}},"none":{{index .Values "no such"}}}`, `{"p":null,"none":null}`},
		{`{{json .Values}} {{json .Errors}}`, `{"counter":7,"temperature":21.5} {"pressure":"exception 2: illegal data address"}`},
		{`{{range .Points}}{{.Name}}={{if .Error}}!{{.Error}}{{else}}{{.Value}}{{end}};{{end}}`, "counter=7;temperature=21.5;pressure=!exception 2: illegal data address;"},
		{`{{range $name, $v := .Values}}{{json $name}}:{{$v}},{{end}}`, `"counter":7,"temperature":21.5,`},
		{`{{rfc3339 .TS}}`, "2026-11-22T11:07:45.221Z"},
		{`{{time "2006-01-02 15:04" .TS}} {{seconds .TS}}`, "2026-11-22 11:07 1795345665.221"},
		{`{{if gt .Values.temperature 20}}hot{{end}}{{if lt .Values.temperature 21.6}}!{{end}}{{if ge .Values.counter 7.5}}?{{end}}`, "hot!"},
		{`{{if gt .Values.pressure 3}}high{{else}}{{if le .Values.pressure 3}}low{{else}}unknown{{end}}{{end}}`, "unknown"},
		{`{{eq .Values.counter 7}} {{eq .Device "oven" "press"}} {{ne .Device "press"}} {{eq .Values.pressure nil}}`, "true true false true"},
		{`{{printf "%s-%03d" .Device .Seq}} {{print .Device "/" .Seq}} {{html "<"}} {{js "'"}} {{urlquery "a b"}}`, "press-042 press/42 &lt; \\' a+b"},
		{`{{.Properties.site}} {{len .Payload}}`, "north 175"},
		{`{{json "a<b>&"}}`, `"a<b>&"`},
		{`{{define "v"}}[{{.}}]{{end}}{{template "v" .Device}}`, "[press]"},
		{`{{with .Clock}}{{.}}{{else}}trusted{{end}}`, "trusted"},
	} {
		made, err := maker(t, Options{Format: "template", Template: c.template}).Make(nil, press)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		if got := string(made[0].Payload); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.template, got, c.want)
		}
	}
}

func TestTemplatePrintsNumbersAsTheyCame(t *testing.T) {
	r := foreign("a/b", `{"values":{"max":18446744073709551615,"min":-9223372036854775808,"million":1234567.5,"tiny":1e-9,"zero":0.0,"beyond":1e999,"list":[1,2]}}`)
	text := `{{.Values.max}} {{.Values.min}} {{.Values.million}} {{.Values.tiny}} {{if .Values.zero}}1{{else}}0{{end}} {{.Values.beyond}} {{json .Values.list}}`
	made, err := maker(t, Options{Format: "template", Template: text}).Make(nil, r)
	if want := "18446744073709551615 -9223372036854775808 1234567.5 1e-09 0 1e999 [1,2]"; err != nil || string(made[0].Payload) != want {
		t.Errorf("got %s, %v, want %s", made[0].Payload, err, want)
	}
}

func TestTemplateIsAskedAboutWhatIsNoReading(t *testing.T) {
	m := maker(t, Options{Format: "template", Template: `{{if .Reading}}{{json .Values}}{{else}}{"device":{{json .Device}},"told":{{.Payload}}}{{end}}`})
	made, err := m.Make(nil, foreign("status/line-3/press", `{"state":"ok"}`))
	if want := `{"device":"press","told":{"state":"ok"}}`; err != nil || string(made[0].Payload) != want {
		t.Errorf("got %s, %v, want %s", made[0].Payload, err, want)
	}
}

// Whatever a template does, it ends soon and stays small.
func TestTemplateCannotRunAway(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{`{{range 1000000000}}{{end}}`, errTooLong.Error()},
		{`{{range 1000000000}}{{if false}}x{{end}}{{end}}`, errTooLong.Error()},
		{`{{range 100000}}{{range 100000}}{{continue}}{{end}}{{end}}`, errTooLong.Error()},
		{`{{range 1000000}}0123456789{{end}}`, errTooMuch.Error()},
		{`{{define "a"}}{{template "a"}}{{template "a"}}{{end}}{{template "a"}}`, "calls a template"},
		{`{{define "a"}}{{if true}}{{template "a"}}{{end}}{{end}}{{template "a"}}`, "calls a template"},
		{`{{define "template"}}{{template "template"}}{{end}}`, "calls a template"},
		{`{{define "a"}}{{range 100000}}{{end}}{{end}}{{range 100000}}{{template "a"}}{{end}}`, errTooLong.Error()},
		{`{{$x := "ab"}}{{range 60}}{{$x = print $x $x}}{{end}}`, errTextSize.Error()},
		{`{{$x := "ab"}}{{range 60}}{{$x = printf "%s%s" $x $x}}{{end}}`, errTextSize.Error()},
		{`{{$x := "<"}}{{range 60}}{{$x = html $x}}{{end}}{{range 60}}{{$x = html $x $x}}{{end}}`, errTextSize.Error()},
		{`{{$x := "\""}}{{range 60}}{{$x = json $x}}{{end}}`, errTextSize.Error()},
		{`{{printf "%999d" 1}}`, "more than two digits"},
		{`{{printf "%*d" 1000000 1}}`, "not possible here"},
		{`{{printf "%[1]s" .Device}}`, "not possible here"},
		{`{{gt .Device 3}}`, "cannot compare text with a number"},
		{`{{index .Points 100}}`, "out of range"},
		{`{{.Values.counter.deeper}}`, "can't evaluate field deeper"},
	} {
		m, err := New(Options{Format: "template", Template: c.template}, "line-3")
		if err == nil {
			_, err = m.Make(nil, press)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "payload.") {
			t.Errorf("%s: got %v, want %q", c.template, err, c.want)
		}
	}
}

func TestMakerGoesOnAfterATemplateFailed(t *testing.T) {
	m := maker(t, Options{Format: "template", Template: `{{if .Reading}}fine{{else}}{{index .Points 0}}{{end}}`})
	if _, err := m.Make(nil, foreign("a", "x")); err == nil {
		t.Error("there was no point to print")
	}
	if made, err := m.Make(nil, press); err != nil || string(made[0].Payload) != "fine" {
		t.Errorf("got %v, %v", made, err)
	}
}
