package rocketmq

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/remoting"
)

// sim is a name server with brokers, all at addresses of their own, that is told how to answer.
type sim struct {
	t       *testing.T
	names   string
	quirk   func(c *remoting.Command) *remoting.Command // an answer instead of the usual one, or nil
	members []*member
	serving sync.WaitGroup

	mu       sync.Mutex // guards what follows
	mute     bool
	slow     bool   // its line
	refuse   string // the payload that is refused
	up       bool
	conns    map[net.Conn]bool
	queues   map[string]int // of each topic, at each broker
	received []received
	requests map[int]int // by code
}

type received struct {
	topic, broker string
	queue         int
	body          string
	properties    map[string]string
	flag          int32
}

// member is a listener of the sim.
type member struct {
	sim      *sim
	name     string // "" is the name server
	address  string
	mu       sync.Mutex // guards listener
	listener net.Listener
}

func startSim(t *testing.T, brokers int) *sim {
	t.Helper()
	s := &sim{t: t, conns: make(map[net.Conn]bool), queues: map[string]int{}, requests: map[int]int{}}
	s.members = append(s.members, &member{sim: s})
	for i := range brokers {
		s.members = append(s.members, &member{sim: s, name: fmt.Sprintf("broker-%c", 'a'+i)})
	}
	s.setUp(true)
	s.names = s.members[0].address
	t.Cleanup(func() {
		s.setUp(false)
		s.serving.Wait()
	})
	return s
}

func (s *sim) setUp(up bool) {
	s.mu.Lock()
	s.up = up
	if !up {
		for c := range s.conns {
			c.Close()
		}
		clear(s.conns)
	}
	s.mu.Unlock()
	for _, m := range s.members {
		m.setUp(up)
	}
}

func (m *member) setUp(up bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !up {
		if m.listener != nil {
			m.listener.Close()
			m.listener = nil
		}
		return
	}
	if m.listener != nil {
		return
	}
	at := m.address
	if at == "" {
		at = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", at)
	for tries := 0; err != nil && tries < 50; tries++ {
		time.Sleep(20 * time.Millisecond) // connections of before still hold the port
		l, err = net.Listen("tcp", at)
	}
	if err != nil {
		m.sim.t.Error(err)
		return
	}
	m.listener, m.address = l, l.Addr().String()
	m.sim.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !m.sim.admit(c) {
				c.Close()
				continue
			}
			m.sim.serving.Go(func() { m.serve(c) })
		}
	})
}

// slowly reads a little at a time, and lets the system keep little: what is not read is still on its way.
type slowly struct{ net.Conn }

func (s slowly) Read(b []byte) (int, error) {
	time.Sleep(5 * time.Millisecond) // it is a real line: its system decides what has arrived
	return s.Conn.Read(b[:min(len(b), 4<<10)])
}

func (s *sim) lineOf(c net.Conn) io.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.slow {
		return c
	}
	if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		s.t.Error(err)
	}
	return slowly{c}
}

// admit takes a connection, unless the sim went down while it came.
func (s *sim) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = s.up
	return s.up
}

func (m *member) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(m.sim.lineOf(c))
	for {
		var request remoting.Command
		if remoting.Read(r, remoting.MaxFrame, &request) != nil {
			return
		}
		answer := m.answer(&request)
		if answer == nil {
			continue
		}
		answer.Opaque, answer.Flag = request.Opaque, remoting.FlagResponse
		b, err := answer.Append(nil)
		if err != nil {
			m.sim.t.Error(err)
			return
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func (m *member) answer(request *remoting.Command) *remoting.Command {
	s := m.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[request.Code]++
	if s.quirk != nil {
		if answer := s.quirk(request); answer != nil {
			return answer
		}
	}
	switch request.Code {
	case remoting.GetBrokerClusterInfo:
		return &remoting.Command{Body: []byte(`{"brokerAddrTable":{` + s.brokers(`"%s":`) + `}}`)}
	case remoting.GetRouteInfoByTopic:
		queues, ok := s.queues[request.Ext.Get("topic")]
		if !ok {
			return &remoting.Command{Code: remoting.TopicNotExist, Remark: "No topic route info"}
		}
		var data []string
		for _, b := range s.members[1:] {
			data = append(data, fmt.Sprintf(`{"brokerName":"%s","perm":6,"readQueueNums":%d,"topicSysFlag":0,"writeQueueNums":%d}`, b.name, queues, queues))
		}
		return &remoting.Command{Body: []byte(`{"brokerDatas":[` + s.brokers("") + `],"queueDatas":[` + strings.Join(data, ",") + `]}`)}
	case remoting.HeartBeat:
		return &remoting.Command{}
	case remoting.SendMessageV2, remoting.SendBatchMessage:
		if answer := m.store(request); answer != nil {
			return answer
		}
		if s.mute {
			return nil
		}
		return &remoting.Command{Ext: remoting.Fields{{Name: "msgId", Value: "00"}, {Name: "queueId", Value: "0"}, {Name: "queueOffset", Value: "0"}}}
	}
	return &remoting.Command{Code: remoting.RequestCodeNotSupported}
}

// brokers writes them as a name server does, numbers without quotes.
func (s *sim) brokers(before string) string {
	var all []string
	for _, b := range s.members[1:] {
		name := ""
		if before != "" {
			name = fmt.Sprintf(before, b.name)
		}
		all = append(all, fmt.Sprintf(`%s{"brokerAddrs":{0:"%s"},"brokerName":"%s","cluster":"C"}`, name, b.address, b.name))
	}
	return strings.Join(all, ",")
}

func (m *member) store(request *remoting.Command) *remoting.Command {
	parts := []remoting.Part{{Body: request.Body, Properties: request.Ext.Get("i")}}
	if request.Code == remoting.SendBatchMessage {
		var err error
		if parts, err = remoting.ParseBatch(request.Body, 10_000); err != nil {
			m.sim.t.Error(err)
		}
	}
	queue, _ := strconv.Atoi(request.Ext.Get("e"))
	if request.Ext.Get("n") != m.name || queue < 0 {
		m.sim.t.Errorf("%s is sent a message for %s", m.name, request.Ext.Get("n"))
	}
	for _, p := range parts {
		if string(p.Body) == m.sim.refuse && m.sim.refuse != "" {
			return &remoting.Command{Code: remoting.MessageIllegal, Remark: "the message is illegal"}
		}
	}
	for _, p := range parts {
		r := received{request.Ext.Get("b"), m.name, queue, string(p.Body), map[string]string{}, p.Flag}
		properties, err := remoting.ParseProperties(p.Properties)
		if err != nil {
			m.sim.t.Error(err)
		}
		for _, p := range properties {
			r.properties[p.Name] = p.Value
		}
		m.sim.received = append(m.sim.received, r)
	}
	return nil
}

func (s *sim) setMute(mute bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = mute
}

// have gives what the brokers have.
func (s *sim) have() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

func (s *sim) asked(code int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[code]
}

// change does something to the sim while nobody looks.
func (s *sim) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}
