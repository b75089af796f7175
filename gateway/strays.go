package gateway

import (
	"context"
	"slices"
	"strings"

	"sluice/collectors"
	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

// strays answers commands for devices that the gateway does not have: a cloud that misspells a name, or
// does not know that a device is gone, learns it from the reply.
type strays struct {
	gateway *Gateway
	spec    straysSpec
}

// straysSpec is everything that the answers depend on.
type straysSpec struct {
	Gateway string
	Devices []string // sorted
}

// placeCommands is the place of those who answer commands that are for nobody here.
const placeCommands = "commands"

func (g *Gateway) straysPlace(c *config.Config) place {
	spec := straysSpec{Gateway: c.Gateway.Name}
	for _, d := range c.Devices {
		spec.Devices = append(spec.Devices, d.Name)
	}
	slices.Sort(spec.Devices)
	return place{name: placeCommands, spec: spec, open: func(part) (part, error) { return &strays{g, spec}, nil }}
}

// straysBatch is how many commands are looked at together.
const straysBatch = 16

// Run answers until ctx ends.
func (s *strays) Run(ctx context.Context) error {
	all := "commands/" + s.spec.Gateway
	consumer, err := s.gateway.broker.Consumer(all, []string{all + "/+"}, broker.Now)
	if err != nil {
		return err
	}
	defer consumer.Close()
	var batch []message.Record
	for {
		batch, err = consumer.Next(ctx, batch[:0], straysBatch)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range batch {
			r := &batch[i]
			device := strings.TrimPrefix(r.Topic, all+"/")
			if _, known := slices.BinarySearch(s.spec.Devices, device); known {
				consumer.Ack(r.Position) // its own part answers it
				continue
			}
			err := consumer.SetAside(ctx, r.Position, collectors.NoSuchDevice(s.spec.Gateway, device, r))
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			s.gateway.log.Warn("command for a device that is not configured", "device", device, "client", r.Client)
		}
	}
}

func (s *strays) Close() {}
