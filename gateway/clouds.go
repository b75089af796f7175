package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sluice/bridge/all"
	"sluice/bridge/recognise"
	"sluice/gateway/config"
	"sluice/web"
)

// clouds lets the gateway be what the page asks about uplinks that are not configured yet.
type clouds struct{ *Gateway }

// Recognise implements web.Clouds.
func (clouds) Recognise(text string) (web.Recognised, error) {
	found, err := recognise.Recognise(text)
	if err != nil {
		return web.Recognised{}, &web.UplinkError{Field: "text", Problem: err.Error()}
	}
	section, err := json.Marshal(found.Section)
	if err != nil {
		return web.Recognised{}, err
	}
	shown := web.Recognised{
		Uplink: section, Kind: found.Kind, Needs: found.Needs,
		Said: web.BusText{English: found.Said.English, Chinese: found.Said.Chinese},
	}
	for _, s := range found.Secrets {
		shown.Secrets = append(shown.Secrets, web.RecognisedSecret{Path: s.Path, Name: s.Name, Value: s.Value})
	}
	return shown, nil
}

// TryUplink implements web.Clouds.
func (c clouds) TryUplink(ctx context.Context, section json.RawMessage, report func(web.TestStep)) error {
	only, name, err := alone(c.Config().Gateway.Name, section)
	if err != nil {
		return err
	}
	return testAs(ctx, only, name, all.Uplinks(c.log.With("part", "bridge")), report)
}

// alone is a configuration that has nothing but one uplink. JSON is YAML, so that the section is checked as
// the file's are.
func alone(gateway string, section json.RawMessage) (c *config.Config, name string, err error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(section, &keys); err != nil {
		return nil, "", &web.UplinkError{Field: "uplink", Problem: err.Error()}
	}
	if json.Unmarshal(keys["name"], &name) != nil || name == "" {
		name = recognise.Name
		keys["name"] = json.RawMessage(`"` + name + `"`)
	}
	text, err := json.Marshal(map[string]any{
		"gateway": map[string]string{"name": gateway},
		"uplinks": []any{keys},
	})
	if err != nil {
		return nil, "", err
	}
	c, err = config.Parse("uplink", text, Kinds())
	if wrong, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range wrong {
			if !p.Warning {
				return nil, "", &web.UplinkError{Field: strings.TrimSuffix("uplink."+strings.TrimPrefix(strings.TrimPrefix(p.Path, "uplinks[0]"), "."), "."), Problem: p.Message}
			}
		}
	}
	return c, name, err
}

// KeepSecret implements web.Clouds. The file has the secret whole or not at all, also after a power cut.
func (c clouds) KeepSecret(name, value string) (file string, err error) {
	dir, err := filepath.Abs(filepath.Join(c.Config().Store.Dir, "secrets"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the folder for secrets: %w", err)
	}
	part, err := os.CreateTemp(dir, ".new-*") // which nobody else may read
	if err != nil {
		return "", fmt.Errorf("store the secret %s: %w", name, err)
	}
	_, err = part.WriteString(value)
	err = errors.Join(err, part.Sync(), part.Close())
	file = filepath.Join(dir, name)
	if err == nil {
		err = os.Rename(part.Name(), file)
	}
	if err != nil {
		return "", fmt.Errorf("store the secret %s: %w", name, errors.Join(err, os.Remove(part.Name())))
	}
	folder, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	return file, errors.Join(folder.Sync(), folder.Close())
}
