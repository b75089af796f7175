package rocketmq

import (
	"fmt"
	"log/slog"
	"strings"

	"sluice/bridge"
)

// Kind makes uplinks of this kind from a configuration.
type Kind struct{ Log *slog.Logger }

// Options gives the defaults that the configuration is decoded into.
func (Kind) Options() any {
	o := DefaultOptions()
	return &o
}

// Open makes an uplink from what Options gave and the configuration filled in.
func (k Kind) Open(gateway string, options any) (bridge.Uplink, error) {
	o, ok := options.(*Options)
	if !ok {
		panic(fmt.Sprintf("bug: options of type %T given to the RocketMQ uplink", options))
	}
	return New(*o, gateway, k.Log)
}

// Endpoint is where the name servers listen.
func (o *Options) Endpoint() string { return strings.Join(o.NameServers, ",") }
