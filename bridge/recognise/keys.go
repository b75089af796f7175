package recognise

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// keys takes what consoles show as names with values: JSON, lines, or one line with semicolons.
func keys(text string) (Uplink, bool) {
	have := namedValues(text)
	if len(have) == 0 {
		return Uplink{}, false
	}
	pick := func(names ...string) string {
		for _, n := range names {
			if v := have[n]; v != "" {
				return v
			}
		}
		return ""
	}
	host := pick("hostname", "host", "server", "serveraddress", "broker", "brokeraddress", "address", "endpoint", "serveruri", "mqtthosturl", "url", "主机", "地址", "服务器地址", "接入地址")
	switch {
	case have["sharedaccesskey"] != "" || strings.HasSuffix(strings.ToLower(host), ".azure-devices.net"):
		w, ok := parse(host)
		if !ok {
			return Uplink{}, false
		}
		key := have["sharedaccesskey"]
		if have["sharedaccesskeyname"] != "" { // the hub's own: a device has no use for it
			u := azure(w.hostPort(""), pick("deviceid"), "")
			u.Said.English += " The key in it is the hub's; the device's own is needed."
			u.Said.Chinese += "其中的密钥属于 IoT Hub，需要设备自己的密钥。"
			return u, true
		}
		return azure(w.hostPort(""), pick("deviceid"), key), true
	case have["productkey"] != "" && have["devicename"] != "":
		if host != "" {
			if w, ok := parse(host); ok {
				w.scheme = ""
				host = w.hostPort(pick("port"))
			} else {
				host = ""
			}
		}
		return alibaba(host, pick("region", "regionid"), have["productkey"], have["devicename"], have["devicesecret"]), true
	case pick("deviceid") != "" && (pick("secret", "devicesecret") != "" || provider(bareHost(host)) == "huawei-iotda"):
		if w, ok := parse(host); ok {
			host = w.hostPort("")
		} else {
			host = ""
		}
		return huawei(host, have["deviceid"], pick("secret", "devicesecret")), true
	}
	w, ok := parse(host)
	if !ok {
		return Uplink{}, false
	}
	w.user = orElse(w.user, pick("username", "user", "用户名", "账号"))
	w.password = orElse(w.password, pick("password", "passwd", "密码"))
	w.clientID = orElse(w.clientID, pick("clientid", "客户端id"))
	if port := pick("port", "端口"); w.port == "" && port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return Uplink{}, false
		}
		w.port = port
	}
	if token := pick("accesstoken", "token", "访问令牌"); token != "" && w.user == "" {
		return thingsBoard(near(w), token, false), true
	}
	scheme := map[string]string{"mqtt": "tcp", "tcp": "tcp", "mqtts": "ssl", "ssl": "ssl", "tls": "ssl", "ws": "ws", "wss": "wss"}[w.scheme]
	switch {
	case w.scheme == "" && (w.port == "8883" || provider(w.host) != "" && w.port != "1883"):
		scheme = "ssl"
	case w.scheme == "" && w.port == "9876":
		return nameServers(w.hostPort(""))
	case w.scheme == "":
		scheme = "tcp"
	case scheme == "":
		return Uplink{}, false
	}
	return mqtt(w, scheme)
}

// near is the address of a host as recipes take it: with TLS unless it is in this plant or on the port without.
func near(w where) string {
	if w.scheme == "mqtt" || w.scheme == "tcp" || w.scheme == "" && (w.near() && w.port != "8883" || w.port == "1883") {
		return "tcp://" + w.hostPort("")
	}
	return w.hostPort("")
}

func bareHost(host string) string {
	w, _ := parse(host)
	return w.host
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// pair is one name with its value on a line of its own, or between semicolons.
var pair = regexp.MustCompile(`^\s*["']?([\p{L}][\p{L}\d _.-]{0,40}?)["']?\s*[:=：]\s*["']?(.*?)["']?\s*,?\s*$`)

// namedValues gives the names, in small letters without anything between them, with their values.
func namedValues(text string) map[string]string {
	have := map[string]string{}
	if strings.HasPrefix(text, "{") {
		var object map[string]any
		if json.Unmarshal([]byte(text), &object) != nil {
			return nil
		}
		flatten(have, object, 0)
		return have
	}
	if w, ok := parse(text); ok && w.scheme != "" {
		return nil // an address has colons and equals signs of its own
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(parts) == 1 {
		parts = strings.Split(text, ";")
	}
	for _, part := range parts {
		if strings.TrimSpace(part) == "" {
			continue
		}
		found := pair.FindStringSubmatch(part)
		if found == nil {
			return nil
		}
		put(have, found[1], found[2])
	}
	return have
}

// flatten takes the members of an object, and of objects in it.
func flatten(have map[string]string, object map[string]any, depth int) {
	for name, value := range object {
		switch value := value.(type) {
		case string:
			put(have, name, value)
		case float64:
			put(have, name, strconv.FormatFloat(value, 'f', -1, 64))
		case map[string]any:
			if depth < 3 {
				flatten(have, value, depth+1)
			}
		}
	}
}

func put(have map[string]string, name, value string) {
	name = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	// The order of an object's members is not ours to choose by: the shortest value would be as good.
	if old, taken := have[name]; !taken || value < old {
		if !strings.ContainsFunc(value, func(r rune) bool { return unprintable(r) || r == '\n' || r == '\r' || r == '\t' }) {
			have[name] = strings.TrimSpace(value)
		}
	}
}

// triples of Alibaba: keys of products and secrets of devices are letters and digits.
var (
	productKey   = regexp.MustCompile(`^[A-Za-z0-9]{8,20}$`)
	deviceName   = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,64}$`)
	deviceSecret = regexp.MustCompile(`^[A-Za-z0-9]{16,64}$`)
)

// triple takes "productKey,deviceName,deviceSecret".
func triple(text string) (Uplink, bool) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",; \t\r\n", r) })
	if len(parts) != 3 || !productKey.MatchString(parts[0]) || !deviceName.MatchString(parts[1]) || !deviceSecret.MatchString(parts[2]) {
		return Uplink{}, false
	}
	return alibaba("", "", parts[0], parts[1], parts[2]), true
}

// accessToken is what ThingsBoard's tokens look like.
var accessToken = regexp.MustCompile(`^[A-Za-z0-9_-]{8,64}$`)

// withToken takes a host and an access token beside it.
func withToken(text string) (Uplink, bool) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",; \t\r\n", r) })
	if len(parts) != 2 || !accessToken.MatchString(parts[1]) {
		return Uplink{}, false
	}
	w, ok := parse(parts[0])
	if !ok || w.user != "" || !strings.ContainsAny(parts[0], ".:") && w.host != "localhost" {
		return Uplink{}, false
	}
	return thingsBoard(near(w), parts[1], false), true
}

// command takes the line that consoles show for trying it out: mosquitto_pub -h HOST -p PORT -u USER …
func command(text string) (Uplink, bool) {
	text = strings.NewReplacer("\\\r\n", " ", "\\\n", " ").Replace(text)
	words := strings.Fields(text)
	if len(words) == 0 || !strings.HasPrefix(words[0], "mosquitto_") {
		return Uplink{}, false
	}
	have := map[string]string{}
	for i := 1; i < len(words)-1; i++ {
		if strings.HasPrefix(words[i], "-") {
			have[strings.TrimLeft(words[i], "-")] = strings.Trim(words[i+1], `"'`)
		}
	}
	pick := func(short, long string) string { return orElse(have[short], have[long]) }
	host := pick("h", "host")
	if port := pick("p", "port"); port != "" {
		host += ":" + port
	}
	w, ok := parse(host)
	if !ok || w.scheme != "" {
		return Uplink{}, false
	}
	w.user, w.password, w.clientID = pick("u", "username"), pick("P", "pw"), pick("i", "id")
	topic := pick("t", "topic")
	secured := w.port == "8883"
	for _, word := range words {
		secured = secured || word == "--cafile" || word == "--capath" || word == "--tls-use-os-certs"
	}
	if strings.HasPrefix(topic, "v1/devices/me/") || strings.HasPrefix(topic, "v1/gateway/") {
		address := w.hostPort("")
		if !secured {
			address = "tcp://" + address
		}
		return thingsBoard(address, w.user, strings.HasPrefix(topic, "v1/devices/me/")), true
	}
	if secured {
		return mqtt(w, "ssl")
	}
	return mqtt(w, "tcp")
}
