// Package hj212 is the uplink to an authority's server that speaks HJ 212, of 2017 or 2005: readings
// become its reports, one after the other, and each counts as delivered when the server has
// acknowledged it. It hides packets, their numbers, repetitions, and what the server asks for.
package hj212

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"sluice/bridge/dial"
	wire "sluice/gateway/hj212"
)

// What Options.Ack says.
const (
	ackPacket = "packet"
	ackReport = "report"
	ackNone   = "none"
)

// What Options.Faults says.
const (
	faultsOmit = "omit"
	faultsFlag = "flag"
)

// The editions.
const (
	edition2017 = "2017"
	edition2005 = "2005"
)

// Options are the uplink's part of the configuration.
type Options struct {
	Address      string         `yaml:"address" required:"true" doc:"the authority's server: tcp://host:port, or ssl://host:port where it wants TLS"`
	MN           string         `yaml:"mn" required:"true" doc:"the number (MN) that the authority has given to this site; in quotes"`
	PasswordFile string         `yaml:"password_file" path:"secret" doc:"file that holds the password (PW) that the authority has given; read at every connection"`
	ST           string         `yaml:"st" doc:"kind of monitor (ST): 21 surface water, 22 ambient air, 31 flue gas, 32 waste water"`
	Edition      string         `yaml:"edition" enum:"2017,2005" doc:"the standard's edition"`
	TimeZone     string         `yaml:"time_zone" doc:"the zone of the moments in reports: a name, or a distance from UTC such as +08:00"`
	Ack          string         `yaml:"ack" enum:"packet,report,none" doc:"what the server acknowledges with 9014: each packet as the standard has it, a report of several packets once, or nothing at all; with none a report counts as delivered when it is written"`
	OverTime     time.Duration  `yaml:"over_time" doc:"how long an acknowledgement may take until the report is sent again"`
	ReCount      int            `yaml:"re_count" doc:"how often a report is sent again until the connection counts as dead"`
	Faults       string         `yaml:"faults" enum:"omit,flag" doc:"what becomes of a point with an error: it is left out, or its flag is sent, B mostly"`
	Points       []PointOptions `yaml:"points" required:"true" doc:"which values are reported, under which codes; all others stay here"`

	dial.Options `yaml:",inline"`
}

// PointOptions is one value of the reports.
type PointOptions struct {
	Device string `yaml:"device" doc:"the device that the point is of; default: whichever has a point of that name"`
	Point  string `yaml:"point" required:"true" doc:"the point's name in readings"`
	Factor string `yaml:"factor" required:"true" doc:"code and field in the report: w01018-Rtd, a34004-Avg; a code alone means its Rtd"`
	Period string `yaml:"period" enum:"realtime,minute,hour,day" doc:"the report that it stands in; default: realtime (2011) for Rtd, minute (2051) for all other fields"`
}

// DefaultOptions is what a configuration begins with.
func DefaultOptions() Options {
	return Options{
		ST: "32", Edition: edition2017, TimeZone: "Asia/Shanghai",
		Ack: ackPacket, OverTime: 5 * time.Second, ReCount: 3, Faults: faultsOmit,
		Options: dial.Default(),
	}
}

// Validate reports every mistake that can be seen without a network or a file.
func (o *Options) Validate(report func(path, problem string)) {
	if _, _, err := o.server(); err != nil {
		report("address", err.Error())
	}
	if o.MN == "" {
		report("mn", "is missing: the number that the authority has given to this site")
	}
	for _, c := range []struct{ path, text string }{{"mn", o.MN}, {"st", o.ST}} {
		if !carried(c.text) {
			report(c.path, fmt.Sprintf("%q has a character that no packet can carry", c.text))
		}
	}
	for _, c := range []struct {
		path, is string
		known    []string
	}{
		{"edition", o.Edition, []string{edition2017, edition2005}},
		{"ack", o.Ack, []string{ackPacket, ackReport, ackNone}},
		{"faults", o.Faults, []string{faultsOmit, faultsFlag}},
	} {
		if !slices.Contains(c.known, c.is) {
			report(c.path, fmt.Sprintf("is %q; write %s", c.is, strings.Join(c.known, " or ")))
		}
	}
	if _, err := wire.Zone(o.TimeZone); err != nil {
		report("time_zone", err.Error())
	}
	if o.OverTime <= 0 {
		report("over_time", fmt.Sprintf("is %s; it must be longer than 0s", o.OverTime))
	}
	if o.ReCount < 0 || o.ReCount > 100 {
		report("re_count", fmt.Sprintf("is %d; from 0 to 100 is possible", o.ReCount))
	}
	o.validatePoints(report)
	o.Options.Validate(report)
}

func (o *Options) validatePoints(report func(path, problem string)) {
	if len(o.Points) == 0 {
		report("points", "is empty: there is nothing to report")
	}
	seen := map[string]bool{}
	for i := range o.Points {
		p, at := &o.Points[i], fmt.Sprintf("points[%d]", i)
		if p.Point == "" {
			report(at+".point", "is missing")
		}
		if commandOf(p.Period) == "" && p.Period != "" {
			report(at+".period", fmt.Sprintf("is %q; write realtime, minute, hour or day", p.Period))
		}
		code, field, ok := p.split()
		if !ok {
			report(at+".factor", fmt.Sprintf("%q is not code-Field, such as w01018-Rtd", p.Factor))
			continue
		}
		key := code + "-" + field + " " + p.command()
		if seen[key] {
			report(at+".factor", fmt.Sprintf("%s-%s stands in that report already", code, field))
		}
		seen[key] = true
	}
}

// carried says whether a head's field can have that value.
func carried(text string) bool { return !strings.ContainsAny(text, ";,=&# \r\n") }

// split gives the factor's code and field.
func (p *PointOptions) split() (code, field string, ok bool) {
	code, field, found := strings.Cut(p.Factor, "-")
	if !found {
		field = "Rtd"
	}
	return code, field, code != "" && field != "" && carried(p.Factor)
}

// command is the code of the report that a point stands in.
func (p *PointOptions) command() string {
	if p.Period != "" {
		return commandOf(p.Period)
	}
	if _, field, _ := p.split(); field != "Rtd" {
		return wire.Minute
	}
	return wire.Realtime
}

func commandOf(period string) string {
	return map[string]string{"realtime": wire.Realtime, "minute": wire.Minute, "hour": wire.Hour, "day": wire.Day}[period]
}

// server gives host:port and whether TLS goes around it.
func (o *Options) server() (address string, secured bool, err error) {
	scheme, rest, found := strings.Cut(o.Address, "://")
	switch {
	case !found:
		rest = o.Address
	case scheme == "ssl" || scheme == "tls":
		secured = true
	case scheme != "tcp":
		return "", false, fmt.Errorf("begins with %q; write tcp://host:port or ssl://host:port", scheme)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil || host == "" || port == "" || strings.ContainsAny(rest, "/ ") {
		return "", false, errors.New("is no address; write tcp://host:port")
	}
	return rest, secured, nil
}
