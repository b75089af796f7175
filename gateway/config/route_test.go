package config

import (
	"strings"
	"testing"
)

// worldly are options of an uplink that knows where its messages go.
type worldly struct {
	Address string `yaml:"address" required:"true" doc:"where it is"`
}

func (worldly) Route() (to, format string) { return "up/{device}", "object" }

func parseRoute(driver, route string) (*Config, error) {
	text := "uplinks: [{name: cloud, driver: " + driver + ", address: 'tcp://a:1', forward: [" + route + "]}]"
	return Parse("gateway.yaml", []byte(text), Kinds{Uplink: func(kind string) (any, bool) {
		if kind == "worldly" {
			return &worldly{}, true
		}
		return &cloudOptions{}, true
	}})
}

func TestARouteGoesWhereItsUplinkKnows(t *testing.T) {
	for _, c := range []struct{ driver, route, to, format string }{
		{"worldly", "{from: 'a/#'}", "up/{device}", "object"},
		{"worldly", "{from: 'a/#', to: '{topic}', payload: {filter: reading}}", "{topic}", "object"},
		{"worldly", "{from: 'a/#', payload: {format: stored}}", "up/{device}", "stored"},
		{"mqtt", "{from: 'a/#', to: '{topic}'}", "{topic}", "stored"},
	} {
		read, err := parseRoute(c.driver, c.route)
		if err != nil {
			t.Errorf("%s %s: %v", c.driver, c.route, err)
			continue
		}
		if got := read.Uplinks[0].Forward[0]; got.To != c.to || got.Payload.Format != c.format {
			t.Errorf("%s %s goes to %q as %s, want %q as %s", c.driver, c.route, got.To, got.Payload.Format, c.to, c.format)
		}
	}
}

func TestARouteThatNobodyKnowsIsNamedOnce(t *testing.T) {
	for _, c := range []struct{ route, want string }{
		{"{from: 'a/#'}", "uplinks[0].forward[0].to: missing; write text"},
		{"{from: 'a/#', to: ''}", "uplinks[0].forward[0].to: the topic is empty"},
		{"{from: 'a/#', too: '{topic}'}", "did you mean"},
		{"{from: 'a/#', to: [a]}", "uplinks[0].forward[0].to: a list stands here"},
	} {
		_, err := parseRoute("mqtt", c.route)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s says\n%v\nwant one line with %q", c.route, err, c.want)
		}
	}
}
