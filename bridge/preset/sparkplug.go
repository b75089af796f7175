package preset

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sluice/bridge"
	"sluice/bridge/mqtt"
	"sluice/bridge/payload"
)

// Sparkplug is the recipe for hosts that speak Sparkplug B (version 3.0) over any MQTT broker.
type Sparkplug struct {
	Address      string   `yaml:"address" required:"true" doc:"where the broker listens, as mqtt.example; tcp://HOST without TLS"`
	Addresses    []string `yaml:"addresses" doc:"further addresses of the same broker, each tried in turn when the one before does not work"`
	Group        string   `yaml:"group" required:"true" doc:"the group that the edge node belongs to: the second level of every topic"`
	EdgeNode     string   `yaml:"edge_node" doc:"the edge node as which the gateway appears; default: the gateway's name"`
	ClientID     string   `yaml:"client_id" doc:"how the gateway calls itself to the broker; default: the gateway's name"`
	Username     string   `yaml:"username" doc:"user name, if the broker wants one"`
	PasswordFile string   `yaml:"password_file" path:"secret" doc:"file that holds the password; read at every connection"`
	Line         `yaml:",inline"`
}

// SparkplugB makes uplinks to hosts that speak Sparkplug B.
func SparkplugB(log *slog.Logger) Kind {
	return Kind{func() recipe { return &Sparkplug{Line: defaultLine()} }, log}
}

// Validate implements recipe.
func (o *Sparkplug) Validate(report func(path, problem string)) {
	check(o, report)
	checkLevel("group", o.Group, 1024, report)
	if o.EdgeNode != "" {
		checkLevel("edge_node", o.EdgeNode, 1024, report)
	}
}

// Endpoint implements recipe.
func (o *Sparkplug) Endpoint() string { return secureFirst(o.Address, "8883") }

// Route implements recipe. The link makes topics and payloads of the records themselves.
func (o *Sparkplug) Route() (to, format string) { return "{topic}", "stored" }

func (o *Sparkplug) expand(string) plan {
	options := o.mqtt(o.Endpoint(), o.ClientID, "")
	options.Username, options.PasswordFile = o.Username, o.PasswordFile
	for _, address := range o.Addresses {
		options.Addresses = append(options.Addresses, secureFirst(address, "8883"))
	}
	return plan{options: options}
}

func (o *Sparkplug) open(gateway string, log *slog.Logger) (*sparkplugUplink, error) {
	name := o.EdgeNode
	if name == "" {
		name = gateway
	}
	node, err := payload.NewEdgeNode(o.Group, name)
	if err != nil {
		return nil, err
	}
	// Two uplinks with the same options: a test must not end the session that the other one keeps.
	tester, err := o.expand(gateway).open(gateway, log)
	if err != nil {
		return nil, err
	}
	line, err := o.expand(gateway).open(gateway, log)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.Default()
	}
	u := &sparkplugUplink{gateway: gateway, node: node, line: line, tester: tester, log: log,
		// The count need not be without a hole: it tells the death of one connection from that of the
		// next. One that begins with the clock does so over a restart, too, without a file.
		bdSeq: uint64(time.Now().Unix())}
	line.Session = u.begin
	return u, nil
}

// sparkplugUplink keeps what the node has told over all its connections.
type sparkplugUplink struct {
	gateway string
	node    *payload.EdgeNode
	line    *mqtt.Uplink
	tester  *mqtt.Uplink
	log     *slog.Logger

	mu      sync.Mutex // guards what follows
	bdSeq   uint64
	session *payload.Session // of the latest attempt to connect
}

// begin is asked before CONNECT, which carries the will, at every address that is tried.
func (u *sparkplugUplink) begin(context.Context) (mqtt.Session, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.session = u.node.Connect(u.bdSeq)
	u.bdSeq++
	will := u.session.Will()
	return mqtt.Session{Will: &mqtt.Note{Topic: will.Topic, Payload: will.Payload, QoS: 1}}, nil
}

// Connect opens a connection, asks for commands and is born, in that order.
func (u *sparkplugUplink) Connect(ctx context.Context) (bridge.Link, error) {
	opened, err := u.line.Connect(ctx)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	session := u.session
	u.mu.Unlock()
	l := &sparkplugLink{Link: opened, session: session, gateway: u.gateway, log: u.log, reborn: make(chan struct{}, 1)}
	if err := l.beBorn(ctx); err != nil {
		opened.Close()
		return nil, err
	}
	l.workers.Go(l.rebirths)
	return l, nil
}

// Probe tests the way to the broker without being born.
func (u *sparkplugUplink) Probe(ctx context.Context, report func(bridge.Step)) error {
	return u.tester.Probe(ctx, report)
}
