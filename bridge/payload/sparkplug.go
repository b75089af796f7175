package payload

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sluice/gateway/message"
)

// EdgeNode is the gateway as Sparkplug B knows it: what it has told, or will have to tell, about its
// devices and their metrics. It outlives connections; a Session is one of them. It may be used by many.
type EdgeNode struct {
	group, name string

	mu        sync.Mutex // guards what follows
	devices   map[string]*nodeDevice
	order     []*nodeDevice // as they became known
	nextAlias uint64
	aliases   map[uint64]*metric
	session   *Session // the one that counts: the last that was begun
	reading   reading  // kept for its memory, as inner
	inner     []byte
}

// maxSparkplugDevices and maxSparkplugMetrics bound what an edge node remembers, and a birth's size:
// names come from payloads, which MQTT clients write too.
const (
	maxSparkplugDevices = 4096
	maxSparkplugMetrics = 4096 // of one device
)

type nodeDevice struct {
	name    string
	data    string // the topic of its data
	metrics map[string]*metric
	order   []*metric
	born    *Session // where its birth was told
	seq     *metric
	epoch   *metric
	scratch []*metric
}

// metric is one point of a device.
type metric struct {
	device *nodeDevice
	name   string
	alias  uint64
	kind   dataType // the widest that was seen, so that 20 between 19.5 and 20.5 changes nothing
	last   metricValue
	time   int64
}

// SparkplugMessage is one message to publish, not retained. The specification asks for QoS 0 but for
// the will, which has 1; a link that wants an acknowledgement publishes with 1.
type SparkplugMessage struct {
	Topic   string
	Payload []byte
}

// NewEdgeNode names an edge node. Names are one level of a topic each.
func NewEdgeNode(group, name string) (*EdgeNode, error) {
	for _, level := range []string{group, name} {
		if err := checkSparkplugName(level); err != nil {
			return nil, fmt.Errorf("the Sparkplug group or edge node %q %w", level, err)
		}
	}
	return &EdgeNode{group: group, name: name, devices: map[string]*nodeDevice{}, aliases: map[uint64]*metric{}, nextAlias: 1}, nil
}

func checkSparkplugName(level string) error {
	if level == "" || strings.ContainsAny(level, "/+#\x00") || message.CheckTopic(level) != nil {
		return errors.New("cannot be one level of a topic: it is empty, or has /, + or #")
	}
	return nil
}

// Connect begins a session, before CONNECT is sent: the will is a part of that. bdSeq is a count of
// connections, modulo 256, best one that survives a restart: it tells a host which birth a death
// belongs to. An older session of the node is over.
func (n *EdgeNode) Connect(bdSeq uint64) *Session {
	s := &Session{node: n, bdSeq: bdSeq % 256}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.session = s
	return s
}

func (n *EdgeNode) topic(kind, device string) string {
	topic := "spBv1.0/" + n.group + "/" + kind + "/" + n.name
	if device != "" {
		topic += "/" + device
	}
	return topic
}

// Session is one MQTT connection of an edge node. What its methods give must be published in the order
// of the calls, since it carries a sequence number: the link that owns the session calls them under the
// lock that orders its queue.
type Session struct {
	node  *EdgeNode
	bdSeq uint64
	seq   uint64 // of the next message
	birth int64  // Unix milliseconds of the last NBIRTH; 0: there was none
}

// Will is the death that the broker publishes when the connection is lost, with QoS 1; an orderly
// disconnect publishes it first. Its topic and payload are the same for as long as the session lasts.
func (s *Session) Will() SparkplugMessage {
	p := payloadWriter{}
	p.metric(&wireMetric{name: "bdSeq", kind: typeInt64, value: metricValue{bits: s.bdSeq}})
	return SparkplugMessage{Topic: s.node.topic("NDEATH", ""), Payload: p.bytes}
}

// Subscriptions are the filters under which commands come, asked for with QoS 1 before the births.
func (s *Session) Subscriptions() []string {
	return []string{s.node.topic("NCMD", ""), s.node.topic("DCMD", "+")}
}

// Births tells who is there: the edge node, and every device that is known, with its last values. It
// begins a session, and answers a rebirth command.
func (s *Session) Births(now int64) []SparkplugMessage {
	n := s.node
	n.mu.Lock()
	defer n.mu.Unlock()
	s.seq, s.birth = 0, now
	p := payloadWriter{}
	p.timestamp(now)
	p.metric(&wireMetric{name: "bdSeq", time: now, kind: typeInt64, value: metricValue{bits: s.bdSeq}})
	p.metric(&wireMetric{name: rebirthMetric, time: now, kind: typeBoolean})
	p.seq(s.next())
	births := []SparkplugMessage{{Topic: n.topic("NBIRTH", ""), Payload: p.bytes}}
	for _, d := range n.order {
		births = append(births, s.deviceBirthLocked(d, now))
	}
	return births
}

// next gives the number of a message: 0 to 255, and again.
func (s *Session) next() uint64 {
	seq := s.seq
	s.seq = (s.seq + 1) % 256
	return seq
}

// deviceBirthLocked tells of every metric of a device: name, alias, type and the last value.
func (s *Session) deviceBirthLocked(d *nodeDevice, now int64) SparkplugMessage {
	d.born = s
	p := payloadWriter{}
	p.timestamp(now)
	for _, m := range d.order {
		w := wireMetric{name: m.name, alias: m.alias, time: m.time, kind: m.kind, value: m.last, null: m.time == 0}
		if w.null {
			w.time, w.kind = now, m.kind.orDouble()
		}
		p.metric(&w)
	}
	p.seq(s.next())
	return SparkplugMessage{Topic: s.node.topic("DBIRTH", d.name), Payload: p.bytes}
}

// Data makes what publishes a reading: the data, with the device's birth before it when the device or
// one of its metrics is new, or does not fit its type any more. A reading from before the node's birth
// is marked as historical. Births must have been called. An error is about this record alone.
func (s *Session) Data(r *message.Record, now int64) ([]SparkplugMessage, error) {
	n := s.node
	n.mu.Lock()
	defer n.mu.Unlock()
	in := &n.reading
	if !in.parse(r, `""`) {
		return nil, errNoReading(r)
	}
	if n.session != s || s.birth == 0 {
		return nil, errors.New("this Sparkplug session is over, or has not begun")
	}
	d, err := n.deviceLocked(text(in.device))
	if err != nil {
		return nil, err
	}
	if err := n.declareLocked(d, in); err != nil {
		return nil, err
	}
	var made []SparkplugMessage
	if d.born != s {
		made = append(made, s.deviceBirthLocked(d, now))
	}
	return append(made, s.dataLocked(d, in, now)), nil
}

// deviceLocked gives a device by its name, new if need be.
func (n *EdgeNode) deviceLocked(name string) (*nodeDevice, error) {
	if d := n.devices[name]; d != nil {
		return d, nil
	}
	if err := checkSparkplugName(name); err != nil {
		return nil, fmt.Errorf("the device %q %w", name, err)
	}
	if len(n.devices) >= maxSparkplugDevices {
		return nil, fmt.Errorf("the device %q is one too many: Sparkplug tells of %d", name, maxSparkplugDevices)
	}
	d := &nodeDevice{name: name, data: n.topic("DDATA", name), metrics: map[string]*metric{}}
	n.devices[name] = d
	n.order = append(n.order, d)
	// They let anyone prove that no reading is missing and none came twice.
	d.epoch, d.seq = n.addLocked(d, "Reading/Epoch", typeUInt64), n.addLocked(d, "Reading/Seq", typeUInt64)
	return d, nil
}

func (n *EdgeNode) addLocked(d *nodeDevice, name string, kind dataType) *metric {
	m := &metric{device: d, name: name, alias: n.nextAlias, kind: kind}
	n.aliases[m.alias] = m
	n.nextAlias++
	d.metrics[name] = m
	d.order = append(d.order, m)
	return m
}

// declareLocked makes sure that every point has a metric that can hold it, in d.scratch. A device whose
// birth has told otherwise is born no longer.
func (n *EdgeNode) declareLocked(d *nodeDevice, in *reading) error {
	d.scratch = d.scratch[:0]
	for i := range in.points {
		p := &in.points[i]
		m := d.metrics[string(p.name[1:len(p.name)-1])] // without an allocation, where it needs no unquoting
		if m == nil {
			m = d.metrics[text(p.name)]
		}
		if m == nil {
			if len(d.order) >= maxSparkplugMetrics {
				return fmt.Errorf("the device %q has more than %d metrics, counting old ones", d.name, maxSparkplugMetrics)
			}
			m = n.addLocked(d, text(p.name), typeUnknown)
			d.born = nil
		}
		d.scratch = append(d.scratch, m)
		if p.value == nil {
			continue
		}
		if wider := m.kind.join(p.value); wider != m.kind {
			if wider != m.kind.orDouble() { // as which a null of no known type was born
				d.born = nil
			}
			m.kind, m.last, m.time = wider, metricValue{}, 0
		}
	}
	return nil
}

func (s *Session) dataLocked(d *nodeDevice, in *reading, now int64) SparkplugMessage {
	p := payloadWriter{bytes: make([]byte, 0, 64+32*len(in.points)), inner: s.node.inner}
	p.timestamp(now)
	at := max(whole(in.ts), 0)
	past := at < s.birth
	put := func(m *metric, raw []byte) {
		w := wireMetric{alias: m.alias, time: at, kind: m.kind.orDouble(), historical: past, null: raw == nil}
		if raw != nil {
			w.value = m.kind.value(raw)
			if at >= m.time {
				m.last, m.time = w.value, max(at, 1)
			}
		}
		p.metric(&w)
	}
	put(d.epoch, in.epoch)
	put(d.seq, in.seq)
	for i := range in.points {
		put(d.scratch[i], in.points[i].value)
	}
	p.seq(s.next())
	s.node.inner = p.inner
	return SparkplugMessage{Topic: d.data, Payload: p.bytes}
}

// DeviceDeath tells that a device does not answer; the next reading of it brings its birth. There is
// nothing to tell of a device that was not born.
func (s *Session) DeviceDeath(device string, now int64) (dead SparkplugMessage, needed bool) {
	n := s.node
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.devices[device]
	if d == nil || d.born != s || n.session != s {
		return SparkplugMessage{}, false
	}
	d.born = nil
	p := payloadWriter{}
	p.timestamp(now)
	p.seq(s.next())
	return SparkplugMessage{Topic: n.topic("DDEATH", device), Payload: p.bytes}, true
}

// Forget drops devices that are configured no longer, so that the next births leave them out.
func (n *EdgeNode) Forget(device string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.devices[device]
	if d == nil {
		return
	}
	delete(n.devices, device)
	n.order = slices.DeleteFunc(n.order, func(each *nodeDevice) bool { return each == d })
	for _, m := range d.order {
		delete(n.aliases, m.alias)
	}
}
