package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"sluice/gateway/client"
)

const setUsage = `sluice set [flags] PATH=VALUE … changes the configuration of gateways that run.

  sluice set devices.press.interval=500ms uplinks.cloud.window=200
  sluice set --dry-run mqtt.anonymous=false    shows what would change, and what would restart
  sluice set --unset rocketmq                  removes a setting, and whatever stands in it

Things in lists go by their names. A value is JSON where it reads as JSON, else a text.
All changes are one: they are applied together or not at all.

`

const applyUsage = `sluice apply [flags] FILE makes FILE the configuration of gateways that run; - is standard input.
Secrets that FILE has as *** stay what they are.

`

// maxConfiguration is what the gateway takes.
const maxConfiguration = 8 << 20

// set is "sluice set".
func set(ctx context.Context, args []string) error { return setIn(ctx, os.Stdout, args) }

func setIn(ctx context.Context, out io.Writer, args []string) error {
	var c changer
	flags := flag.NewFlagSet("sluice set", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), setUsage); flags.PrintDefaults() }
	var edits []client.Edit
	flags.Func("unset", "a setting to remove; may be given several times", func(path string) error {
		edits = append(edits, client.Edit{Path: client.SplitPath(path)})
		return nil
	})
	c.flags(flags)
	words, err := parseWords(flags, args)
	if err != nil {
		return err
	}
	for _, word := range words {
		edit, err := client.ParseEdit(word)
		if err != nil {
			return usageError{err}
		}
		edits = append(edits, edit)
	}
	if len(edits) == 0 {
		return usageErrorf("sluice set: what? For example devices.press.interval=500ms")
	}
	return c.change(ctx, out, map[string]any{"edits": edits})
}

// apply is "sluice apply".
func apply(ctx context.Context, args []string) error {
	var c changer
	flags := flag.NewFlagSet("sluice apply", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), applyUsage); flags.PrintDefaults() }
	c.flags(flags)
	name, err := parseOne(flags, args, "file")
	if err != nil {
		return err
	}
	from := os.Stdin
	if name != "-" {
		if from, err = os.Open(name); err != nil {
			return usageError{err}
		}
		defer from.Close()
	}
	text, err := io.ReadAll(io.LimitReader(from, maxConfiguration+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxConfiguration {
		return usageErrorf("%s has more than %d bytes", name, maxConfiguration)
	}
	return c.change(ctx, os.Stdout, map[string]any{"text": string(text)})
}

// changer changes the configuration of boxes.
type changer struct {
	boxes
	dry bool
}

func (c *changer) flags(flags *flag.FlagSet) {
	c.boxes.flags(flags)
	flags.BoolVar(&c.dry, "dry-run", false, "change nothing, only say what would")
}

// preview is what the gateway says of a change, as far as it is told here.
type preview struct {
	ETag    string `json:"etag"`
	Changed bool   `json:"changed"`
	Diff    []struct {
		Kind string `json:"kind"`
		Text string `json:"text"`
	} `json:"diff"`
	Starts   []string        `json:"starts"`
	Stops    []string        `json:"stops"`
	Restarts []string        `json:"restarts"`
	Problems []changeProblem `json:"problems"`
	Warnings []changeProblem `json:"warnings"`
	Restart  bool            `json:"restart_needed"`
}

type changeProblem struct {
	Path []string `json:"path"`
	Line int      `json:"line"`
	Text string   `json:"text"`
}

// applied is what the gateway says of a change that it has taken.
type applied struct {
	Revision uint64 `json:"revision"`
	Pending  *struct {
		ID string `json:"id"`
	} `json:"pending"`
}

func (c *changer) change(ctx context.Context, out io.Writer, wanted map[string]any) error {
	return c.each(ctx, out, func(ctx context.Context, one box) (any, string, error) {
		var p preview
		answer, err := one.Ask(ctx, http.MethodPost, "config/preview", wanted)
		if err == nil {
			err = json.Unmarshal(answer.Body, &p)
		}
		if err != nil {
			return nil, "", err
		}
		if len(p.Problems) > 0 {
			return p.Problems, "", errors.New("it cannot be applied: " + told(p.Problems))
		}
		said := p.said()
		switch {
		case !p.Changed:
			return p, "nothing changes", nil
		case c.dry:
			return p, said + "nothing was changed", nil
		}
		a, err := put(ctx, one, wanted, p.ETag)
		if err != nil {
			return nil, "", err
		}
		return a, fmt.Sprintf("%sapplied as revision %d", said, a.Revision), nil
	})
}

// put applies a change to the configuration that the preview was made of. One that touches what we come
// through is confirmed: that we can, proves that the gateway can still be reached.
func put(ctx context.Context, one box, wanted any, etag string) (a applied, err error) {
	answer, err := one.Ask(ctx, http.MethodPut, "config", wanted, "If-Match", `"`+strings.Trim(etag, `"`)+`"`)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(answer.Body, &a); err != nil {
		return a, err
	}
	if a.Pending == nil {
		return a, nil
	}
	if _, err := one.Ask(ctx, http.MethodPost, "config/confirm", map[string]string{"id": a.Pending.ID}); err != nil {
		return a, fmt.Errorf("the gateway goes back to its old configuration within a minute, because it cannot be reached with the new one: %w", err)
	}
	return a, nil
}

// said shows what changes, as a diff, and what that stops and starts.
func (p *preview) said() string {
	var b strings.Builder
	for _, line := range p.Diff {
		mark, known := map[string]string{"same": "  ", "add": "+ ", "remove": "- "}[line.Kind]
		if !known {
			b.WriteString("  …\n")
			continue
		}
		b.WriteString(mark + line.Text + "\n")
	}
	for _, of := range []struct {
		what  string
		parts []string
	}{{"starts", p.Starts}, {"stops", p.Stops}, {"restarts", p.Restarts}} {
		if len(of.parts) > 0 {
			b.WriteString(of.what + ": " + strings.Join(of.parts, ", ") + "\n")
		}
	}
	if len(p.Warnings) > 0 {
		b.WriteString("warnings: " + told(p.Warnings) + "\n")
	}
	if p.Restart {
		b.WriteString("the gateway has to be restarted for it: POST /api/v1/restart\n")
	}
	return b.String()
}

func told(problems []changeProblem) string {
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = strings.Join(p.Path, ".") + ": " + p.Text
	}
	return strings.Join(texts, "; ")
}
