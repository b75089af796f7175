package config

import (
	"fmt"
	"strings"
)

// checkUsers finds users who could never come in or could do nothing, and deny filters that would
// deny nothing.
func (d *decoder) checkUsers(m *MQTT) {
	for i, user := range m.Users {
		path := item("mqtt.users", i)
		if d.blamed[path] || d.blamed[path+".name"] {
			continue
		}
		if user.PasswordFile == "" && !user.Certificate && !d.blamed[path+".password_file"] && !d.blamed[path+".certificate"] {
			d.reportAt(path, fmt.Sprintf("%q has no password_file; write one, or certificate: true for a user who comes with a client certificate", clip(user.Name)))
		}
		if len(user.Publish) == 0 && len(user.Subscribe) == 0 && !d.blamed[path+".publish"] && !d.blamed[path+".subscribe"] {
			d.warn(path, fmt.Sprintf("%q may neither publish nor subscribe; # in both lists allows everything", clip(user.Name)))
		}
	}
	d.checkDenied("mqtt.deny_subscribe", m.DenySubscribe)
	d.checkDenied("mqtt.deny_publish", m.DenyPublish)
}

func (d *decoder) checkDenied(path string, filters []string) {
	for i, filter := range filters {
		for _, placeholder := range []string{"%u", "%c"} {
			if strings.Contains(filter, placeholder) {
				d.reportAt(item(path, i), fmt.Sprintf("%s stands for a client's name in the lists of a user only; write + for every name", placeholder))
			}
		}
	}
}
