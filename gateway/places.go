package gateway

import (
	"maps"
	"slices"
	"time"

	bridges "sluice/bridge/all"
	"sluice/bridge/payload"
	drivers "sluice/collectors/all"
	"sluice/collectors/bus"
	"sluice/collectors/profiles"
	"sluice/gateway/config"
)

// Kinds are the drivers of devices and uplinks that this build has, for reading a configuration.
func Kinds() config.Kinds {
	devices, uplinks := drivers.Drivers(nil), bridges.Uplinks(nil)
	return config.Kinds{
		Driver: func(kind string) (any, bool) {
			driver, ok := devices[kind]
			if !ok {
				return nil, false
			}
			return driver.Options(), true
		},
		DriverNames: slices.Sorted(maps.Keys(devices)),
		Uplink: func(kind string) (any, bool) {
			uplink, ok := uplinks[kind]
			if !ok {
				return nil, false
			}
			return uplink.Options(), true
		},
		UplinkNames:  slices.Sorted(maps.Keys(uplinks)),
		Profile:      profiles.YAML,
		ProfileNames: profiles.Names(),
		Payload: func(p config.Payload, report func(path, problem string)) {
			o := payload.Options(p)
			o.Validate(report)
		},
	}
}

// places lists what the configuration asks for, in the order in which it is started: those who
// listen and send first, so that the first reading finds everybody there.
func (g *Gateway) places(c *config.Config) (all []place) {
	if c.Web.Listen != "" {
		all = append(all, g.pagePlace(c))
	}
	if len(mqttListen(&c.MQTT)) > 0 {
		all = append(all, g.listenerPlace(c))
	}
	if c.RocketMQ != nil {
		all = append(all, g.rocketPlace(c))
	}
	kinds := bridges.Uplinks(g.log)
	for _, u := range c.Uplinks {
		all = append(all, g.uplinkPlace(c, u, kinds))
	}
	all = append(all, g.straysPlace(c))
	known := drivers.Drivers(g.buses)
	for _, d := range c.Devices {
		all = append(all, g.devicePlace(c, d, known))
	}
	return all
}

// addLines puts the serial lines of a configuration, nil for none, into lines.
func addLines(lines map[string]bus.Settings, c *config.Config) {
	if c == nil {
		return
	}
	for _, b := range c.Buses {
		lines[b.Name] = bus.Settings{
			Serial: b.Serial, Baud: b.Baud, DataBits: b.DataBits, Parity: b.Parity, StopBits: b.StopBits,
			Silence: time.Duration(b.Silence),
		}
	}
}

// linesOf are the serial lines of several configurations; of two with the same name the later counts.
func linesOf(configs ...*config.Config) map[string]bus.Settings {
	lines := map[string]bus.Settings{}
	for _, c := range configs {
		addLines(lines, c)
	}
	return lines
}

// endpoint is what options know of the other end, for people to read.
func endpoint(options any) string {
	if o, ok := options.(interface{ Endpoint() string }); ok {
		return o.Endpoint()
	}
	return ""
}
