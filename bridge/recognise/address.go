package recognise

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// where is an address taken apart. Nothing of it is trusted yet but that host is one.
type where struct {
	scheme, host, port string
	user, password     string
	path, clientID     string
}

// hostName is what a host may look like; the addresses of IPv6 stand in brackets.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)

// parse reads SCHEME://USER:PASSWORD@HOST:PORT/PATH, of which only HOST must be there. A password
// may have characters that a URL has no room for: people paste it as it is.
func parse(text string) (w where, ok bool) {
	if strings.ContainsAny(text, " \t\r\n,;\"'<>\\") {
		return w, false
	}
	rest := text
	if scheme, behind, found := strings.Cut(text, "://"); found {
		w.scheme, rest = strings.ToLower(scheme), behind
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		w.user, w.password, rest = unescaped(user), unescaped(password), rest[at+1:]
	}
	rest, query, _ := strings.Cut(rest, "?")
	hostPort, path, _ := strings.Cut(rest, "/")
	w.path = unescaped(path)
	w.host = hostPort
	if host, port, err := net.SplitHostPort(hostPort); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return w, false
		}
		w.host, w.port = host, port
	}
	w.host = strings.TrimSuffix(strings.TrimPrefix(w.host, "["), "]")
	if values, err := url.ParseQuery(query); err == nil {
		for _, name := range []string{"clientId", "clientid", "client_id"} {
			if values.Has(name) {
				w.clientID = values.Get(name)
			}
		}
	}
	_, notIP := netip.ParseAddr(w.host)
	clean := !strings.ContainsFunc(w.user+w.password+w.path+w.clientID, func(r rune) bool { return unprintable(r) || r == '\n' || r == '\r' || r == '\t' })
	return w, clean && (notIP == nil || hostName.MatchString(w.host))
}

func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// hostPort is HOST:PORT, or HOST without a port where none is written.
func (w where) hostPort(port string) string {
	if w.port != "" {
		port = w.port
	}
	if port == "" {
		if strings.Contains(w.host, ":") {
			return "[" + w.host + "]"
		}
		return w.host
	}
	return net.JoinHostPort(w.host, port)
}

// near says of a host that it is probably in this plant, where brokers mostly listen without TLS.
func (w where) near() bool {
	if _, err := netip.ParseAddr(w.host); err == nil {
		return true
	}
	return !strings.Contains(w.host, ".") || strings.HasSuffix(w.host, ".local") || strings.HasSuffix(w.host, ".lan")
}

// address takes a URL, or HOST:PORT, or HOST alone.
func address(text string) (Uplink, bool) {
	first, _, _ := strings.Cut(text, ",")
	w, ok := parse(first)
	if !ok {
		return Uplink{}, false
	}
	if w.scheme == "kafka" || w.scheme == "" && w.port == "9092" {
		return kafka(text)
	}
	if first != text {
		return Uplink{}, false
	}
	switch w.scheme {
	case "mqtt", "tcp":
		return mqtt(w, "tcp")
	case "mqtts", "ssl", "tls":
		return mqtt(w, "ssl")
	case "ws", "wss":
		return mqtt(w, w.scheme)
	case "http", "https":
		return web(w), true
	case "":
		return byPort(text, w)
	}
	return Uplink{}, false
}

// byPort guesses what is meant by an address that does not say it.
func byPort(text string, w where) (Uplink, bool) {
	// A word alone is no address; a name with a dot or a port is one.
	if w.port == "" && !strings.Contains(w.host, ".") && !strings.Contains(w.host, ":") && w.host != "localhost" {
		return Uplink{}, false
	}
	switch {
	case w.port == "9876":
		return nameServers(text)
	case w.port == "80" || w.port == "443" && provider(w.host) == "":
		w.scheme = map[string]string{"80": "http", "443": "https"}[w.port]
		return web(w), true
	case w.port == "8083" || w.port == "8084":
		return mqtt(w, map[string]string{"8083": "ws", "8084": "wss"}[w.port])
	case w.port == "8883" || w.port == "8884" || provider(w.host) != "" || w.port == "" && !w.near():
		return mqtt(w, "ssl")
	}
	return mqtt(w, "tcp")
}

// mqtt makes an uplink to a broker, or the recipe of the cloud that the host belongs to.
func mqtt(w where, scheme string) (Uplink, bool) {
	secured := scheme == "ssl" || scheme == "wss"
	plain := w.hostPort("")
	if !secured || scheme == "wss" {
		plain = scheme + "://" + plain
		if scheme != "tcp" {
			plain += "/" + socketPath(w.path)
		}
	}
	switch kind := provider(w.host); {
	case kind == "aws-iot" && scheme == "ssl":
		return aws(plain), true
	case kind == "azure-iot-hub" && secured:
		return azure(plain, w.user, w.password), true
	case kind == "alibaba-iot" && w.user == "":
		return alibaba(plain, "", productOf(w.host), "", ""), true
	case kind == "huawei-iotda" && secured && (w.user == "" || w.password == ""):
		return huawei(plain, w.user, ""), true
	case kind == "thingsboard":
		return thingsBoard(plain, w.user, strings.HasPrefix(w.path, "v1/devices/me")), true
	case kind == "emqx" && !slices.Contains([]string{"ws", "wss"}, scheme):
		return emqx(plain, w.user, w.password, topicPrefix(w.path)), true
	}
	port := map[string]string{"tcp": "1883", "ssl": "8883"}[scheme]
	full := scheme + "://" + w.hostPort(port)
	prefix := topicPrefix(w.path)
	if scheme == "ws" || scheme == "wss" {
		full, prefix = full+"/"+socketPath(w.path), ""
	}
	how, manner := "without TLS", "不加密"
	if secured {
		how, manner = "with TLS", "TLS 加密"
	}
	u := begin("mqtt", "An MQTT broker at "+w.hostPort(port)+", "+how+named(", as user ", w.user)+".",
		"MQTT 服务器 "+w.hostPort(port)+"，"+manner+named("，用户 ", w.user)+"。")
	u.set("address", full, true)
	u.set("client_id", w.clientID, false)
	u.login(w.user, w.password)
	u.asTheyAre(prefix)
	return u, true
}

// productOf is the ProductKey that the host of a public instance begins with.
func productOf(host string) string {
	product, _, found := strings.Cut(host, ".iot-as-mqtt.")
	if !found {
		return ""
	}
	return product
}

// socketPath is where the WebSocket is: brokers agree on /mqtt.
func socketPath(path string) string {
	if path == "" {
		path = "mqtt"
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// topicPrefix is the topic in an address, below which everything goes; none if it cannot be one.
func topicPrefix(path string) string {
	path = strings.Trim(path, "/")
	path = strings.Trim(strings.TrimSuffix(path, "#"), "/")
	if strings.ContainsAny(path, "+#{}\x00") {
		return ""
	}
	return path
}

func web(w where) Uplink {
	u := begin("http", "A receiver of HTTP requests at "+w.hostPort("")+": messages are sent in JSON arrays.",
		"HTTP 接收端 "+w.hostPort("")+"：消息以 JSON 数组发送。")
	full := w.scheme + "://" + w.hostPort("")
	if w.path != "" {
		full += "/" + strings.ReplaceAll(strings.ReplaceAll((&url.URL{Path: w.path}).EscapedPath(), "%7B", "{"), "%7D", "}")
	}
	u.set("address", full, true)
	u.login(w.user, w.password)
	u.forward(streams, func(string) string { return "{topic}" })
	return u
}

// kafka takes several brokers, of which the last may have the topic behind it.
func kafka(text string) (Uplink, bool) {
	var brokers []string
	var first, last where
	for i, one := range strings.Split(text, ",") {
		w, ok := parse(strings.TrimSpace(one))
		if !ok || w.scheme != "" && w.scheme != "kafka" || i > 15 {
			return Uplink{}, false
		}
		if i == 0 {
			first = w
		}
		last = w
		brokers = append(brokers, "tcp://"+w.hostPort("9092"))
	}
	topic := topicPrefix(last.path)
	if topic == "" {
		topic = "sluice"
	}
	secured := first.user != "" || first.port == "9093"
	if secured {
		for i := range brokers {
			brokers[i] = "ssl" + strings.TrimPrefix(brokers[i], "tcp")
		}
	}
	u := begin("kafka", "Apache Kafka at "+first.hostPort("9092")+", topic "+topic+".", "Apache Kafka，地址 "+first.hostPort("9092")+"，主题 "+topic+"。")
	u.set("address", strings.Join(brokers, ","), true)
	if first.user != "" {
		login := Section{{"mechanism", "scram-sha-512"}, {"username", first.user}}
		u.Section = append(u.Section, Entry{"sasl", login})
		u.secret(first.password, "password", "sasl", "password_file")
	}
	u.forward(streams, func(stream string) string {
		if stream == "readings" {
			return topic
		}
		return topic + "/" + stream
	})
	return u, true
}

// nameServers takes HOST:9876;HOST:9876, the way in which RocketMQ's clients are told of them.
func nameServers(text string) (Uplink, bool) {
	text = strings.TrimPrefix(text, "rocketmq://")
	var servers []string
	known := false
	for one := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(";, \t\r\n", r) }) {
		w, ok := parse(one)
		if !ok || w.scheme != "" || w.path != "" || w.user != "" || len(servers) > 15 {
			return Uplink{}, false
		}
		known = known || w.port == "9876"
		servers = append(servers, w.hostPort("9876"))
	}
	if !known {
		return Uplink{}, false
	}
	all := strings.Join(servers, ", ")
	u := begin("rocketmq", "Apache RocketMQ with the name servers "+all+".", "Apache RocketMQ，NameServer："+all+"。")
	u.Section = append(u.Section, Entry{"name_servers", servers})
	u.asTheyAre("")
	return u, true
}
