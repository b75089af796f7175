package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/collectors/modbus/modbussim"
	"sluice/web"
)

// What goes over a line is shown with its meaning, and what is wrong with it in words.
func TestLinesAreShown(t *testing.T) {
	server := &modbussim.Server{Unit: 1}
	server.Set(modbussim.Holdings, 20, 0x199A, 0x4366) // 230.1, the low word first
	if err := server.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	start(t, server.Run)
	device := func(name string, unit int) string {
		return fmt.Sprintf("  - {name: %s, driver: modbus, address: 'tcp://%s', unit: %d, interval: 20ms, timeout: 50ms, points: [{name: a, address: \"holding:7\"}]}\n", name, server.Addr(), unit)
	}
	swapped := fmt.Sprintf("  - {name: meter, driver: modbus, address: 'tcp://%s', unit: 1, interval: 20ms, timeout: 50ms, points: [{name: u, address: \"holding:20\", type: float32}]}\n", server.Addr())
	g := newGateway(t, parse(t, t.TempDir(), "web: {listen: ''}\ndevices:\n"+device("press", 1)+device("gone", 2)+swapped))
	start(t, g.Run)
	b := newFieldLines(g)
	until(t, "both devices were asked, and the silence of one is found", func() bool {
		list := b.List()
		return len(list) == 1 && len(list[0].Devices) == 3 && slices.ContainsFunc(list[0].Findings, func(f web.BusFinding) bool { return f.Device == "gone" })
	})
	until(t, "a value that makes sense with swapped words only is found", func() bool {
		return slices.ContainsFunc(b.List()[0].Findings, func(f web.BusFinding) bool { return f.Device == "meter" && f.Rule == "words-swapped" })
	})
	shown := b.List()[0]
	if shown.Name != "tcp://"+server.Addr() || !shown.Open || shown.BytesIn == 0 {
		t.Errorf("the line is %+v", shown)
	}
	for _, d := range shown.Devices {
		switch d.Name {
		case "press":
			if d.Answers == 0 || d.Values != 1 || d.Points != 1 || d.Timed == 0 {
				t.Errorf("the device that answers is %+v", d)
			}
		case "gone":
			if d.Answers != 0 || d.NoReply == 0 || d.Values != 0 || d.Points != 1 || d.Timeout != 50 {
				t.Errorf("the device that does not is %+v", d)
			}
		}
	}
	frames, err := b.Frames(shown.Name, 0)
	if err != nil {
		t.Fatal(err)
	}
	asked := slices.IndexFunc(frames, func(f web.BusFrame) bool { return f.Out && f.Device == "press" })
	if asked < 0 || frames[asked].Protocol != "modbus-tcp" || !strings.Contains(frames[asked].Summary, "7") {
		t.Errorf("the frames are %+v, want a request for register 7 among them", frames)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	last := frames[len(frames)-1].Seq
	err = b.Watch(ctx, shown.Name, last, func(f web.BusFrame) {
		if f.Seq > last {
			cancel()
		}
	})
	if err != nil || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("watching ended with %v, %v", err, ctx.Err())
	}
	var file bytes.Buffer
	if err := b.Capture(shown.Name, &file); err != nil || !bytes.HasPrefix(file.Bytes(), []byte{0x0A, 0x0D, 0x0D, 0x0A}) {
		t.Errorf("the capture has %d bytes, %v; want the magic number of pcapng first", file.Len(), err)
	}
	if _, err := b.Frames("none", 0); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("a line that is none: %v", err)
	}
}
