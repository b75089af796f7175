package recognise

import "strings"

// What goes up by default where the cloud takes any message: readings first, which are what all is for.
var streams = []string{"readings", "status", "alarms", "replies"}

// forward adds the routes of streams; to is asked for the topic of each and may leave it to the driver.
func (u *Uplink) forward(streams []string, to func(stream string) string) {
	var routes []Section
	for _, s := range streams {
		route := Section{{"from", s + "/{gateway}/+"}}
		if topic := to(s); topic != "" {
			route = append(route, Entry{"to", topic})
		}
		routes = append(routes, route)
	}
	u.Section = append(u.Section, Entry{"forward", routes})
}

// receive adds the route by which commands come down.
func (u *Uplink) receive(from string) {
	u.Section = append(u.Section, Entry{"receive", []Section{{{"from", from}, {"to", "commands/{gateway}/{device}"}}}})
}

// asTheyAre sends everything under the topic that it has here, below prefix, and takes commands from there.
func (u *Uplink) asTheyAre(prefix string) {
	prefix = strings.Trim(prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	u.forward(streams, func(string) string { return prefix + "{topic}" })
	u.receive(prefix + "commands/{gateway}/+")
}

func byDriver(string) string { return "" }
