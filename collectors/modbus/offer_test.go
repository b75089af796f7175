package modbus

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors"
	"sluice/collectors/modbus/modbussim"
)

// A person sees the requests of each poll, what was learned, and the reasons in both languages.
func TestTheDeviceExplainsWhatItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Remove(modbussim.Holdings, 4, 2) // pressure
		d := pipe(t, server, plantPoints()...)
		for range 3 {
			if _, err := read(t, d); err != nil {
				t.Fatal(err)
			}
		}
		plan := d.Explain()
		var points []string
		for i, r := range plan.Requests {
			points = append(points, r.Points...)
			if r.Area != "holding" || r.Function != 3 || r.Count == 0 {
				t.Errorf("request %d is %+v", i, r)
			}
			if (r.Reason.English == "") != (r.Reason.Chinese == "") {
				t.Errorf("request %d gives a reason in one language: %+v", i, r.Reason)
			}
		}
		if len(points) != len(plantPoints()) {
			t.Errorf("the plan has the points %v", points)
		}
		at := slices.IndexFunc(plan.Requests, func(r collectors.Request) bool { return slices.Equal(r.Points, []string{"pressure"}) })
		if at < 0 || plan.Requests[at].Address != 4 || plan.Requests[at].Refused.English != "exception 2: illegal data address" ||
			plan.Requests[at].Refused.Chinese != "异常码 2：非法数据地址" || !strings.Contains(plan.Requests[at].Reason.Chinese, "单独读取") {
			t.Errorf("the plan is %+v, want pressure alone with the refusal", plan.Requests)
		}
		if len(plan.Learned) != 1 || plan.Learned[0].Since.IsZero() || plan.Learned[0].Text.English != "holding registers 4 to 5 together are refused with exception 2: illegal data address" ||
			plan.Learned[0].Text.Chinese != "设备拒绝一起读取保持寄存器 4 至 5（异常码 2：非法数据地址）" {
			t.Errorf("learned %+v", plan.Learned)
		}
		if part := d.Part([]int{0, 1}).(collectors.Explainer).Explain(); len(part.Requests) != 1 || len(part.Requests[0].Points) != 2 {
			t.Errorf("a part asks %+v", part.Requests)
		}
	})
}

// Every reason is given in both languages, whatever leads to it.
func TestEveryReasonHasBothLanguages(t *testing.T) {
	hole := refusal{span: span{Holding, 7, 1}, code: 2}
	for c := wideGap; c <= tooLong; c++ {
		r := request{span: span{Holding, 7, 1}, ending: ending{cause: c, gap: 3, limit: 10, refused: 11, hole: hole}}
		if r.reason() == "" || r.reasonInChinese() == "" || r.reason() == r.reasonInChinese() {
			t.Errorf("cause %d: %q, %q", c, r.reason(), r.reasonInChinese())
		}
	}
	for code := range exception(len(exceptions)) {
		if known := exceptions[code].text != ""; known != !strings.Contains(code.inChinese(), "未知") {
			t.Errorf("%v is %q", code, code.inChinese())
		}
	}
}

func TestRegistersAreLookedAtBetweenPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &modbussim.Server{}
		newPlant(server)
		server.Set(modbussim.Holdings, 500, 0x43AF, 0x0102)
		server.Set(modbussim.Coils, 20, 1, 0, 0, 1, 0, 0, 0, 0, 1)
		d := pipe(t, server, plantPoints()...)
		if _, err := read(t, d); err != nil {
			t.Fatal(err)
		}
		words, err := d.Inspect(t.Context(), "holding", 500, 2)
		if err != nil || !slices.Equal(words, []uint16{0x43AF, 0x0102}) {
			t.Errorf("registers %04X, %v", words, err)
		}
		words, err = d.Inspect(t.Context(), "coil", 20, 9)
		if err != nil || !slices.Equal(words, []uint16{1, 0, 0, 1, 0, 0, 0, 0, 1}) {
			t.Errorf("coils %v, %v", words, err)
		}
		server.Remove(modbussim.Holdings, 600, 1)
		if _, err := d.Inspect(t.Context(), "holding", 598, 4); err == nil || !strings.Contains(err.Error(), "holding registers 598 to 601 with exception 2") {
			t.Errorf("a hole: %v", err)
		}
		if plan := d.Explain(); len(plan.Learned) != 0 {
			t.Errorf("looking taught the plan %+v", plan.Learned)
		}
		got, err := read(t, d)
		if err != nil {
			t.Fatal(err)
		}
		if problem := samePoints(got, plantReading(1)); problem != nil {
			t.Errorf("after looking: %v", problem)
		}
		server.Always(modbussim.Fault{Kind: modbussim.Silence})
		began := time.Now()
		if _, err := d.Inspect(t.Context(), "holding", 0, 1); err == nil || time.Since(began) > 3*time.Second {
			t.Errorf("a silent device: %v after %v", err, time.Since(began))
		}
	})
}

func TestWhatCannotBeLookedAtIsNamed(t *testing.T) {
	o := options("tcp://10.0.0.9:502", plantPoints()...)
	o.MaxRegisters = 20
	d := pipeTo(t, &modbussim.Server{}, o)
	for _, c := range []struct {
		area           string
		address, count int
		field          string
	}{
		{"", 0, 1, "area"}, {"register", 0, 1, "area"}, {"holding", -1, 1, "address"}, {"holding", 65536, 1, "address"},
		{"holding", 0, 0, "count"}, {"holding", 0, 21, "count"}, {"input", 65530, 7, "count"}, {"coil", 0, 126, "count"},
	} {
		_, err := d.Inspect(t.Context(), c.area, c.address, c.count)
		if wrong, ok := errors.AsType[*collectors.SpanError](err); !ok || wrong.Field != c.field {
			t.Errorf("%s:%d+%d gives %v, want a mistake in %s", c.area, c.address, c.count, err, c.field)
		}
	}
}
