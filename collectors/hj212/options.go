package hj212

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"sluice/collectors"
	"sluice/gateway/config"
	wire "sluice/gateway/hj212"
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Listen   string         `yaml:"listen" required:"true" doc:"where the data logger connects to: host:port of this gateway, such as 0.0.0.0:9212; several loggers may share it"`
	MN       string         `yaml:"mn" required:"true" doc:"the logger's number (MN), by which it is known; in quotes"`
	Password config.Secret  `yaml:"password" doc:"the password (PW) that the logger must send; default: any"`
	Edition  Edition        `yaml:"edition" default:"2017" doc:"the standard's edition that requests to the logger follow; reports are understood in both" enum:"2017,2005"`
	TimeZone string         `yaml:"time_zone" default:"Asia/Shanghai" doc:"the zone of the moments in reports: a name, or a distance from UTC such as +08:00"`
	Silence  time.Duration  `yaml:"silence" default:"2h" doc:"how long the logger's connection may be quiet until it is closed" min:"100ms" max:"48h"`
	Timeout  time.Duration  `yaml:"timeout" default:"5s" doc:"how long the logger may take to answer a request, such as setting its clock" min:"100ms" max:"5m"`
	AckParts bool           `yaml:"ack_parts" doc:"acknowledge each packet of a report at once, for loggers that send the next only then; a report that is cut off in its middle may be lost then"`
	Points   []PointOptions `yaml:"points" required:"true" unique:"name" doc:"what to take from reports"`
}

// PointOptions is one value in the logger's reports.
type PointOptions struct {
	Name              string `yaml:"name" required:"true" doc:"the name of the value in readings"`
	Factor            Factor `yaml:"factor" required:"true" doc:"code and field as they stand in reports: w01018-Rtd, a34004-Avg; a code alone means its Rtd"`
	Period            Period `yaml:"period" doc:"which reports it is taken from; default: realtime for Rtd, minute for all other fields" enum:"realtime,minute,hour,day"`
	Unit              string `yaml:"unit" doc:"shown beside the value; default: what the table of codes says"`
	collectors.Policy `yaml:",inline"`
}

// Edition is the year of the standard that requests follow.
type Edition int

// The editions.
const (
	Edition2017 Edition = 2017
	Edition2005 Edition = 2005
)

// UnmarshalText takes the year.
func (e *Edition) UnmarshalText(text []byte) error {
	switch string(text) {
	case "2017":
		*e = Edition2017
	case "2005":
		*e = Edition2005
	default:
		return fmt.Errorf("%q is no edition of HJ 212 that is known; write 2017 or 2005", text)
	}
	return nil
}

// MarshalText gives the year.
func (e Edition) MarshalText() ([]byte, error) { return fmt.Append(nil, int(e)), nil }

// Factor is a code with one of its fields.
type Factor struct{ Code, Field string }

// UnmarshalText takes w01018-Rtd, or a code alone.
func (f *Factor) UnmarshalText(text []byte) error {
	code, field, found := strings.Cut(string(text), "-")
	if !found {
		field = "Rtd"
	}
	if code == "" || field == "" || strings.ContainsAny(string(text), ";,=& ") {
		return fmt.Errorf("%q is not code-Field, such as w01018-Rtd", text)
	}
	*f = Factor{code, field}
	return nil
}

// MarshalText gives both parts.
func (f Factor) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// String gives both parts.
func (f Factor) String() string {
	if f.Code == "" {
		return ""
	}
	return f.Code + "-" + f.Field
}

// Period says what a report is about.
type Period string

// The periods.
const (
	Realtime Period = "realtime"
	Minute   Period = "minute"
	Hour     Period = "hour"
	Day      Period = "day"
)

// periods are the commands that carry reports.
var periods = map[string]Period{wire.Realtime: Realtime, wire.Minute: Minute, wire.Hour: Hour, wire.Day: Day}

// command gives the code by which reports of a period come and are asked for.
func (p Period) command() string {
	for code, period := range periods {
		if period == p {
			return code
		}
	}
	return ""
}

// UnmarshalText takes the names of the periods.
func (p *Period) UnmarshalText(text []byte) error {
	if Period(text).command() == "" {
		return fmt.Errorf("%q is no period; write realtime, minute, hour or day", text)
	}
	*p = Period(text)
	return nil
}

// period is the one that a point is taken from.
func (p *PointOptions) period() Period {
	switch {
	case p.Period != "":
		return p.Period
	case p.Factor.Field == "Rtd":
		return Realtime
	}
	return Minute
}

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	if _, port, err := net.SplitHostPort(o.Listen); err != nil || port == "" {
		report("listen", fmt.Sprintf("%q is no address to listen on; write host:port, such as 0.0.0.0:9212", o.Listen))
	}
	if o.MN == "" {
		report("mn", "is missing: the logger's number")
	} else if strings.ContainsAny(o.MN, ";,=&# \r\n") {
		report("mn", fmt.Sprintf("%q has a character that no packet can carry", o.MN))
	}
	if strings.ContainsAny(string(o.Password), ";&\r\n") {
		report("password", "has a character that no packet can carry")
	}
	if _, err := wire.Zone(o.TimeZone); err != nil {
		report("time_zone", err.Error())
	}
	for path, d := range map[string]time.Duration{"silence": o.Silence, "timeout": o.Timeout} {
		if d <= 0 {
			report(path, fmt.Sprintf("%v is not a time to wait", d))
		}
	}
	if len(o.Points) == 0 {
		report("points", "is empty: there is nothing to take from reports")
	}
	seen := map[string]bool{}
	for i := range o.Points {
		p, at := &o.Points[i], fmt.Sprintf("points[%d]", i)
		switch {
		case p.Name == "":
			report(at+".name", "is missing")
		case p.Name == clockPoint || p.Name == historyPoint:
			report(at+".name", fmt.Sprintf("%q is what is written to, to set the clock or to ask for old reports; choose another name", p.Name))
		case seen[p.Name]:
			report(at+".name", fmt.Sprintf("%q names two points", p.Name))
		}
		seen[p.Name] = true
		if p.Factor.Code == "" {
			report(at+".factor", "is missing: code and field such as w01018-Rtd")
		}
		p.ValidateFor(measures(p.Factor.Field), func(key, problem string) { report(at+"."+key, problem) })
	}
}

func (o *Options) check() error {
	var errs []error
	o.Validate(func(path, problem string) { errs = append(errs, fmt.Errorf("%s: %s", path, problem)) })
	return errors.Join(errs...)
}

// Endpoint is where the logger connects to, with its number.
func (o *Options) Endpoint() string { return o.Listen + " MN " + o.MN }
