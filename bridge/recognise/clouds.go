package recognise

import "strings"

// aws is known by its endpoint. Its policies let a thing publish what they name and cut it off at
// anything else, so that readings alone go up.
func aws(host string) Uplink {
	u := begin("aws-iot", "AWS IoT Core at "+host+", which knows a thing by its certificate.", "AWS IoT Core，地址 "+host+"，用证书识别设备。")
	u.set("address", host, true)
	u.Needs = append(u.Needs, "tls.cert", "tls.key")
	u.forward(streams[:1], byDriver)
	return u
}

func azure(host, device, key string) Uplink {
	u := begin("azure-iot-hub", "Azure IoT Hub at "+host+named(", device ", device)+".", "Azure IoT Hub，地址 "+host+named("，设备 ", device)+"。")
	u.set("address", host, true)
	u.set("device_id", device, true)
	u.secret(key, "key", "key_file")
	// Everything goes to one endpoint there: the hub's routing tells the kinds apart by a property.
	u.forward(streams, func(stream string) string {
		if stream == "readings" || device == "" || strings.ContainsAny(device, "/+#{}&") {
			return ""
		}
		return "devices/" + device + "/messages/events/device={device}&kind=" + stream + "&$.ct=application%2Fjson&$.ce=utf-8"
	})
	return u
}

func alibaba(host, region, product, device, key string) Uplink {
	where := host
	if where == "" {
		where = region
	}
	u := begin("alibaba-iot", "Alibaba Cloud IoT Platform, device "+device+named(" of product ", product)+named(", ", where)+".",
		"阿里云物联网平台，设备 "+device+named("，产品 ", product)+named("，", where)+"。")
	switch {
	case host != "":
		u.set("address", host, true)
	case region != "":
		u.set("region", region, true)
	default:
		u.Needs = append(u.Needs, "region")
	}
	u.set("product_key", product, true)
	u.set("device_name", device, true)
	u.secret(key, "secret", "secret_file")
	u.forward(streams[:1], byDriver)
	return u
}

func huawei(host, device, key string) Uplink {
	u := begin("huawei-iotda", "Huawei Cloud IoTDA"+named(" at ", host)+named(", device ", device)+".",
		"华为云 IoTDA"+named("，地址 ", host)+named("，设备 ", device)+"。")
	u.set("address", host, true)
	u.set("device_id", device, true)
	u.secret(key, "secret", "secret_file")
	u.forward(streams[:1], byDriver)
	return u
}

func thingsBoard(address, token string, device bool) Uplink {
	u := begin("thingsboard", "ThingsBoard at "+bare(address)+".", "ThingsBoard，地址 "+bare(address)+"。")
	u.set("address", address, true)
	if device {
		u.Section = append(u.Section, Entry{"as", "device"})
		u.Said.English += " The token is that of one device: choose the one device that is forwarded."
		u.Said.Chinese += "该令牌属于单个设备：请选择要转发的那一台设备。"
	}
	u.secret(token, "token", "token_file")
	u.forward(streams[:1], byDriver)
	return u
}

func emqx(address, user, password, prefix string) Uplink {
	u := begin("emqx", "EMQX at "+bare(address)+".", "EMQX，地址 "+bare(address)+"。")
	u.set("address", address, true)
	u.login(user, password)
	u.asTheyAre(prefix)
	return u
}

// login adds a user name and its password; without a user there is no password in MQTT 3.1.1.
func (u *Uplink) login(user, password string) {
	if user == "" && password == "" {
		return
	}
	u.set("username", user, true)
	u.secret(password, "password", "password_file")
}

// named joins a word to what it introduces, if there is any.
func named(word, what string) string {
	if what == "" {
		return ""
	}
	return word + what
}

// bare is an address without what stands in front of it.
func bare(address string) string {
	if _, rest, found := strings.Cut(address, "://"); found {
		return rest
	}
	return address
}

// providers are clouds that are known by the end of their host names, or by a part of them.
var providers = []struct {
	kind string
	is   func(host string) bool
}{
	{"aws-iot", func(h string) bool {
		return strings.Contains(h, ".iot.") && (strings.HasSuffix(h, ".amazonaws.com") || strings.HasSuffix(h, ".amazonaws.com.cn"))
	}},
	{"azure-iot-hub", func(h string) bool {
		return strings.HasSuffix(h, ".azure-devices.net") || strings.HasSuffix(h, ".azure-devices.cn")
	}},
	{"alibaba-iot", func(h string) bool {
		return strings.HasSuffix(h, ".aliyuncs.com") && (strings.Contains(h, ".iothub.") || strings.Contains(h, ".iot-as-mqtt."))
	}},
	{"huawei-iotda", func(h string) bool {
		return strings.HasSuffix(h, ".myhuaweicloud.com") && strings.Contains(h, "iot") || strings.HasSuffix(h, ".iot-mqtts.cn-north-4.myhuaweicloud.com")
	}},
	{"thingsboard", func(h string) bool { return strings.Contains(h, "thingsboard") }},
	{"emqx", func(h string) bool {
		return strings.HasSuffix(h, ".emqxsl.com") || strings.HasSuffix(h, ".emqxsl.cn") || strings.HasSuffix(h, ".emqx.cloud") || strings.HasSuffix(h, ".emqxcloud.com") || strings.HasSuffix(h, ".emqx.io")
	}},
}

func provider(host string) string {
	host = strings.ToLower(host)
	for _, p := range providers {
		if p.is(host) {
			return p.kind
		}
	}
	return ""
}
