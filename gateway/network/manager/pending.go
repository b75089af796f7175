package manager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
)

// frozen is a profile in a file: in D-Bus's own encoding, since JSON knows fewer types than a profile has.
type frozen []byte

// freeze and thaw go through a message to nobody.
func freeze(p profile) frozen {
	message := &dbus.Message{
		Type: dbus.TypeSignal,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldInterface: dbus.MakeVariant("sluice.Profile"), dbus.FieldMember: dbus.MakeVariant("Profile"), dbus.FieldPath: dbus.MakeVariant(nowhere),
			dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(map[string]map[string]dbus.Variant{})),
		},
		Body: []any{map[string]map[string]dbus.Variant(p)},
	}
	var out bytes.Buffer
	if err := message.EncodeTo(&out, nativeOrder); err != nil {
		panic("bug: a profile that D-Bus cannot hold: " + err.Error())
	}
	return out.Bytes()
}

func (f frozen) thaw() (profile, error) {
	message, err := dbus.DecodeMessage(bytes.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("read a profile: %w", err)
	}
	p, ok := first[map[string]map[string]dbus.Variant](message.Body)
	if !ok {
		return nil, errors.New("read a profile: it is something else")
	}
	return p, nil
}

func (m *Manager) mark(waiting *change) error {
	data, err := json.Marshal(waiting)
	if err != nil {
		return err
	}
	if err := m.options.Write(m.options.Mark, data); err != nil {
		return fmt.Errorf("prepare to take the change back: %w", err)
	}
	return nil
}

func (m *Manager) unmark() error {
	if err := os.Remove(m.options.Mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Run takes back what nobody confirms in time, at first what an earlier run left behind. It returns when
// ctx ends; what still waits then is taken back by NetworkManager, and tidied up at the next start.
func (m *Manager) Run(ctx context.Context) error {
	defer m.bus.close()
	m.recover(ctx)
	for {
		var over <-chan time.Time
		if waiting := m.waiting(); waiting != nil {
			over = time.After(time.Until(waiting.Until))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.turned:
		case <-over:
			m.expire(ctx)
		}
	}
}

func (m *Manager) expire(ctx context.Context) {
	m.changing.Lock()
	defer m.changing.Unlock()
	waiting := m.waiting()
	if waiting == nil || time.Until(waiting.Until) > 0 {
		return
	}
	m.log.Warn("nobody confirmed the changed network; the one before it is back")
	if err := m.takeBack(ctx, waiting); err != nil {
		m.log.Error("the change of the network could not be taken back", "err", err, "retry_in", retryAfter)
		later := *waiting
		later.Until = time.Now().Add(retryAfter)
		m.hold(&later)
	}
}

// recover holds what an earlier run left behind, so that it is taken back at once.
func (m *Manager) recover(ctx context.Context) {
	data, err := os.ReadFile(m.options.Mark)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var left change
	if err == nil {
		err = json.Unmarshal(data, &left)
	}
	if err != nil {
		m.log.Error("an unconfirmed change of the network could not be read", "err", err)
		return
	}
	left.Until = time.Now()
	m.hold(&left)
	m.expire(ctx)
}
