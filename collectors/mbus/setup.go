package mbus

import (
	"context"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// SetNumber gives a meter another number on the line and makes sure that it answers there. It is for
// putting meters into service; readings never write.
func SetNumber(ctx context.Context, c *bus.Client, meter Address, number byte, baud int, timeout time.Duration) error {
	if number > maxPrimary || !meter.given {
		return fmt.Errorf("meter %s cannot get the number %d: numbers go to %d", meter, number, maxPrimary)
	}
	turn, err := c.Take(ctx, false)
	if err != nil {
		return err
	}
	defer turn.Release()
	s := &session{line: turn, meter: meter, timeout: patience(timeout, baud), character: characters(baud)}
	if err := s.renumber(ctx, number); err != nil {
		return fmt.Errorf("give meter %s the number %d: %w", meter, number, err)
	}
	return nil
}

func (s *session) renumber(ctx context.Context, number byte) error {
	s.fcb = true
	if s.meter.secondary {
		if err := s.choose(ctx); err != nil {
			return err
		}
	} else if err := s.reset(ctx); err != nil {
		return err
	}
	// Once: a second one would come to a meter that has its new number already.
	setting := s.counted(long(sndUD, s.meter.primary, ciSendData, 0x01, 0x7A, number))
	said := s.command(ctx, setting, 1)
	if s.meter.secondary {
		_ = s.reset(ctx) // lets go of it; who has gone to another number needs none
	}
	there := &session{line: s.line, meter: Primary(number), timeout: s.timeout, character: s.character}
	if err := there.reset(ctx); err != nil {
		if said != nil {
			return said
		}
		return fmt.Errorf("it acknowledged, but does not answer at its new number: %w", err)
	}
	_, err := there.telegram(ctx, tries)
	return err
}
