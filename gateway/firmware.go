package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"sluice/firmware"
	"sluice/gateway/message"
	"sluice/web"
)

// firmwarePart lets the page update the system that the gateway runs on.
type firmwarePart struct {
	*Gateway
	updater *firmware.Updater // nil: nobody updates it, as in the demo
}

// partFirmware is the part's name.
const partFirmware = "firmware"

// run proves the system and installs what is asked for.
func (f firmwarePart) run(ctx context.Context) error {
	return f.updater.Run(ctx, health{f.Gateway}, f.settings, func(e firmware.Event) { f.tell(ctx, e) })
}

func (f firmwarePart) settings() firmware.Settings {
	c := f.Config().Firmware
	s := firmware.Settings{Stable: time.Duration(c.Stable), Within: time.Duration(c.Within)}
	if c.TLS != nil {
		s.TLS = firmware.TLS{Cert: c.TLS.Cert, Key: c.TLS.Key, CA: c.TLS.CA}
	}
	return s
}

// firmwareEvent is the message on events/{gateway}/firmware.
type firmwareEvent struct {
	Gateway string `json:"gateway"`
	Event   string `json:"event"`
	Version string `json:"version,omitempty"`
	Slot    string `json:"slot,omitempty"`
	By      string `json:"by,omitempty"`
	Text    string `json:"text,omitempty"`
	Time    int64  `json:"ts"`
}

// tell lets the world know what became of an update.
func (f firmwarePart) tell(ctx context.Context, e firmware.Event) {
	name := f.Config().Gateway.Name
	payload, err := json.Marshal(firmwareEvent{name, e.Kind, e.Version, e.Slot, e.By, e.Text, e.Time.UnixMilli()})
	if err != nil {
		panic("bug: an event cannot fail to marshal: " + err.Error())
	}
	m := message.Message{Topic: "events/" + name + "/firmware", Payload: payload, Time: e.Time.UnixMilli(), QoS: 1}
	if err := f.broker.Publish(ctx, &m, nil, 0); err != nil && ctx.Err() == nil {
		f.log.Error("an event of the firmware was not published", "event", e.Kind, "err", err)
	}
}

func (f firmwarePart) known() firmware.State {
	if f.updater == nil {
		return firmware.State{Absent: true}
	}
	return f.updater.State()
}

// FirmwareState implements web.Firmware.
func (f firmwarePart) FirmwareState() web.FirmwareState {
	s := f.known()
	shown := web.FirmwareState{
		Kind: "rauc", Version: f.options.Release.Version, Board: s.Board, Slots: []web.FirmwareSlot{}, History: []web.FirmwareEvent{},
		Commands: []string{}, Problem: s.Problem,
	}
	if s.Absent {
		shown.Kind, shown.Version = "none", f.options.Version
		program, _ := os.Executable()
		if m, known := firmware.ManagerOf(os.DirFS("/"), program); known {
			shown.Kind, shown.Manager, shown.Commands = "package", m.Name, m.Commands
		}
	}
	for _, slot := range s.Slots {
		one := web.FirmwareSlot{Name: slot.Name, Bootname: slot.Bootname, State: "inactive", Status: "bad", Version: slot.Version}
		if slot.Good {
			one.Status = "good"
		}
		if slot.Booted {
			one.State, shown.Slot = "booted", slot.Bootname
			if one.Version == "" {
				one.Version = shown.Version
			}
		}
		if !slot.Installed.IsZero() {
			one.Installed = &slot.Installed
		}
		shown.Slots = append(shown.Slots, one)
	}
	if i := s.Install; i != nil {
		shown.Install = showInstall(i)
	}
	if s.Waiting != nil {
		waiting := web.FirmwareWaiting(*s.Waiting)
		shown.Waiting = &waiting
	}
	if t := s.Trial; t != nil && !s.Absent {
		shown.Trial = &web.FirmwareTrial{Since: t.Since, Until: t.Until, Failed: t.Failed, Checks: []web.FirmwareCheck{}}
		for _, c := range t.Checks {
			shown.Trial.Checks = append(shown.Trial.Checks, web.FirmwareCheck(c))
		}
	}
	for _, e := range s.History {
		shown.History = append(shown.History, web.FirmwareEvent(e))
	}
	return shown
}

func showInstall(i *firmware.Install) *web.FirmwareInstall {
	shown := &web.FirmwareInstall{
		Running: i.Running, Phase: i.Phase, Percent: i.Percent, Message: i.Doing, Source: i.Source, By: i.By, Version: i.Version, Bytes: i.Bytes,
	}
	if i.Total >= 0 {
		shown.Total = &i.Total
	}
	if i.Error != nil {
		shown.Error, shown.Reason = i.Error.Error(), "other"
		if refusal, ok := errors.AsType[*firmware.Refusal](i.Error); ok {
			shown.Reason = refusal.Kind
		}
	}
	return shown
}

// Upload implements web.Firmware.
func (f firmwarePart) Upload(ctx context.Context, from io.Reader, size int64, name, by string) error {
	if f.known().Absent {
		return web.ErrNoSlots
	}
	return asWeb(f.updater.Receive(ctx, from, size, name, by))
}

// Stream implements web.Firmware.
func (f firmwarePart) Stream(url, by string) error {
	if f.known().Absent {
		return web.ErrNoSlots
	}
	return asWeb(f.updater.Fetch(url, by))
}

// CancelUpload implements web.Firmware.
func (f firmwarePart) CancelUpload() error {
	if f.known().Absent {
		return web.ErrUnknown
	}
	return asWeb(f.updater.Cancel())
}

// RestartMachine implements web.Firmware.
func (f firmwarePart) RestartMachine(ctx context.Context, by string) error {
	if f.known().Absent {
		return web.ErrNoSlots
	}
	return asWeb(f.updater.Restart(ctx, health{f.Gateway}, by))
}

// asWeb says in the page's terms why something was refused.
func asWeb(err error) error {
	if refusal, ok := errors.AsType[*firmware.Refusal](err); ok {
		return &web.UpdateError{Kind: refusal.Kind, Text: refusal.Error()}
	}
	for _, pair := range [][2]error{
		{firmware.ErrBusy, web.ErrInstalling}, {firmware.ErrWritten, web.ErrInstalling}, {firmware.ErrTrial, web.ErrOnTrial}, {firmware.ErrNoInstaller, web.ErrNoSlots},
		{firmware.ErrNothing, web.ErrUnknown}, {firmware.ErrNoSpace, web.ErrNoSpace}, {firmware.ErrTooLarge, web.ErrBundleSize}, {firmware.ErrAborted, web.ErrUploadEnded},
	} {
		if errors.Is(err, pair[0]) {
			return pair[1]
		}
	}
	return err
}

// health is what the gateway says of itself while a new system is on trial.
type health struct{ *Gateway }

// probeTopic is where the record goes that proves the log. Wildcards do not match it.
const probeTopic = "$firmware/probe"

// Probe implements firmware.Health.
func (h health) Probe(ctx context.Context) error {
	type outcome struct {
		at  message.Position
		err error
	}
	done := make(chan outcome, 1)
	payload := []byte(time.Now().UTC().Format(time.RFC3339Nano))
	m := message.Message{Topic: probeTopic, Payload: payload, Time: time.Now().UnixMilli(), Queue: message.NoQueue}
	err := h.store.Append(ctx, &m, message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) { done <- outcome{at, err} }), 0)
	if err != nil {
		return fmt.Errorf("a record cannot be written: %w", err)
	}
	var written outcome
	select {
	case <-ctx.Done():
		return errors.New("a record is not durable yet, the disk takes too long")
	case written = <-done:
	}
	if written.err != nil {
		return fmt.Errorf("a record is not durable: %w", written.err)
	}
	read, err := h.store.Read(nil, written.at, 1)
	if err != nil {
		return fmt.Errorf("a record that was written cannot be read: %w", err)
	}
	if len(read) != 1 || read[0].Position != written.at || string(read[0].Payload) != string(payload) {
		return errors.New("a record that was written reads otherwise")
	}
	return nil
}

// Configured implements firmware.Health.
func (h health) Configured(context.Context) error {
	if dead := h.parts.dead(); len(dead) > 0 {
		return fmt.Errorf("not running: %s", strings.Join(dead, ", "))
	}
	if h.configurator.shownPending() != nil {
		return errors.New("a change of the configuration waits to be confirmed")
	}
	return nil
}

// Listening implements firmware.Health.
func (h health) Listening(ctx context.Context) error {
	c := h.Config()
	addresses := mqttListen(&c.MQTT)
	if c.Web.Listen != "" {
		addresses = append(addresses, c.Web.Listen)
	}
	if c.Web.TLS != nil {
		addresses = append(addresses, c.Web.TLS.Listen)
	}
	if r := c.RocketMQ; r != nil {
		addresses = append(addresses, r.Listen)
		if r.NameServer != "" {
			addresses = append(addresses, r.NameServer)
		}
	}
	var closed []string
	for _, address := range addresses {
		if err := knock(ctx, address); err != nil {
			closed = append(closed, err.Error())
		}
	}
	for _, b := range c.Buses {
		// A connection of ours would be taken for a device's: the lines say themselves whether they listen.
		if b.Listen != "" {
			if _, err := h.buses.Addr(b.Listen); err != nil {
				closed = append(closed, err.Error())
			}
		}
	}
	if len(closed) > 0 {
		return errors.New(strings.Join(closed, "; "))
	}
	return nil
}

// Uplinks implements firmware.Health.
func (h health) Uplinks(context.Context) map[string]error {
	states := map[string]error{}
	for _, u := range h.uplinks() {
		s := u.forwarder.State()
		switch {
		case s.State == "online":
			states[u.config.Name] = nil
		case s.LastError != "":
			states[u.config.Name] = errors.New(s.LastError)
		default:
			states[u.config.Name] = errors.New(s.State)
		}
	}
	return states
}

// knock says whether somebody takes connections at an address that is listened at.
func knock(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("nobody listens at %s: %w", address, err)
	}
	return conn.Close()
}
