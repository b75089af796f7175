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
	devices, uplinks := drivers.Drivers(nil, nil), bridges.Uplinks(nil)
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
		Devices: checkDevices,
	}
}

// places lists what the configuration asks for, in the order in which it is started: those who
// listen and send first, so that the first reading finds everybody there.
func (g *Gateway) places(c *config.Config) (all []place) {
	if c.Web.Listen != "" || c.Web.TLS != nil {
		all = append(all, g.pagePlace(c))
	}
	if c.Network.Failover {
		all = append(all, g.waysPlace(c))
	}
	if c.Log.Syslog != nil && g.options.Journal != nil {
		all = append(all, g.syslogPlace(c))
	}
	if len(mqttListen(&c.MQTT)) > 0 {
		all = append(all, g.listenerPlace(c))
	}
	if c.RocketMQ != nil {
		all = append(all, g.rocketPlace(c))
		if c.RocketMQ.GRPC != "" {
			all = append(all, g.rocket5Place(c))
		}
	}
	kinds := bridges.Uplinks(g.log)
	for _, u := range c.Uplinks {
		all = append(all, g.uplinkPlace(c, u, kinds))
	}
	all = append(all, g.alarmPlaces(c)...)
	all = append(all, g.straysPlace(c))
	for _, d := range c.Devices {
		all = append(all, g.devicePlace(c, d, g.drivers))
	}
	return all
}

// addLines puts the buses of a configuration, nil for none, into lines.
func addLines(lines map[string]bus.Settings, c *config.Config) {
	if c == nil {
		return
	}
	for _, b := range c.Buses {
		lines[b.Name] = lineOf(&b)
	}
}

func lineOf(b *config.Bus) bus.Settings {
	line := bus.Settings{
		Serial: b.Serial, Dial: b.TCP, Listen: b.Listen, Registration: []byte(b.Registration), Heartbeat: []byte(b.Heartbeat),
		Character: bus.Character{Baud: b.Baud, DataBits: b.DataBits, Parity: b.Parity, StopBits: b.StopBits},
		Silence:   time.Duration(b.Silence), Gap: time.Duration(b.Gap), Turnaround: time.Duration(b.Turnaround), Echo: b.Echo,
	}
	if r := b.RS485; r != nil {
		line.RS485 = &bus.RS485{
			RTSLow: r.RTSLow, Before: time.Duration(r.Before), After: time.Duration(r.After),
			HearItself: r.HearItself, Termination: r.Termination,
		}
	}
	return line
}

// linesOf are the lines of several configurations; of two that cannot be beside each other, by their
// name or by what they are, the later counts.
func linesOf(configs ...*config.Config) map[string]bus.Settings {
	lines := map[string]bus.Settings{}
	for _, c := range configs {
		next := map[string]bus.Settings{}
		addLines(next, c)
		for name, line := range lines {
			for _, later := range next {
				if later.Collides(line) {
					delete(lines, name)
				}
			}
		}
		maps.Copy(lines, next)
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
