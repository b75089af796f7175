package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/collectors"
)

// Explain says what the device, or this part of it, is asked in each poll.
func (d *device) Explain() collectors.Plan {
	var out collectors.Plan
	for _, r := range makePlan(d.points, d.limits, d.known) {
		told := collectors.Request{
			Area: r.area.String(), Function: readFunctions[r.area], Address: r.start, Count: r.count,
			Unwanted: r.count - d.wanted(&r), Reason: collectors.Text{English: r.reason(), Chinese: r.reasonInChinese()},
		}
		if r.refused != 0 {
			told.Refused = collectors.Text{English: r.refused.Error(), Chinese: r.refused.inChinese()}
		}
		for _, i := range r.points {
			told.Points = append(told.Points, d.points[i].name)
		}
		out.Requests = append(out.Requests, told)
	}
	known := d.known.look()
	for area := Coil; area <= Holding; area++ {
		t := known.of(area)
		for _, r := range t.refused {
			out.Learned = append(out.Learned, collectors.Lesson{Since: r.at, Text: collectors.Text{English: r.why(), Chinese: r.whyInChinese()}})
		}
		if t.bad != 0 {
			out.Learned = append(out.Learned, collectors.Lesson{Since: t.at, Text: collectors.Text{
				English: t.limitText(area), Chinese: fmt.Sprintf("一次读取 %s会被拒绝，%d 个可以", manyInChinese(area, t.bad), t.good),
			}})
		}
	}
	return out
}

// Inspect reads any registers or bits once, in a turn among those of the polls.
func (d *device) Inspect(ctx context.Context, area string, address, count int) ([]uint16, error) {
	at := slices.Index(areaNames[:], area)
	switch {
	case at < int(Coil):
		return nil, &collectors.SpanError{Field: "area", Text: fmt.Sprintf("%q is not an area; write %s", clipText(area), strings.Join(areaNames[Coil:], ", "))}
	case address < 0 || address > 0xFFFF:
		return nil, &collectors.SpanError{Field: "address", Text: fmt.Sprintf("%d is not a number from 0 to 65535", address)}
	}
	s := span{Area(at), address, count}
	most := d.limits.most(s.area)
	if s.area.bits() {
		most = min(most, maxRegisters) // the answer has a word for each
	}
	switch {
	case count < 1 || count > most:
		return nil, &collectors.SpanError{Field: "count", Text: fmt.Sprintf("%d is not a number from 1 to %d, which this device is asked for at once", count, most)}
	case s.end() > 1<<16:
		return nil, &collectors.SpanError{Field: "count", Text: fmt.Sprintf("%s does not end before 65536", s)}
	}
	if err := d.unit.take(ctx, false); err != nil {
		return nil, err
	}
	defer d.unit.release()
	data, err := d.unit.fetch(ctx, s)
	if refusal, ok := errors.AsType[exception](err); ok {
		return nil, fmt.Errorf("%s refuses %s with %w", d.unit.name, s, refusal)
	}
	if err != nil {
		return nil, err
	}
	words := make([]uint16, count)
	for i := range words {
		if s.area.bits() {
			words[i] = uint16(data[i/8] >> (i % 8) & 1)
		} else {
			words[i] = binary.BigEndian.Uint16(data[2*i:])
		}
	}
	return words, nil
}

// reasonInChinese is reason in the page's other language.
func (r *request) reasonInChinese() string {
	e := &r.ending
	switch e.cause {
	case wideGap:
		return fmt.Sprintf("中间隔着 %s，最多只顺带读 %d 个", manyInChinese(r.area, e.gap), e.limit)
	case dearGap:
		return fmt.Sprintf("中间隔着 %s，顺带读比另发一个请求更慢", manyInChinese(r.area, e.gap))
	case full:
		text := fmt.Sprintf("一次最多读 %s", manyInChinese(r.area, e.limit))
		if e.refused > 0 {
			text += fmt.Sprintf("，设备拒绝一次读 %d 个", e.refused)
		}
		if e.gap > 0 {
			text += fmt.Sprintf("，在 %d 个不需要的处断开", e.gap)
		}
		return text
	case refusedPart:
		return e.hole.whyInChinese()
	case refusedAlone:
		if e.hole.span == r.span {
			return e.hole.whyInChinese() + "，因此单独读取，且只偶尔尝试"
		}
		return e.hole.whyInChinese() + "，它在这段之内，因此单独读取，且只偶尔尝试"
	case tooLong:
		return fmt.Sprintf("超过 %s，因此单独读取", manyInChinese(r.area, e.limit))
	}
	return ""
}

func (r refusal) whyInChinese() string {
	if r.count == 1 {
		return fmt.Sprintf("设备拒绝读取%s %d（%s）", cellNamesInChinese[r.area], r.start, r.code.inChinese())
	}
	return fmt.Sprintf("设备拒绝一起读取%s %d 至 %d（%s）", cellNamesInChinese[r.area], r.start, r.end()-1, r.code.inChinese())
}

var cellNamesInChinese = [...]string{Coil: "线圈", Discrete: "离散输入", Input: "输入寄存器", Holding: "保持寄存器"}

func manyInChinese(area Area, n int) string {
	return fmt.Sprintf("%d 个%s", n, cellNamesInChinese[area])
}

// exceptionsInChinese are the words of exceptions in the page's other language.
var exceptionsInChinese = [...]string{
	1: "非法功能码", 2: "非法数据地址", 3: "非法数据值", 4: "从站设备故障", 5: "已确认，设备需要更长时间", 6: "从站设备忙",
	8: "存储奇偶校验错误", 10: "网关路径不可用", 11: "网关的目标设备没有响应",
}

func (e exception) inChinese() string {
	text := "未知"
	if int(e) < len(exceptionsInChinese) && exceptionsInChinese[e] != "" {
		text = exceptionsInChinese[e]
	}
	return fmt.Sprintf("异常码 %d：%s", byte(e), text)
}
