package gateway

import (
	"context"
	"errors"
	"fmt"

	"sluice/collectors/finder"
	"sluice/web"
)

// What a search tells, for those who run one without a gateway.
type (
	// FindRequest is what to search.
	FindRequest = web.SearchRequest
	// FindProgress is how far a search has come.
	FindProgress = finder.Progress
	// FoundDevice is a device that was found.
	FoundDevice = finder.Found
)

// ErrFindRequest is what is wrong with a request; its text names the field.
var ErrFindRequest = errors.New("this cannot be searched")

// Find searches a serial port or a network without a running gateway, until ctx ends, and reports how
// it goes. It needs the port for itself.
func Find(ctx context.Context, wanted FindRequest, progress func(FindProgress), found func(FoundDevice)) error {
	var plan *searchPlan
	var err error
	if wanted.Kind == "network" {
		plan, err = planNetwork(wanted, nil)
	} else {
		plan, err = planSerial(wanted)
	}
	if wrong, ok := errors.AsType[*web.SearchError](err); ok {
		return fmt.Errorf("%w: %w", ErrFindRequest, wrong)
	}
	if err != nil {
		return err
	}
	return errors.Join(plan.run(ctx, finder.Report{Progress: progress, Found: found}), plan.close())
}
