package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Alarm is a rule: when something about a device is worth telling.
type Alarm struct {
	Name       string   `yaml:"name" required:"true" check:"name" doc:"What the alarm is called; a new name begins anew."`
	Device     string   `yaml:"device" required:"true" check:"name" doc:"The device that is watched; * is each of them, for itself."`
	Point      string   `yaml:"point" doc:"The point that is watched; * is each of them, for itself. Not with when: state; with when: silence empty means any reading."`
	When       string   `yaml:"when" required:"true" enum:"above,below,outside,equals,changes,rate,silence,state" doc:"What is an alarm: a value above or below limit, outside low and high, equal to value; a value that changes; one that changes by more than limit within per; nothing for as long as for says; a device in one of states."`
	Limit      *float64 `yaml:"limit" doc:"With above, below and rate: the limit, which is itself no alarm."`
	Low        *float64 `yaml:"low" doc:"With outside: the least value that is no alarm."`
	High       *float64 `yaml:"high" doc:"With outside: the greatest value that is no alarm."`
	Value      any      `yaml:"value" doc:"With equals: the number, text, true or false that is an alarm."`
	States     []string `yaml:"states" enum:"online,degraded,offline" doc:"With state: the states that are an alarm; offline when missing."`
	Per        Duration `yaml:"per" default:"1m" min:"100ms" max:"24h" doc:"With rate: within what time the value may change by limit, up or down."`
	For        Duration `yaml:"for" default:"0s" max:"168h" doc:"How long it must be so before the alarm is raised; with silence, how long nothing may come."`
	Hysteresis float64  `yaml:"hysteresis" min:"0" doc:"With above, below and outside: how far the value must come back behind the limit before the alarm ends."`
	ClearAfter Duration `yaml:"clear_after" default:"0s" max:"168h" doc:"How long it must be over before the alarm ends; with changes, how long nothing may change."`
	Severity   string   `yaml:"severity" default:"warning" enum:"info,warning,critical" doc:"How bad it is."`
	Text       string   `yaml:"text" doc:"What people are told; {device}, {point} and {value} are filled in. Empty: a sentence made of the rule."`
	TextZH     string   `yaml:"text_zh" doc:"The same in Chinese; text when missing."`
	Notify     []string `yaml:"notify" doc:"Names of notifications that tell of it; none: it is shown and published only."`
	Enabled    bool     `yaml:"enabled" default:"true" doc:"Whether the rule counts; an alarm of one that does not ends."`
}

// Notify is a way to tell people of alarms.
type Notify struct {
	Name     string         `yaml:"name" required:"true" check:"name" doc:"What alarms call it."`
	Email    *NotifyEmail   `yaml:"email" doc:"By e-mail; or webhook instead."`
	Webhook  *NotifyWebhook `yaml:"webhook" doc:"By an HTTP request."`
	Language string         `yaml:"language" default:"en" enum:"en,zh" doc:"What it is written in."`
	PerHour  int            `yaml:"per_hour" default:"10" min:"1" max:"1000" doc:"How many are sent within an hour at most; what comes beyond is summed up in the next one."`
	Remind   Duration       `yaml:"remind" default:"0s" max:"168h" doc:"After what time alarms that nobody has acknowledged are told again, and again; 0: never."`
	Gaps     bool           `yaml:"gaps" doc:"Whether it also tells of messages that the disk limit took before they were delivered."`
}

// NotifyEmail is a mail server and who gets the mail.
type NotifyEmail struct {
	Server       string   `yaml:"server" required:"true" doc:"The mail server, host:port: usually port 587 with starttls, 465 with tls."`
	From         string   `yaml:"from" required:"true" doc:"The sender's address."`
	To           []string `yaml:"to" required:"true" max:"50" doc:"Who gets it."`
	Username     string   `yaml:"username" doc:"The user at the server; empty: none is needed."`
	PasswordFile string   `yaml:"password_file" path:"secret" doc:"A file with the user's password, or the code that the mail service gives for programs; read at each connection."`
	TLS          string   `yaml:"tls" default:"starttls" enum:"starttls,tls,none" doc:"starttls begins in plain text and insists on TLS, tls is TLS from the first byte, none sends everything readable."`
	CA           string   `yaml:"ca" path:"true" doc:"What the server's certificate is checked against, PEM; empty: the authorities of the system."`
}

// NotifyWebhook is where a request goes.
type NotifyWebhook struct {
	URL        string            `yaml:"url" required:"true" doc:"Where the request is posted to, http:// or https://."`
	SecretFile string            `yaml:"secret_file" path:"secret" doc:"A file with the key that signs each body: the header Sluice-Signature is sha256= and the HMAC-SHA256 in hex."`
	Headers    map[string]string `yaml:"headers" doc:"More headers."`
	CA         string            `yaml:"ca" path:"true" doc:"What the server's certificate is checked against, PEM; empty: the authorities of the system."`
}

// Watches says whether the rule is about a device.
func (a *Alarm) Watches(device string) bool { return a.Device == "*" || a.Device == device }

// checkAlarms finds rules that could never be raised, or never end, and names that lead nowhere.
func (d *decoder) checkAlarms(c *Config) {
	var devices, ways []string
	for _, device := range c.Devices {
		devices = append(devices, device.Name)
	}
	for i := range c.Notify {
		ways = append(ways, c.Notify[i].Name)
		d.checkNotify(item("notify", i), &c.Notify[i])
	}
	for i := range c.Alarms {
		a, path := &c.Alarms[i], item("alarms", i)
		if a.Device != "*" && a.Device != "" && !d.blamed[path+".device"] && !slices.Contains(devices, a.Device) {
			d.warn(path+".device", fmt.Sprintf("no device is called %q%s; the alarm waits for readings that a client publishes on readings/%s/%s",
				clip(a.Device), meant(a.Device, devices), c.Gateway.Name, clip(a.Device)))
		}
		for j, name := range a.Notify {
			if !slices.Contains(ways, name) {
				here := "there are none; add one under notify"
				if len(ways) > 0 {
					here = "there is " + either(ways)
				}
				d.reportAt(item(path+".notify", j), fmt.Sprintf("no notification is called %q%s; %s", clip(name), meant(name, ways), here))
			}
		}
		for key, text := range map[string]string{"text": a.Text, "text_zh": a.TextZH} {
			if err := checkPlaceholders(text, "device", "point", "value"); err != nil {
				d.reportAt(path+"."+key, err.Error())
			}
		}
		d.checkCondition(path, a)
	}
}

// wantedKeys are the keys that each kind of rule needs, and those that only it may have.
var wantedKeys = map[string][]string{
	"above": {"limit"}, "below": {"limit"}, "outside": {"low", "high"}, "equals": {"value"}, "rate": {"limit"},
	"changes": nil, "silence": nil, "state": nil,
}

func (d *decoder) checkCondition(path string, a *Alarm) {
	needs, known := wantedKeys[a.When]
	if !known {
		return
	}
	given := map[string]bool{"limit": a.Limit != nil, "low": a.Low != nil, "high": a.High != nil, "value": a.Value != nil}
	for _, key := range []string{"limit", "low", "high", "value"} {
		switch needed := slices.Contains(needs, key); {
		case d.blamed[path+"."+key]:
		case needed && !given[key]:
			d.reportAt(path+"."+key, "missing; when: "+a.When+" needs it")
		case !needed && given[key]:
			d.reportAt(path+"."+key, "does not go with when: "+a.When)
		}
	}
	if len(a.States) > 0 && a.When != "state" {
		d.reportAt(path+".states", "does not go with when: "+a.When)
	}
	switch a.When {
	case "state":
		if a.Point != "" {
			d.reportAt(path+".point", "a state is the device's, not a point's; leave it out")
		}
	case "silence":
		if a.For == 0 && !d.blamed[path+".for"] {
			d.reportAt(path+".for", "missing; say how long nothing may come, for example 1m")
		}
	default:
		if a.Point == "" && !d.blamed[path+".point"] {
			d.reportAt(path+".point", "missing; name the point that is watched, or * for each")
		}
	}
	d.checkLimits(path, a)
}

func (d *decoder) checkLimits(path string, a *Alarm) {
	if a.Hysteresis > 0 && a.When != "above" && a.When != "below" && a.When != "outside" {
		d.reportAt(path+".hysteresis", "does not go with when: "+a.When)
	}
	if a.When == "rate" && a.Limit != nil && *a.Limit <= 0 {
		d.reportAt(path+".limit", "a change is measured up and down alike; write a number above 0")
	}
	if a.When == "outside" && a.Low != nil && a.High != nil {
		switch {
		case *a.Low > *a.High:
			d.reportAt(path+".low", fmt.Sprintf("%v is above high, %v: every value would be an alarm", *a.Low, *a.High))
		case a.Hysteresis > 0 && 2*a.Hysteresis > *a.High-*a.Low:
			d.reportAt(path+".hysteresis", fmt.Sprintf("%v from either side leaves nothing between %v and %v: the alarm would never end", a.Hysteresis, *a.Low, *a.High))
		}
	}
	switch a.Value.(type) {
	case []any, map[string]any:
		d.reportAt(path+".value", "write one number, text, true or false")
	}
}

func (d *decoder) checkNotify(path string, n *Notify) {
	switch {
	case d.blamed[path+".email"] || d.blamed[path+".webhook"]:
	case n.Email == nil && n.Webhook == nil:
		d.reportAt(path, "nothing says how; write email or webhook")
	case n.Email != nil && n.Webhook != nil:
		d.reportAt(path+".webhook", "email stands here too; make two notifications of it")
	}
	if e := n.Email; e != nil {
		d.checkMail(path+".email", e)
	}
	if w := n.Webhook; w != nil {
		at, err := url.Parse(w.URL)
		if w.URL != "" && (err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https") {
			d.reportAt(path+".webhook.url", fmt.Sprintf("%q is no address of the web; write https://host/path", clip(w.URL)))
		}
	}
}

func (d *decoder) checkMail(path string, e *NotifyEmail) {
	host, port, err := net.SplitHostPort(e.Server)
	number, wrong := strconv.ParseUint(port, 10, 16)
	if e.Server != "" && (err != nil || wrong != nil || number == 0 || host == "" || strings.ContainsAny(host, " /")) {
		d.reportAt(path+".server", fmt.Sprintf("%q is not where a mail server listens; write host:port, for example smtp.example.com:587", clip(e.Server)))
	}
	addresses := map[string]string{path + ".from": e.From}
	for i, to := range e.To {
		addresses[item(path+".to", i)] = to
	}
	for at, address := range addresses {
		if _, err := mail.ParseAddress(address); address != "" && err != nil {
			d.reportAt(at, fmt.Sprintf("%q is no mail address; write for example plant@example.com", clip(address)))
		}
	}
	if e.Username != "" && e.PasswordFile == "" && !d.blamed[path+".password_file"] {
		d.reportAt(path+".password_file", "missing; a username needs a password")
	}
	if e.Username != "" && e.TLS == "none" {
		d.warn(path+".tls", "the password travels readable; starttls or tls would protect it")
	}
}
