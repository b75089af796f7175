package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"

	"sluice/gateway"
	"sluice/gateway/config"
)

// finishReset does what somebody asked for on the page before the gateway started anew: the data go, and the
// configuration becomes that of a fresh gateway, at the same address and with the same folder. Without such
// a wish it gives c back.
func finishReset(c *config.Config, path string, log *slog.Logger) (*config.Config, error) {
	asked, err := gateway.RemoveForReset(c.Store.Dir)
	if err != nil || !asked {
		return c, err
	}
	name, err := config.Parse(path, nil, gateway.Kinds()) // the default: the machine's
	if err != nil {
		return c, err
	}
	listen := cmp.Or(c.Web.Listen, firstWeb)
	var text strings.Builder
	if err := first.Execute(&text, map[string]any{"Name": name.Gateway.Name, "Data": c.Store.Dir, "Web": listen, "MQTT": firstMQTT, "TLS": c.Web.TLS != nil || !local(listen)}); err != nil {
		return c, err
	}
	if err := config.WriteAtomic(path, []byte(text.String())); err != nil {
		return c, fmt.Errorf("factory reset: %w", err)
	}
	if err := gateway.ForgetReset(c.Store.Dir); err != nil {
		return c, err
	}
	log.Warn("everything was reset: this gateway is as new")
	return load(path)
}
