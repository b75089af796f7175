package gateway

import (
	"strings"
	"time"

	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/store"
)

// durableLog lets the store be the broker's log: they may not know each other's types.
type durableLog struct{ *store.Store }

// commandsIdle is how long the place of a device that is no longer configured is kept among its commands:
// those that wait for longer are refused anyway.
const commandsIdle = 24 * time.Hour

func (l durableLog) OpenCursor(name string, done message.Position) (broker.Cursor, error) {
	if strings.HasPrefix(name, "commands/") {
		return l.Store.OpenExpiringCursor(name, done+1, commandsIdle)
	}
	return l.Store.OpenCursor(name, done+1)
}
