package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// fakeBuses has one line, rs485-1, with two frames on it; a third one comes for who watches.
type fakeBuses struct{}

var fakeFrames = []BusFrame{
	{Seq: 1, At: fakeBorn, Out: true, Hex: "010300000001840a", Device: "press", Protocol: "modbus-rtu", Summary: "read holding 0"},
	{Seq: 2, At: fakeBorn, Hex: "01830202", Device: "press", Protocol: "modbus-rtu", Verdict: "the checksum is wrong"},
	{Seq: 3, At: fakeBorn, Out: true, Hex: "010300000001840a", Device: "press", Protocol: "modbus-rtu"},
}

func (fakeBuses) List() []Bus {
	return []Bus{{
		Name: "rs485-1", Place: "/dev/ttyS1", Open: true, Since: &fakeBorn, Busy: 0.31, Waiting: 1, Cycle: 412, Exchanges: 900, Failures: 7,
		BytesIn: 81_000, BytesOut: 7_200, Seconds: 120,
		Devices: []BusDevice{
			{Name: "press", Exchanges: 893, Answers: 887, Damaged: 6, Refused: 3, Refusals: []Refusals{{Code: 2, Count: 3}}, Values: 8, Points: 9,
				Timeout: 500, Timed: 887, Fastest: 11, Mean: 14.2, Slowest: 71, LastGood: &fakeBorn},
			{Name: "meter", Exchanges: 7, NoReply: 7, Points: 4, Timeout: 1000},
			{Name: "virtual", Exchanges: 12, Answers: 12, Values: 2, Points: 2, Timeout: 500, Timed: 12, LastGood: &fakeBorn},
		},
		Findings: []BusFinding{{
			Rule: "one device silent", Device: "meter",
			Evidence: BusText{"meter did not answer 7 times, others do.", "meter 有 7 次没有应答，其他设备正常。"},
			Cause:    BusText{"Its address is another one, or it has no power.", "地址不对，或没有供电。"},
			Next:     BusText{"Look at the address in its menu.", "检查它菜单里的地址。"},
		}},
	}}
}

func (b fakeBuses) Frames(name string, after uint64) (list []BusFrame, err error) {
	if name != "rs485-1" {
		return nil, ErrUnknown
	}
	for _, f := range fakeFrames[:2] {
		if f.Seq > after {
			list = append(list, f)
		}
	}
	return list, nil
}

func (b fakeBuses) Watch(ctx context.Context, name string, after uint64, report func(BusFrame)) error {
	if name != "rs485-1" {
		return ErrUnknown
	}
	for _, f := range fakeFrames {
		if f.Seq > after {
			report(f)
		}
	}
	<-ctx.Done()
	return nil
}

func (fakeBuses) Capture(name string, to io.Writer) error {
	_, err := io.WriteString(to, "a capture of "+name)
	return err
}

func TestTheLinesAndTheirFramesAreShown(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	list := decode[busList](t, ask(s, "GET", "/api/v1/buses", "", bearer(s)...)).Items
	if len(list) != 1 || list[0].Devices[1].NoReply != 7 || list[0].Findings[0].Next.Chinese != "检查它菜单里的地址。" {
		t.Errorf("lines %+v", list)
	}
	for after, want := range map[string]int{"": 2, "&after=1": 1, "&after=2": 0} {
		frames := decode[frameList](t, ask(s, "GET", "/api/v1/buses/frames?bus=rs485-1"+after, "", bearer(s)...)).Items
		if len(frames) != want {
			t.Errorf("frames%s are %+v, want %d", after, frames, want)
		}
	}
	file := ask(s, "GET", "/api/v1/buses/capture?bus=rs485-1", "", bearer(s)...)
	if file.Body.String() != "a capture of rs485-1" || !strings.Contains(file.Header().Get("Content-Disposition"), "bus.pcapng") {
		t.Errorf("the capture is %q with %v", file.Body, file.Header())
	}
	for _, path := range []string{"frames", "watch", "capture"} {
		wantProblem(t, ask(s, "GET", "/api/v1/buses/"+path+"?bus=none", "", bearer(s)...), http.StatusNotFound)
		wantProblem(t, ask(s, "GET", "/api/v1/buses/"+path+"?bus=rs485-1", ""), http.StatusUnauthorized)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/buses/frames?bus=rs485-1&after=x", "", bearer(s)...), http.StatusUnprocessableEntity)
}

func TestALineIsWatchedUntilTheWatcherGoes(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	base := run(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/buses/watch?bus=rs485-1&after=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+tokenOf(s))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for _, want := range []uint64{2, 3} {
		if !lines.Scan() {
			t.Fatalf("the answer ends: %v", lines.Err())
		}
		var f BusFrame
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil || f.Seq != want {
			t.Errorf("got %s, %v, want frame %d", lines.Bytes(), err, want)
		}
	}
	cancel()
	if lines.Scan() || !errors.Is(lines.Err(), context.Canceled) {
		t.Errorf("after the end came %q, %v", lines.Text(), lines.Err())
	}
}
