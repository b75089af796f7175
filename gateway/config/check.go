package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// check finds what only several keys together show.
func (d *decoder) check(c *Config) {
	if c.Gateway.Name == "" {
		if e := d.root.child("gateway"); e != nil && e.value.child("name") != nil && e.value.child("name").value.kind == text {
			d.reportAt("gateway.name", "the name is empty; leave it out for the host name")
		}
		c.Gateway.Name = hostName()
	}
	c.Store.Dir = d.defaultDir(c.Store.Dir)
	d.checkStore(&c.Store)
	d.checkListeners(c)
	d.checkWeb(&c.Web)
	d.checkNetwork(&c.Network)
	d.checkSyslog(c.Log.Syslog)
	if c.Firmware.Within < c.Firmware.Stable && !d.blamed["firmware.within"] {
		d.reportAt("firmware.within", fmt.Sprintf("%v is less than firmware.stable, %v: no new system could ever be kept", c.Firmware.Within, c.Firmware.Stable))
	}
	d.checkMQTT(&c.MQTT)
	d.checkUsers(&c.MQTT)
	d.checkCluster(c)
	d.checkBuses(c)
	d.checkProfiles(c)
	d.checkRoutes(c)
	d.checkAlarms(c)
	d.checkReferences(c)
}

// defaultDir resolves the store's folder when the file does not name one: a default never passes
// through the rules of its key.
func (d *decoder) defaultDir(dir string) string {
	if e := d.root.child("store"); e == nil || e.value.child("dir") == nil || e.value.child("dir").value.kind == null {
		return Resolve(d.folder, dir)
	}
	return dir
}

// maxLimit32 keeps the log's mappings inside the address space of a 32-bit machine.
const maxLimit32 = 768 << 20

func (d *decoder) checkStore(s *Store) {
	if d.blamed["store"] || d.blamed["store.limit"] || d.blamed["store.retention"] || d.blamed["store.retention.size"] {
		return
	}
	d.checkLimit(s, strconv.IntSize)
	if s.Retention.Size > s.Limit {
		path := "store.retention.size"
		if d.written(path) {
			d.warn(path, fmt.Sprintf("%v is more than the limit of %v, at which messages go anyway", s.Retention.Size, s.Limit))
		} else {
			s.Retention.Size = s.Limit
		}
	}
}

func (d *decoder) checkLimit(s *Store, wordBits int) {
	if wordBits > 32 || s.Limit <= maxLimit32 {
		return
	}
	if !d.written("store.limit") {
		s.Limit = maxLimit32
		return
	}
	d.reportAt("store.limit", fmt.Sprintf("%v is too much for a 32-bit machine; write at most %v", s.Limit, Size(maxLimit32)))
}

// written says whether the file itself has a value at path, which has no lists in it.
func (d *decoder) written(path string) bool {
	n := d.root
	for _, key := range strings.Split(path, ".") {
		e := n.child(key)
		if e == nil {
			return false
		}
		n = e.value
	}
	return n.kind != null
}

// listener is one address that the gateway will listen on.
type listener struct{ path, address string }

func (d *decoder) checkListeners(c *Config) {
	var all []listener
	add := func(path, address string) {
		if address != "" && !d.blamed[path] {
			all = append(all, listener{path, address})
		}
	}
	for i, address := range c.MQTT.Listen {
		add(item("mqtt.listen", i), address)
	}
	if c.MQTT.TLS != nil {
		add("mqtt.tls.listen", c.MQTT.TLS.Listen)
	}
	if c.MQTT.WebSocket != nil {
		add("mqtt.websocket.listen", c.MQTT.WebSocket.Listen)
	}
	for i, l := range c.MQTT.Listeners {
		add(item("mqtt.listeners", i)+".listen", l.Listen)
	}
	if c.RocketMQ != nil {
		add("rocketmq.listen", c.RocketMQ.Listen)
		add("rocketmq.nameserver", c.RocketMQ.NameServer)
		add("rocketmq.grpc", c.RocketMQ.GRPC)
	}
	for i, address := range dtuListen(c.Buses) {
		add(item("buses", i)+".listen", address)
	}
	add("web.listen", c.Web.Listen)
	if c.Web.TLS != nil {
		add("web.tls.listen", c.Web.TLS.Listen)
	}
	line := func(l listener) int { line, _ := d.root.find(l.path); return line }
	slices.SortStableFunc(all, func(a, b listener) int { return line(a) - line(b) })
	for i, later := range all {
		for _, first := range all[:i] {
			if sameAddress(first.address, later.address) {
				d.reportAt(later.path, fmt.Sprintf("%s is taken by %s in line %d; give each its own port", later.address, first.path, line(first)))
				break
			}
		}
	}
}

// sameAddress says whether a second listener would find the port in use.
func sameAddress(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	numberA, _ := strconv.Atoi(portA)
	numberB, _ := strconv.Atoi(portB)
	if errA != nil || errB != nil || numberA != numberB || numberA == 0 {
		return false
	}
	return everywhere(hostA) || everywhere(hostB) || canonical(hostA) == canonical(hostB)
}

func everywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func canonical(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	if strings.EqualFold(host, "localhost") {
		return "127.0.0.1"
	}
	return strings.ToLower(host)
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(canonical(host))
	return err == nil && ip.IsLoopback()
}

// door is one address at which MQTT clients come in.
type door struct {
	path, address          string
	anonymous, certificate bool // a certificate is asked for
}

func (m *MQTT) doors() (all []door) {
	for i, address := range m.Listen {
		all = append(all, door{item("mqtt.listen", i), address, m.Anonymous, false})
	}
	if m.TLS != nil {
		all = append(all, door{"mqtt.tls.listen", m.TLS.Listen, m.Anonymous, m.TLS.ClientCA != ""})
	}
	if m.WebSocket != nil {
		all = append(all, door{"mqtt.websocket.listen", m.WebSocket.Listen, m.Anonymous, false})
	}
	for i, l := range m.Listeners {
		anonymous := m.Anonymous
		if l.Anonymous != nil {
			anonymous = *l.Anonymous
		}
		certificate := l.TLS != nil && l.TLS.ClientCA != "" && l.TLS.ClientCert != "optional"
		all = append(all, door{item("mqtt.listeners", i) + ".listen", l.Listen, anonymous, certificate})
	}
	return all
}

func (d *decoder) checkMQTT(m *MQTT) {
	d.checkListenerKeys(m)
	if d.blamed["mqtt.anonymous"] || d.blamed["mqtt.users"] {
		return
	}
	for _, at := range m.doors() {
		switch {
		case d.blamed[at.path]:
		case !at.anonymous && len(m.Users) == 0:
			d.warn(at.path, "nobody can connect: there are no users, and anonymous is not true")
		case at.anonymous && !at.certificate && !loopback(at.address):
			d.warn(at.path, "anonymous is true: whoever reaches "+at.address+" can publish and subscribe")
		}
	}
}

// checkListenerKeys finds keys that stand beside what they need, or do not.
func (d *decoder) checkListenerKeys(m *MQTT) {
	for i, l := range m.Listeners {
		path := item("mqtt.listeners", i)
		switch {
		case l.Path != "" && !l.WebSocket:
			d.reportAt(path+".path", "only a WebSocket has a path; add websocket: true")
		case l.Path != "" && (l.Path[0] != '/' || strings.ContainsAny(l.Path, "?# ")):
			d.reportAt(path+".path", fmt.Sprintf("%q is not a path; write for example /mqtt", clip(l.Path)))
		}
		if len(l.Origins) > 0 && !l.WebSocket {
			d.reportAt(path+".origins", "only browsers have an origin, and they speak WebSocket; add websocket: true")
		}
		for j, origin := range l.Origins {
			if err := checkOrigin(origin); err != nil {
				d.reportAt(item(path+".origins", j), err.Error())
			}
		}
		if l.TLS != nil && l.TLS.ClientCert == "optional" && l.TLS.ClientCA == "" {
			d.reportAt(path+".tls.client_cert", "nothing says who signs the certificates of clients; add client_ca")
		}
	}
}

func (d *decoder) checkProfiles(c *Config) {
	for i := range c.Devices {
		if len(c.Devices[i].Only) > 0 && c.Devices[i].Profile == "" {
			d.reportAt(item("devices", i)+".only", "goes with a profile; without one, list the points that are wanted under points")
		}
	}
}

func (d *decoder) checkRoutes(c *Config) {
	placeholders := func(path, value string, known ...string) {
		if err := checkPlaceholders(value, known...); err != nil {
			d.reportAt(path, err.Error())
		}
	}
	for i, uplink := range c.Uplinks {
		places := make(map[string]int)
		for j, route := range uplink.Forward {
			path := item(item("uplinks", i)+".forward", j)
			if first, taken := places[route.Place()]; taken {
				d.reportAt(path, fmt.Sprintf("forward[%d] has the same from (or name): two routes cannot share one place in the log; give this one a name of its own", first))
			} else {
				places[route.Place()] = j
			}
			placeholders(path+".from", route.From, "gateway")
			placeholders(path+".to", route.To, "topic", "gateway", "device", "lane", "point")
		}
		for j, route := range uplink.Receive {
			path := item(item("uplinks", i)+".receive", j)
			placeholders(path+".from", route.From, "gateway")
			placeholders(path+".to", route.To, "topic", "gateway", "device")
		}
	}
}

func (d *decoder) checkReferences(c *Config) {
	var buses []string
	for _, bus := range c.Buses {
		buses = append(buses, bus.Name)
	}
	for _, r := range d.references {
		if r.what != "bus" {
			panic("bug: a reference to a " + r.what + ", of which the file has none")
		}
		if slices.Contains(buses, r.name) {
			continue
		}
		here := "there are no buses; add one under buses"
		if len(buses) > 0 {
			here = "there is " + either(buses)
		}
		d.reportAt(r.path, fmt.Sprintf("no bus is called %q%s; %s", clip(r.name), meant(r.name, buses), here))
	}
}
