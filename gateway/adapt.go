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

// alarmsIdle is how long the places of rules and notifications that are no longer configured are kept.
const alarmsIdle = time.Hour

func (l durableLog) OpenCursor(name string, done message.Position) (broker.Cursor, error) {
	switch kind, _, _ := strings.Cut(name, "/"); kind {
	case "commands":
		return l.Store.OpenExpiringCursor(name, done+1, commandsIdle)
	case "alarms", "notify":
		return l.Store.OpenExpiringCursor(name, done+1, alarmsIdle)
	}
	return l.Store.OpenCursor(name, done+1)
}
