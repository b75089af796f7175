package hj212

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

// report is what one reading becomes in the reports of one period.
type report struct {
	command    string
	unixMillis int64
	at         string // the same as DataTime
	groups     []group
}

// group is what a report says about one code.
type group struct {
	code       string
	statements []string // w01018-Rtd=1
	flag       string   // the worst of its values'
}

// String gives the statements with their flag.
func (g *group) String() string {
	return strings.Join(append(g.statements[:len(g.statements):len(g.statements)], g.code+"-Flag="+g.flag), ",")
}

// The flags that are given here. Others come from a logger that flagged a value itself.
const (
	normal       = "N"
	notReachable = "B"
)

// flagOf finds the flag that the collector of HJ 212 names at the end of an error: one letter or digit
// in brackets.
func flagOf(problem string) (flag string, named bool) {
	_, rest, found := strings.Cut(problem, "(flag ")
	flag, closed := strings.CutSuffix(rest, ")")
	return flag, found && closed && len(flag) == 1 && carried(flag)
}

// target is where a point goes.
type target struct {
	device, point        string
	command, code, field string
}

// reading is what goes up, as far as reports need it.
type reading struct {
	Device string                     `json:"device"`
	Time   int64                      `json:"ts"`
	Values map[string]json.RawMessage `json:"values"`
	Errors map[string]string          `json:"errors"`
}

var errNoReading = errors.New("it is no reading, and HJ 212 carries nothing else; forward readings/# alone")

// reports makes what the server gets of a message. None is right too: a reading none of whose points
// is reported.
func (u *Uplink) reports(payload []byte, r *message.Record) ([]report, error) {
	var in reading
	if err := json.Unmarshal(payload, &in); err != nil || in.Values == nil && in.Errors == nil {
		return nil, errNoReading
	}
	if in.Device == "" {
		in.Device = r.Device
	}
	if in.Time == 0 {
		in.Time = r.Time
	}
	at := wire.FormatTime(time.UnixMilli(in.Time).In(u.zone))
	var all []report
	for i := range u.targets {
		t := &u.targets[i]
		if t.device != "" && t.device != in.Device {
			continue
		}
		value, flag, told := u.judge(&in, t.point)
		if !told {
			continue
		}
		if len(all) == 0 || all[len(all)-1].command != t.command {
			all = append(all, report{command: t.command, unixMillis: in.Time, at: at})
		}
		to := &all[len(all)-1]
		if len(to.groups) == 0 || to.groups[len(to.groups)-1].code != t.code {
			to.groups = append(to.groups, group{code: t.code})
		}
		g := &to.groups[len(to.groups)-1]
		if value != "" {
			g.statements = append(g.statements, t.code+"-"+t.field+"="+value)
		}
		if g.flag == "" || g.flag == normal {
			g.flag = flag
		}
	}
	return all, nil
}

// judge says what a report tells of a point: a good value, and of one with an error only its flag, with
// the value where a logger has flagged it so.
func (u *Uplink) judge(in *reading, point string) (value, flag string, told bool) {
	value, good := plain(in.Values[point])
	problem, failed := in.Errors[point]
	switch {
	case good && !failed:
		return value, normal, true
	case !failed || u.options.Faults != faultsFlag:
		return "", "", false
	}
	if flag, named := flagOf(problem); named && good {
		return value, flag, true
	}
	return "", notReachable, true // a value beside it is the last good one, not one of now
}

// plain writes a JSON value as reports have it: digits without an exponent, 1 and 0, or text that a
// packet can carry. All else is no value for a report.
func plain(raw json.RawMessage) (text string, good bool) {
	switch text := string(raw); {
	case text == "" || text == "null":
		return "", false
	case text == "true":
		return "1", true
	case text == "false":
		return "0", true
	case text[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil && s != "" && carried(s)
	case strings.ContainsAny(text, "eE"):
		f, err := strconv.ParseFloat(text, 64)
		return strconv.FormatFloat(f, 'f', -1, 64), err == nil
	default:
		return text, strings.Trim(text, "-.0123456789") == ""
	}
}

// mostData is what the data area of a packet may hold: less in the edition of 2017, and less behind a
// long head.
func (u *Uplink) mostData(head wire.Packet) int {
	most := 950
	if u.options.Edition == edition2005 {
		most = 960
	}
	head.PNUM, head.PNO = 99, 99 // in two digits
	return min(most, wire.MaxStandardSegment-len(head.Segment(nil)))
}

// packets spreads a report. Each packet has whole groups and the report's DataTime; together they
// have one QN.
func (u *Uplink) packets(r *report, qn, password string) ([]wire.Packet, error) {
	flag := 0
	if u.options.Edition != edition2005 {
		flag = wire.Version2017
	}
	if u.options.Ack != ackNone {
		flag |= wire.AckWanted
	}
	p := wire.Packet{QN: qn, ST: u.options.ST, CN: r.command, PW: password, MN: u.options.MN, Flag: flag}
	begin, most := "DataTime="+r.at, u.mostData(p)
	part := begin
	var parts []string
	for i := range r.groups {
		group := r.groups[i].String()
		if len(begin)+1+len(group) > most {
			return nil, fmt.Errorf("%.40s… is too long for a packet", group)
		}
		if len(part)+1+len(group) > most {
			parts = append(parts, part)
			part = begin
		}
		part += ";" + group
	}
	parts = append(parts, part)
	if len(parts) > 1 {
		p.Flag |= wire.Packetised
		p.PNUM = len(parts)
	}
	var all []wire.Packet
	for i, data := range parts {
		p.Data = data
		if p.PNUM > 0 {
			p.PNO = i + 1
		}
		all = append(all, p)
	}
	return all, nil
}
