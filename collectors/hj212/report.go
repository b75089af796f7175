package hj212

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

// report is what one DataTime of a message says.
type report struct {
	period Period
	at     time.Time
	stamp  string // DataTime as it came
	values map[Factor]string
}

// reports takes an upload apart. History answers may have several moments in one message.
func reports(p wire.Packet, zone *time.Location) ([]report, error) {
	period, known := periods[p.CN]
	if !known {
		return nil, fmt.Errorf("CN %s carries no report that is known", p.CN)
	}
	pairs, err := wire.Pairs(p.Data)
	if err != nil {
		return nil, err
	}
	var all []report
	for _, pair := range pairs {
		if pair.Code == "" && pair.Field == dataTimeKey {
			if len(all) > 0 && all[len(all)-1].stamp == pair.Value {
				continue // repeated in each packet
			}
			at, err := wire.ParseTime(pair.Value, zone)
			if err != nil {
				return nil, fmt.Errorf("its DataTime: %w", err)
			}
			all = append(all, report{period: period, at: at, stamp: pair.Value, values: map[Factor]string{}})
			continue
		}
		if pair.Code == "" {
			continue
		}
		if len(all) == 0 {
			return nil, errors.New("values come before their DataTime")
		}
		r, factor := all[len(all)-1], Factor{pair.Code, pair.Field}
		if before, twice := r.values[factor]; twice && before != pair.Value {
			return nil, fmt.Errorf("%s is there twice, with %.20q and %.20q", factor, before, pair.Value)
		}
		r.values[factor] = pair.Value
	}
	if len(all) == 0 {
		return nil, errors.New("it has no DataTime")
	}
	return all, nil
}

// fill gives the points that a report of its period has.
func (r *report) fill(points []point, into []message.Point) []message.Point {
	for i := range points {
		if points[i].period == r.period {
			into = append(into, r.point(&points[i]))
		}
	}
	return into
}

// fillAll gives all points; those that come with other reports say so.
func (r *report) fillAll(points []point, into []message.Point) []message.Point {
	for i := range points {
		if points[i].period == r.period {
			into = append(into, r.point(&points[i]))
			continue
		}
		into = append(into, message.Point{Name: points[i].name, Error: fmt.Sprintf("comes with the report of each %s only", points[i].period)})
	}
	return into
}

// point gives one point's share. A flagged value goes with its error, so
// that nobody takes it for a good one.
func (r *report) point(p *point) message.Point {
	out := message.Point{Name: p.name}
	text, there := r.values[p.factor]
	flag := r.values[Factor{p.factor.Code, "Flag"}]
	switch {
	case there:
		out.Value, out.Error = valueOf(p.factor, text)
	case flag == "":
		out.Error = fmt.Sprintf("%s is not in the report", p.factor)
	}
	if problem := wire.FlagText(flag); problem != "" && p.factor.Field != "Flag" {
		out.Error = problem
		out.Held = !out.Value.Absent()
	} else if !there && out.Error == "" {
		out.Error = fmt.Sprintf("%s is not in the report, only its flag %s is", p.factor, flag)
	}
	return out
}

// valueOf reads a value. Fields that measure are numbers; all others may be text.
func valueOf(f Factor, text string) (message.Value, string) {
	if n, ok := decimal(text); ok {
		return message.Float64(n), ""
	}
	if measures(f.Field) {
		return message.Value{}, fmt.Sprintf("the logger sent %.20q, which is no number", clean(text))
	}
	return message.Text(clean(text)), ""
}

// measures says whether a field holds a measured value; Zs stands for a value that is converted to
// standard conditions.
func measures(field string) bool {
	switch strings.TrimPrefix(field, "Zs") {
	case "Rtd", "Avg", "Min", "Max", "Cou":
		return true
	}
	return false
}

// decimal reads plain numbers only: ParseFloat alone would take Inf, NaN and hex.
func decimal(text string) (float64, bool) {
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// clean makes text fit for people: what is not UTF-8, such as GBK, is marked as unreadable.
func clean(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
