package rocketmq

import (
	"fmt"
	"slices"
	"strings"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 400 QUERY_ASSIGNMENT, 401 SET_MESSAGE_REQUEST_MODE, 402 GET_ALL_MESSAGE_REQUEST_MODE
//
// Supported: sharing the queues of a topic out to the clients of a group, evenly or in turn, and whether they pull or
// pop; the mode lasts over restarts. A client that pops alone, or with all others, gets the queue -1, which is every queue.
// Left out: the strategies by machine room and by consistent hash are shared out evenly.
func (s *Server) queryAssignment(r *request) (answer, error) {
	var ask struct {
		Client   string `json:"clientId"`
		Group    string `json:"consumerGroup"`
		Model    string `json:"messageModel"`
		Strategy string `json:"strategyName"`
		Topic    string `json:"topic"`
	}
	if err := r.decode(&ask); err != nil {
		return answer{}, err
	}
	if !r.account.MaySubscribe(ask.Topic) || !r.account.MayUse(ask.Group) {
		return answer{}, fmt.Errorf("%w: %s consuming %s", queue.ErrForbidden, ask.Group, ask.Topic)
	}
	topic, known := s.queues.Topic(ask.Topic)
	if !known {
		return answer{}, fmt.Errorf("%w: %s", queue.ErrNoTopic, ask.Topic)
	}
	mode := s.requestMode(ask.Topic, ask.Group)
	var clients []string
	for _, one := range s.members.clients(ask.Group) {
		clients = append(clients, one.client)
	}
	var queues []int
	switch {
	case ask.Model == "BROADCASTING":
		for i := range topic.ReadQueues {
			queues = append(queues, i)
		}
	case mode.Mode == modePop:
		queues = sharePop(topic.ReadQueues, clients, ask.Client, mode.Share, ask.Strategy == inTurn)
	default:
		queues = share(topic.ReadQueues, clients, ask.Client, ask.Strategy == inTurn)
	}
	type assignment struct {
		Attachments map[string]string `json:"attachments"`
		Queue       messageQueue      `json:"messageQueue"`
		Mode        string            `json:"mode"`
	}
	list := []assignment{}
	for _, i := range queues {
		list = append(list, assignment{map[string]string{}, messageQueue{ask.Topic, s.options.Name, i}, mode.Mode})
	}
	body, err := jsonBody(struct {
		Queues []assignment `json:"messageQueueAssignments"`
	}{list})
	return answer{body: body}, err
}

const (
	modePull = "PULL"
	modePop  = "POP"
	inTurn   = "AVG_BY_CIRCLE"
	modeNote = "mode" // the kind of notes that say how a group asks for a topic's messages
)

// requestMode is how a group asks for a topic's messages.
type requestMode struct {
	Group string `json:"consumerGroup"`
	Mode  string `json:"mode"`
	Share int    `json:"popShareQueueNum"`
	Topic string `json:"topic"`
}

func (s *Server) setRequestMode(r *request) (answer, error) {
	var mode requestMode
	if err := r.decode(&mode); err != nil {
		return answer{}, err
	}
	switch {
	case mode.Topic == "" || mode.Group == "" || mode.Mode != modePull && mode.Mode != modePop:
		return answer{}, refuse(remoting.InvalidParameter, "a topic, a group and the mode PULL or POP are needed")
	case strings.HasPrefix(mode.Topic, queue.RetryPrefix):
		return answer{}, refuse(remoting.NoPermission, "retry topic is not allowed to set mode")
	}
	if err := s.queues.PutNote(r.ctx, fmt.Sprintf("%s %d", mode.Mode, mode.Share), modeNote, mode.Topic, mode.Group); err != nil {
		return answer{}, err
	}
	s.changes.note(s.now())
	return answer{}, nil
}

func (s *Server) requestMode(topic, group string) requestMode {
	mode := requestMode{Group: group, Mode: modePull, Topic: topic}
	if text, known := s.queues.Note(modeNote, topic, group); known {
		mode.read(text)
	}
	return mode
}

func (m *requestMode) read(text string) {
	mode, share, _ := strings.Cut(text, " ")
	m.Mode = mode
	if n, err := parseInt(share); err == nil {
		m.Share = int(n)
	}
}

func (s *Server) requestModes(*request) (answer, error) {
	table := make(map[string]map[string]requestMode)
	for _, one := range s.queues.Notes(modeNote) {
		if len(one.Parts) != 3 {
			continue
		}
		mode := requestMode{Topic: one.Parts[1], Group: one.Parts[2]}
		mode.read(one.Text)
		if table[mode.Topic] == nil {
			table[mode.Topic] = make(map[string]requestMode)
		}
		table[mode.Topic][mode.Group] = mode
	}
	body, err := jsonBody(struct {
		Version dataVersion                       `json:"dataVersion"`
		Modes   map[string]map[string]requestMode `json:"messageRequestModeMap"`
	}{s.changes.version(), table})
	return answer{body: body}, err
}

// share gives the queues of one of the clients: neighbours, or every so many-th. All clients and all brokers
// reckon alike.
func share(queues int, clients []string, client string, turns bool) (mine []int) {
	index := slices.Index(clients, client)
	if index < 0 {
		return nil
	}
	if turns {
		for i := index; i < queues; i += len(clients) {
			mine = append(mine, i)
		}
		return mine
	}
	each, more := queues/len(clients), queues%len(clients)
	from := index*each + min(index, more)
	if index < more {
		each++
	}
	for i := from; i < from+each; i++ {
		mine = append(mine, i)
	}
	return mine
}

// sharePop gives the queues that a client pops from: its own and those of so many clients behind it, or all.
func sharePop(queues int, clients []string, client string, others int, turns bool) (mine []int) {
	index := slices.Index(clients, client)
	switch {
	case index < 0:
		return nil
	case others <= 0 || others >= len(clients)-1:
		return []int{-1}
	case len(clients) > queues:
		return []int{index % queues}
	}
	for i := range others + 1 {
		mine = append(mine, share(queues, clients, clients[(index+i)%len(clients)], turns)...)
	}
	return mine
}
