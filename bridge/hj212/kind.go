package hj212

import (
	"fmt"
	"log/slog"

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
func (k Kind) Open(_ string, options any) (bridge.Uplink, error) {
	o, ok := options.(*Options)
	if !ok {
		panic(fmt.Sprintf("bug: options of type %T given to the HJ 212 uplink", options))
	}
	return New(*o, k.Log)
}

// Endpoint is where the authority's server listens, with the number that we report under.
func (o *Options) Endpoint() string { return o.Address + " MN " + o.MN }
