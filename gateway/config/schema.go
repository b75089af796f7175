package config

import (
	"cmp"
	"os"
	"reflect"
)

// Config is the whole configuration file.
type Config struct {
	Gateway  Gateway   `yaml:"gateway" doc:"Who this gateway is."`
	Store    Store     `yaml:"store" doc:"The durable log on disk."`
	Web      Web       `yaml:"web" doc:"The page and the HTTP API."`
	Network  Network   `yaml:"network" doc:"The machine's ways out, where NetworkManager manages them; docs/network.md explains."`
	Log      Log       `yaml:"log" doc:"What the gateway says about its own work, on standard error, on the page and to a syslog server."`
	MQTT     MQTT      `yaml:"mqtt" doc:"The MQTT listener for devices and applications."`
	RocketMQ *RocketMQ `yaml:"rocketmq" doc:"The RocketMQ listener; without this section there is none."`
	Buses    []Bus     `yaml:"buses" unique:"name" doc:"Lines that devices share: serial ports, serial servers, and DTUs that connect to the gateway. A TCP device needs none."`
	Devices  []Device  `yaml:"devices" unique:"name" doc:"The devices that are polled."`
	Uplinks  []Uplink  `yaml:"uplinks" unique:"name" doc:"The ways to the clouds, each with its own place in the log."`
	Alarms   []Alarm   `yaml:"alarms" unique:"name" max:"1000" doc:"What is worth telling about devices and their points; docs/alarms.md explains."`
	Notify   []Notify  `yaml:"notify" unique:"name" max:"50" doc:"Who is told of alarms, and how."`

	Firmware Firmware `yaml:"firmware" doc:"Updates of the whole system, on machines that have two slots for it; docs/updates.md explains."`

	// Warnings do not keep the configuration from being used: files and serial ports that do not
	// exist here, and settings that are rarely meant.
	Warnings Problems `yaml:"-"`

	// Text is the file as it was read, secrets included.
	Text string `yaml:"-"`
}

// Gateway is the section of the same name.
type Gateway struct {
	Name string `yaml:"name" check:"name" doc:"The name in topics, as {gateway}; the host name when missing."`
}

// Store is the durable log's section.
type Store struct {
	Dir       string    `yaml:"dir" default:"data" path:"new" required:"true" doc:"The folder of the log, made when missing; one process at a time. A relative one begins at the folder of the configuration file."`
	Retention Retention `yaml:"retention" doc:"What every cursor has passed is trimmed by both bounds."`
	Limit     Size      `yaml:"limit" default:"8GiB" min:"64MiB" doc:"The disk that the log may use; on a 32-bit machine at most 768MiB, which is its default there."`
	WhenFull  string    `yaml:"when_full" default:"drop-oldest" enum:"drop-oldest,refuse" doc:"At the limit: lose the oldest messages, and say so, or refuse new ones."`
	Profile   string    `yaml:"profile" default:"auto" enum:"auto,small,normal" doc:"How much memory the log takes: small is for machines of 256 MB and takes messages up to 1MiB, normal up to 4MiB, a 32-bit machine up to 960KiB; auto decides by the machine's memory, or its control group's."`
}

// Retention bounds what the log keeps of that which nobody waits for any more.
type Retention struct {
	Age  Duration `yaml:"age" default:"720h" doc:"How long messages are kept; 0 sets no bound."`
	Size Size     `yaml:"size" default:"4GiB" doc:"How much is kept; 0 sets no bound."`
}

// Web is the page's section.
type Web struct {
	Listen string  `yaml:"listen" default:"127.0.0.1:8080" check:"listen" doc:"Where the page and the API are served without TLS; empty: nowhere. With tls, requests from other machines are sent to the address there, but for /healthz and /readyz."`
	TLS    *WebTLS `yaml:"tls" doc:"The page and the API over TLS; without this section there is none. An empty one will do."`
}

// WebTLS is the page over TLS.
type WebTLS struct {
	Listen string   `yaml:"listen" default:"0.0.0.0:8443" check:"listen" doc:"The address for TLS."`
	Cert   string   `yaml:"cert" path:"true" doc:"The certificate and those between it and the authority, PEM; changed files count within seconds. Empty: the one that was uploaded on the page, else one that the gateway makes itself."`
	Key    string   `yaml:"key" path:"secret" doc:"The certificate's key, PEM."`
	ACME   *WebACME `yaml:"acme" doc:"An authority that gives certificates by ACME; without this section none is asked."`
}

// WebACME is an authority that the page's certificate comes from.
type WebACME struct {
	Directory string   `yaml:"directory" required:"true" doc:"The authority's directory, an https URL."`
	CA        string   `yaml:"ca" path:"true" doc:"What the authority's own certificate is checked against, PEM; empty: the authorities of the system."`
	Hosts     []string `yaml:"hosts" required:"true" doc:"The names and IP addresses that the certificate is for. The authority connects to each of them at port 443 (tls-alpn-01)."`
	Email     string   `yaml:"email" doc:"Whom the authority may write to; empty: nobody."`
}

// Network is the section about the machine's ways out.
type Network struct {
	Failover bool     `yaml:"failover" doc:"Whether the ways out are tested, and one through which nothing is reached goes behind the others until it leads somewhere again."`
	Probe    []string `yaml:"probe" max:"4" doc:"What is connected to over TCP in a test, host:port; one that answers is enough. Empty: the hosts of the uplinks."`
	Interval Duration `yaml:"interval" default:"30s" min:"5s" max:"1h" doc:"Between two tests of the way that is in use; the others are tested every tenth time while that one is good. Three failures in a row move it."`
}

// Log is the section about the gateway's own records. They are not messages.
type Log struct {
	Level  string  `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"From which level on records are written; the page can change it for a while."`
	Syslog *Syslog `yaml:"syslog" doc:"A syslog server that gets the records as well; without this section none does."`
}

// Syslog is a server for records.
type Syslog struct {
	Address  string `yaml:"address" required:"true" doc:"udp://host:514, tcp://host:601 or tls://host:6514; the port may be missing. RFC 5424, over TCP with octet counting."`
	Facility string `yaml:"facility" default:"daemon" enum:"user,daemon,local0,local1,local2,local3,local4,local5,local6,local7" doc:"Under which facility the server sorts the records."`
	CA       string `yaml:"ca" path:"true" doc:"With tls: what the server's certificate is checked against, PEM; empty: the authorities of the system."`
}

// Firmware is the section about updates of the whole system.
type Firmware struct {
	Stable Duration     `yaml:"stable" default:"5m" min:"10s" max:"24h" doc:"How long a new system must be healthy without a break before it is kept."`
	Within Duration     `yaml:"within" default:"30m" min:"1m" max:"48h" doc:"From its start on, how long a new system may take to become healthy before the one before it comes back."`
	TLS    *FirmwareTLS `yaml:"tls" doc:"How to ask a server for bundles over https; without this section the authorities of the system count, and the gateway shows no certificate."`
}

// FirmwareTLS are files that the updater, which runs as root, reads itself.
type FirmwareTLS struct {
	Cert string `yaml:"cert" path:"true" doc:"The certificate that the server is shown, PEM; empty: none."`
	Key  string `yaml:"key" path:"secret" doc:"The certificate's key, PEM."`
	CA   string `yaml:"ca" path:"true" doc:"What the server's certificate is checked against, PEM; empty: the authorities of the system."`
}

// MQTT is the MQTT listener's section.
type MQTT struct {
	Listen           []string   `yaml:"listen" check:"listen" doc:"Addresses for plain TCP; without any there is no such listener."`
	Listeners        []Listener `yaml:"listeners" doc:"More addresses, each with settings of its own."`
	Anonymous        bool       `yaml:"anonymous" doc:"Whether clients may come without a user and password; they may do everything but what is denied to everybody."`
	Users            []User     `yaml:"users" unique:"name" doc:"Who may connect, and what they may do."`
	DenySubscribe    []string   `yaml:"deny_subscribe" check:"filter" doc:"Filters that nobody may subscribe to; a wider subscription does not get what falls under them."`
	DenyPublish      []string   `yaml:"deny_publish" check:"filter" doc:"Filters under which nobody may publish."`
	MaxConnections   int        `yaml:"max_connections" default:"1000" min:"1" max:"1000000" doc:"How many clients may be connected, at all addresses together."`
	MaxKeepAlive     Duration   `yaml:"max_keep_alive" default:"0s" max:"65535s" doc:"The longest keep alive; 0: whatever the client asks."`
	MaxPacket        Size       `yaml:"max_packet" default:"1MiB" min:"1KiB" max:"4MiB" doc:"The largest packet that is taken."`
	MaxSubscriptions int        `yaml:"max_subscriptions" default:"1000" min:"1" max:"100000" doc:"Filters that one client may have."`
	MaxLevels        int        `yaml:"max_levels" default:"128" min:"1" max:"65535" doc:"Levels that a topic or filter may have."`
	MaxRate          int        `yaml:"max_rate" default:"0" min:"0" max:"1000000" doc:"Messages a second that are taken from one client, which is not read when it sends more; a burst of one second passes. 0: as many as come."`
	StoreQoS0        string     `yaml:"store_qos0" default:"all" enum:"all,matched" doc:"Which QoS 0 messages are stored: all, or only those that a durable cursor, an uplink or a group wants."`
	TLS              *MQTTTLS   `yaml:"tls" doc:"MQTT over TLS; without this section there is none."`
	WebSocket        *WebSocket `yaml:"websocket" doc:"MQTT over WebSocket; without this section there is none."`
}

// User is somebody who may connect over MQTT.
type User struct {
	Name         string   `yaml:"name" required:"true" check:"name" doc:"The user name that the client sends, or the name in its certificate."`
	PasswordFile string   `yaml:"password_file" path:"secret" doc:"A file with the password's bcrypt or argon2id hash, as sluice passwd writes it, or one that mosquitto_passwd wrote; read again when it changes."`
	Certificate  bool     `yaml:"certificate" doc:"Whether a client certificate of this name lets the user in, without a password."`
	Publish      []string `yaml:"publish" check:"filter" doc:"Filters under which this user may publish; empty: nowhere. %u stands for the user's name, %c for the client identifier."`
	Subscribe    []string `yaml:"subscribe" check:"filter" doc:"Filters that this user may subscribe to, with %u and %c too; empty: none. Topics that begin with $ need a filter that does."`
}

// Listener is one address of the MQTT listener, with settings of its own.
type Listener struct {
	Listen         string       `yaml:"listen" required:"true" check:"listen" doc:"The address."`
	TLS            *ListenerTLS `yaml:"tls" doc:"The certificates; without this section there is no TLS."`
	WebSocket      bool         `yaml:"websocket" doc:"Whether MQTT comes over WebSocket; with tls over wss."`
	Path           string       `yaml:"path" doc:"The path of the WebSocket; empty: /mqtt and /."`
	Origins        []string     `yaml:"origins" doc:"Web pages whose scripts may connect over WebSocket, as https://host:port; * is any page. Empty: any page, if clients need a password; else only pages opened from this host by IP address or localhost."`
	Anonymous      *bool        `yaml:"anonymous" doc:"Whether clients may come here without a user and password; as mqtt.anonymous when missing."`
	ProxyProtocol  bool         `yaml:"proxy_protocol" doc:"Whether only a proxy connects, which names the client in a PROXY header, version 1 or 2. Whoever else reaches the address can claim any."`
	MaxConnections int          `yaml:"max_connections" default:"0" min:"0" max:"1000000" doc:"How many clients may be connected here; 0: mqtt.max_connections alone counts."`
}

// ListenerTLS is what TLS needs to know.
type ListenerTLS struct {
	Cert       string `yaml:"cert" required:"true" path:"true" doc:"The server's certificate and those between it and the authority, PEM. Changed files count within seconds, without a restart."`
	Key        string `yaml:"key" required:"true" path:"secret" doc:"The certificate's key, PEM."`
	ClientCA   string `yaml:"client_ca" path:"true" doc:"Who may have signed the certificates of clients, PEM; empty: clients show none."`
	ClientCert string `yaml:"client_cert" default:"required" enum:"required,optional" doc:"With client_ca: whether clients must show a certificate, or may."`
}

// MQTTTLS is the MQTT listener over TLS.
type MQTTTLS struct {
	Listen   string `yaml:"listen" required:"true" check:"listen" doc:"The address for TLS."`
	Cert     string `yaml:"cert" required:"true" path:"true" doc:"The server's certificate, PEM. Changed files count within seconds, without a restart."`
	Key      string `yaml:"key" required:"true" path:"secret" doc:"The certificate's key, PEM."`
	ClientCA string `yaml:"client_ca" path:"true" doc:"Clients must have a certificate signed by one of these, PEM; empty: they need none."`
}

// WebSocket is the MQTT listener over WebSocket.
type WebSocket struct {
	Listen string `yaml:"listen" required:"true" check:"listen" doc:"The address for WebSocket."`
}

// RocketMQ is the RocketMQ listener's section.
type RocketMQ struct {
	Listen     string           `yaml:"listen" default:"127.0.0.1:10911" check:"listen" doc:"Where broker and name-server requests alike are served."`
	NameServer string           `yaml:"nameserver" default:"127.0.0.1:9876" check:"listen" doc:"A second address, where clients look for a name server; empty: none."`
	Advertise  string           `yaml:"advertise" check:"listen" doc:"The broker's address as clients are told; empty: the one that the client connected to."`
	GRPC       string           `yaml:"grpc" check:"listen" doc:"The address for RocketMQ 5 clients, for example 127.0.0.1:8081; empty: none."`
	TLS        *RocketMQTLS     `yaml:"tls" doc:"TLS at the same addresses; without this section there is none."`
	Proxy      bool             `yaml:"proxy_protocol" doc:"Every connection comes through a proxy that begins it with a PROXY header, version 1 or 2."`
	Queues     int              `yaml:"queues" default:"4" min:"1" max:"16" doc:"Queues of a new topic."`
	Access     []RocketMQAccess `yaml:"access" unique:"access_key" doc:"Who may connect; empty: everybody."`
	Cluster    *RocketMQCluster `yaml:"cluster" doc:"Joining a cluster of Apache RocketMQ; without this section the gateway is a cluster of its own."`
}

// RocketMQCluster is a cluster that has name servers of its own, which the gateway becomes a broker of.
type RocketMQCluster struct {
	Name          string              `yaml:"name" default:"DefaultCluster" doc:"The name that the other brokers have in brokerClusterName."`
	NameServers   []string            `yaml:"name_servers" required:"true" doc:"The name servers, host:port; the gateway registers with each of them."`
	Broker        string              `yaml:"broker" doc:"What the cluster calls this gateway, unlike any other broker; the gateway's name when missing."`
	DefaultTopics bool                `yaml:"default_topics" doc:"Whether TBW102 and the cluster's reply topic are registered too, so that topics are made here for producers and answers to requests travel through here. Beside other brokers both may come here by mistake."`
	AccessKey     string              `yaml:"access_key" doc:"The key that the gateway names itself with to name servers that ask for one."`
	SecretKey     Secret              `yaml:"secret_key" doc:"The key that it signs with."`
	TLS           *RocketMQClusterTLS `yaml:"tls" doc:"TLS to the name servers; without this section plain text."`
}

// RocketMQClusterTLS is TLS to name servers.
type RocketMQClusterTLS struct {
	CA         string `yaml:"ca" path:"true" doc:"What the name servers' certificates are checked against, PEM; empty: the authorities of the system."`
	Cert       string `yaml:"cert" path:"true" doc:"The gateway's own certificate, if they want one, PEM."`
	Key        string `yaml:"key" path:"secret" doc:"The certificate's key, PEM."`
	ServerName string `yaml:"server_name" doc:"The name that the certificates must bear; empty: the host in name_servers."`
}

// RocketMQTLS is TLS on the RocketMQ listener.
type RocketMQTLS struct {
	Cert     string `yaml:"cert" required:"true" path:"true" doc:"The server's certificate, PEM. Changed files count within seconds, without a restart."`
	Key      string `yaml:"key" required:"true" path:"secret" doc:"The certificate's key, PEM."`
	ClientCA string `yaml:"client_ca" path:"true" doc:"Clients must have a certificate signed by one of these, PEM; empty: they need none."`
	Only     bool   `yaml:"only" doc:"Whether plain text is refused; otherwise the first byte of a connection tells the two apart."`
}

// RocketMQAccess is somebody who may connect over RocketMQ.
type RocketMQAccess struct {
	AccessKey string   `yaml:"access_key" required:"true" doc:"The key that the client names itself with."`
	SecretKey Secret   `yaml:"secret_key" required:"true" doc:"The key that it signs with."`
	Publish   []string `yaml:"publish" doc:"Topics that may be sent to."`
	Subscribe []string `yaml:"subscribe" doc:"Topics that may be consumed."`
	Groups    []string `yaml:"groups" doc:"Consumer groups that may be used."`
	Admin     bool     `yaml:"admin" doc:"Whether topics and groups may be changed."`
}

// Bus is a line that several devices share: a serial port, a connection that the gateway opens, or one
// that a DTU opens to it.
type Bus struct {
	Name         string   `yaml:"name" required:"true" check:"name" doc:"What devices call it, as in bus://NAME."`
	Serial       string   `yaml:"serial" path:"true" doc:"The serial port, for example /dev/ttyS1; or one of the next two instead."`
	TCP          string   `yaml:"tcp" doc:"A serial server that the gateway connects to, host:port; what devices say passes through it unchanged."`
	Listen       string   `yaml:"listen" check:"listen" doc:"An address where a DTU connects to the gateway, for example 0.0.0.0:9000."`
	Registration Packet   `yaml:"registration" doc:"With listen: what the DTU sends first, as text or as hex:0A0B; it tells apart the DTUs of buses that listen at the same address. Empty: whoever comes."`
	Heartbeat    Packet   `yaml:"heartbeat" doc:"With listen: what the DTU sends from time to time beside its data, as text or as hex:0A0B; it is kept out of answers."`
	Baud         int      `yaml:"baud" default:"9600" enum:"50,75,110,134,150,200,300,600,1200,1800,2400,4800,9600,19200,38400,57600,115200,230400,460800,500000,576000,921600,1000000,1152000,1500000,2000000,2500000,3000000,3500000,4000000" doc:"Bits a second; the rates that serial ports have."`
	DataBits     int      `yaml:"data_bits" default:"8" min:"5" max:"8" doc:"Bits of a character."`
	Parity       string   `yaml:"parity" default:"none" enum:"none,even,odd" doc:"The parity bit."`
	StopBits     int      `yaml:"stop_bits" default:"1" min:"1" max:"2" doc:"Stop bits behind a character."`
	Silence      Duration `yaml:"silence" default:"0s" max:"1s" doc:"How long the line is quiet before a request; 0: three and a half characters, over TCP none."`
	Gap          Duration `yaml:"gap" default:"0s" max:"10s" doc:"The longest pause within an answer, after which it counts as ended; 0: 50ms, over TCP 250ms."`
	Turnaround   Duration `yaml:"turnaround" default:"0s" max:"10s" doc:"How long the line rests before a request to another device than the last; some converters need it. 0: the silence alone."`
	Echo         string   `yaml:"echo" default:"auto" enum:"auto,on,off" doc:"Whether the adapter hears what it sends itself; auto finds out."`
	RS485        *RS485   `yaml:"rs485" doc:"Lets the port's driver switch an RS485 transceiver by RTS; without this section it is left alone, as is right for adapters on USB."`
}

// RS485 is how a serial port's driver switches an RS485 transceiver.
type RS485 struct {
	RTSLow      bool     `yaml:"rts_low" doc:"Whether RTS is low, not high, while sending."`
	Before      Duration `yaml:"before" default:"0s" max:"100ms" doc:"From RTS to the first bit, in whole milliseconds."`
	After       Duration `yaml:"after" default:"0s" max:"100ms" doc:"From the last bit to RTS, in whole milliseconds."`
	HearItself  bool     `yaml:"hear_itself" doc:"Whether the receiver stays on while sending."`
	Termination bool     `yaml:"termination" doc:"Whether the port's terminating resistor is switched on, where there is one."`
}

// Device is one polled device: what every device has, and its driver's own keys beside it.
type Device struct {
	Name     string    `yaml:"name" required:"true" check:"name" doc:"The name in topics, as {device}."`
	Driver   string    `yaml:"driver" required:"true" doc:"What the device speaks; decides which other keys there are. A profile says it by itself."`
	Profile  string    `yaml:"profile" doc:"The model of the device, if there is a profile of it: its driver, points and defaults go under what stands here; docs/profiles.md lists them."`
	Only     []string  `yaml:"only" doc:"With a profile: the names of its points that are wanted; empty: all of them. Points that stand here are always wanted."`
	Interval Duration  `yaml:"interval" default:"1s" min:"10ms" doc:"The time from one poll to the next; of a device that speaks unasked, how often it is expected to."`
	Aligned  bool      `yaml:"aligned" doc:"Whether polls happen when the clock shows a whole multiple of the interval, so that readings of many gateways belong to the same moments; else devices are spread over the interval."`
	Groups   []Group   `yaml:"groups" unique:"name" doc:"Scan groups: points that name one are polled at its interval and make readings of their own."`
	Derived  []Derived `yaml:"derived" unique:"name" doc:"Points that are computed from other points."`

	Report     string   `yaml:"report" default:"always" enum:"always,change" doc:"For points that do not say it: whether a reading has every point, or only those that have changed; without any there is no reading."`
	MaxSilence Duration `yaml:"max_silence" default:"1h" doc:"With report: change, how long a point may go unreported."`
	OnError    string   `yaml:"on_error" default:"bad" enum:"bad,hold" doc:"For points that do not say it: whether one that cannot be read is an error, or repeats its last good value beside the error."`

	// Options is what the driver's Options gave, filled in.
	Options any `options:"driver" yaml:"-"`
}

// Group is a scan group of a device.
type Group struct {
	Name     string   `yaml:"name" required:"true" check:"name" doc:"What points call it."`
	Interval Duration `yaml:"interval" required:"true" min:"10ms" doc:"The time from one poll to the next."`
}

// Derived is a point that is computed from others of its device.
type Derived struct {
	Name            string   `yaml:"name" required:"true" doc:"The value's name in readings."`
	Expression      string   `yaml:"expression" required:"true" doc:"What it is, for example voltage * current / 1000; points are called by their names, those that are no identifiers as $env[\"flow rate\"]."`
	Unit            string   `yaml:"unit" doc:"Unit of measure, for people."`
	Group           string   `yaml:"group" doc:"The scan group with which it is computed; empty: with the device's own interval."`
	Report          string   `yaml:"report" enum:"always,change" doc:"As for other points; empty: as the device says."`
	Deadband        float64  `yaml:"deadband" min:"0" doc:"A change smaller than this is none."`
	DeadbandPercent float64  `yaml:"deadband_percent" min:"0" max:"100" doc:"The same, in percent of the value reported last."`
	MaxSilence      Duration `yaml:"max_silence" doc:"With report: change, how long it may go unreported; 0: as the device says."`
	MinInterval     Duration `yaml:"min_interval" doc:"It is in readings no more often than this."`
}

// Equal says whether d and other are configured alike, so that a running device can stay.
func (d Device) Equal(other Device) bool { return reflect.DeepEqual(d, other) }

// Uplink is one way to a cloud: what every uplink has, and its driver's own keys beside it.
type Uplink struct {
	Name     string         `yaml:"name" required:"true" check:"name" doc:"What the page and the log call it; a new name begins a new place in the log."`
	Driver   string         `yaml:"driver" required:"true" doc:"What the cloud speaks; decides which other keys there are."`
	Window   int            `yaml:"window" default:"100" min:"1" max:"65535" doc:"Messages on their way at a time."`
	Retry    Duration       `yaml:"retry" default:"30s" min:"1s" max:"10m" doc:"The longest wait between two tries to connect; the waits grow up to it and are drawn at random below it, so that a fleet comes back spread out."`
	Tries    int            `yaml:"tries" default:"10" min:"1" max:"1000000" doc:"How often a message that the cloud refuses is offered to it; then it is set aside under $dead/UPLINK/TOPIC and the route goes on."`
	Limit    Caps           `yaml:"limit" doc:"Bounds for everything that goes up."`
	Backfill Caps           `yaml:"backfill" doc:"Bounds for what waited during an outage, on routes that send what is new first."`
	Forward  []ForwardRoute `yaml:"forward" doc:"What goes up."`
	Receive  []ReceiveRoute `yaml:"receive" doc:"What comes down."`

	// Options is what the uplink driver's Options gave, filled in.
	Options any `options:"uplink" yaml:"-"`
}

// Equal says whether u and other are configured alike, so that a running uplink can stay.
func (u Uplink) Equal(other Uplink) bool { return reflect.DeepEqual(u, other) }

// ForwardRoute says which messages go up, and where to.
type ForwardRoute struct {
	Name     string  `yaml:"name" check:"name" doc:"What the route's place in the log is called, where two routes of an uplink have the same from; a new name begins a new place."`
	From     string  `yaml:"from" required:"true" check:"filter" doc:"A topic filter; may contain {gateway}."`
	To       string  `yaml:"to" check:"template" doc:"The topic at the receiver; may be missing where the driver knows one. {topic}, {gateway}, {device}, {lane} (live or backfill) and {point} (with payload format points) are filled in."`
	QoS      byte    `yaml:"qos" default:"1" min:"0" max:"2" doc:"The MQTT QoS; 0 may lose messages."`
	Start    string  `yaml:"start" default:"oldest" enum:"oldest,now" doc:"Where a new route begins: with the oldest message there is, or with the next."`
	Order    string  `yaml:"order" default:"strict" enum:"strict,live-first" doc:"After an outage: everything in order, or what is new at once while what has waited fills in behind, each in order."`
	Retain   bool    `yaml:"retain" doc:"Whether an MQTT broker shall keep the last message of each topic."`
	Priority int     `yaml:"priority" min:"-100" max:"100" doc:"Routes with a higher one are served first; the others go on a message at a time meanwhile."`
	Payload  Payload `yaml:"payload" doc:"What a record becomes on its way up, and which go up at all."`
}

// Place is what the route's place in the log is called within its uplink.
func (r ForwardRoute) Place() string { return cmp.Or(r.Name, r.From) }

// Payload says what becomes of a record on its way up; docs/payloads.md shows each form.
type Payload struct {
	Format      string `yaml:"format" default:"stored" enum:"stored,object,values,points,neuron,neuron-tags,thingsboard,thingsboard-device,alink,huawei,template" doc:"What a reading becomes on its way up; docs/payloads.md shows each. Some drivers of uplinks have a default of their own. What is no reading goes up as it is stored, but for template, which is asked."`
	Template    string `yaml:"template" doc:"With format template: a Go text/template that writes the payload."`
	Filter      string `yaml:"filter" doc:"An expression that is true for the messages that go up, for example values.temperature > 80; empty: all."`
	Group       string `yaml:"group" default:"default" doc:"With format neuron and neuron-tags: the name of the group that the points belong to."`
	BigIntegers string `yaml:"big_integers" default:"number" enum:"number,text" doc:"How whole numbers beyond 9007199254740991 are written, which JavaScript and others round: exactly as a number, or as text. Not for stored and template."`
}

// Caps bound what goes up; with 0 and without hours nothing is bounded.
type Caps struct {
	Messages int      `yaml:"messages" min:"0" max:"1000000" doc:"Messages a second; 0: any number."`
	Bytes    Size     `yaml:"bytes" doc:"Bytes a second, topics and payloads; 0: any number."`
	Hours    []string `yaml:"hours" check:"hours" doc:"Times of day, as 22:00-06:00 in local time, at which anything is sent; none: always."`
}

// ReceiveRoute says which messages are taken from the cloud, and what they become here.
type ReceiveRoute struct {
	From string `yaml:"from" required:"true" check:"filter" doc:"A topic filter at the cloud; may contain {gateway}. The level that a + stands for is the {device}."`
	To   string `yaml:"to" required:"true" check:"template" doc:"The topic here; {topic}, {gateway} and {device} are filled in."`
}

// hostName is the gateway's name when the file gives none.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || checkName(name) != nil {
		return "gateway"
	}
	return name
}
