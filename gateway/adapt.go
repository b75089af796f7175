package gateway

import (
	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/store"
)

// durableLog lets the store be the broker's log: they may not know each other's types.
type durableLog struct{ *store.Store }

func (l durableLog) OpenCursor(name string, done message.Position) (broker.Cursor, error) {
	return l.Store.OpenCursor(name, done+1)
}
