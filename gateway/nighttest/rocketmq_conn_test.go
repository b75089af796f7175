//go:build linux

package nighttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"sync"

	"sluice/gateway/remoting"
)

// rocketConn is a client's connection: many requests under way, answers in any order.
type rocketConn struct {
	socket net.Conn
	asked  func(*remoting.Command) // what the gateway asks; on the goroutine that reads
	ended  chan struct{}           // closed once nothing is read any more

	writing sync.Mutex // held while a frame is written
	mu      sync.Mutex // guards what follows
	waits   map[int32]func(*remoting.Command)
	opaque  int32
}

// rocketVersion is from when on clients say how often a message may be given back.
const rocketVersion = 400

// newRocketConn reads until the connection ends.
func newRocketConn(socket net.Conn, asked func(*rocketConn, *remoting.Command)) *rocketConn {
	c := &rocketConn{socket: socket, ended: make(chan struct{}), waits: make(map[int32]func(*remoting.Command))}
	c.asked = func(request *remoting.Command) {
		if asked != nil {
			asked(c, request)
		}
	}
	go c.read()
	return c
}

func (c *rocketConn) read() {
	defer close(c.ended)
	defer c.socket.Close()
	in := bufio.NewReader(c.socket)
	for {
		frame := new(remoting.Command)
		if remoting.Read(in, remoting.MaxFrame, frame) != nil {
			return
		}
		if !frame.Response() {
			c.asked(frame)
			continue
		}
		c.mu.Lock()
		then := c.waits[frame.Opaque]
		delete(c.waits, frame.Opaque)
		c.mu.Unlock()
		if then != nil {
			then(frame)
		}
	}
}

// send writes a request; then is called with its answer, on the goroutine that reads. A nil then makes it
// one-way. It is false once the connection has ended.
func (c *rocketConn) send(code int, ext remoting.Fields, body []byte, then func(*remoting.Command)) bool {
	request := remoting.Command{Code: code, Version: rocketVersion, Language: remoting.LanguageGo, Ext: ext, Body: body}
	c.mu.Lock()
	c.opaque++
	request.Opaque = c.opaque
	if then != nil {
		c.waits[c.opaque] = then
	} else {
		request.Flag = remoting.FlagOneway
	}
	c.mu.Unlock()
	b, err := request.Append(nil)
	if err != nil {
		panic("bug: " + err.Error())
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err = c.socket.Write(b)
	return err == nil
}

// call waits for the answer; nil says that the connection has ended.
func (c *rocketConn) call(code int, ext remoting.Fields, body []byte) *remoting.Command {
	heard := make(chan *remoting.Command, 1)
	if !c.send(code, ext, body, func(answer *remoting.Command) { heard <- answer }) {
		return nil
	}
	select {
	case answer := <-heard:
		return answer
	case <-c.ended:
		return nil
	}
}

// close ends the connection and waits for the goroutine that reads.
func (c *rocketConn) close() {
	c.socket.Close()
	<-c.ended
}

// rocketFields makes fields of names and values in turn.
func rocketFields(pairs ...any) (list remoting.Fields) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, remoting.Field{Name: pairs[i].(string), Value: fmt.Sprint(pairs[i+1])})
	}
	return list
}

func rocketJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return b
}

// heartbeat makes the connection one of a member of groups; a consumer's is subscribed to all of the topics.
func (c *rocketConn) heartbeat(client, producers, consumers string, topics ...string) bool {
	beat := map[string]any{"clientID": client}
	if producers != "" {
		beat["producerDataSet"] = []any{map[string]any{"groupName": producers}}
	}
	if consumers != "" {
		var subscriptions []any
		for _, topic := range topics {
			subscriptions = append(subscriptions, map[string]any{"topic": topic, "subString": "*", "expressionType": "TAG", "subVersion": 1, "tagsSet": []string{}, "codeSet": []int{}})
		}
		beat["consumerDataSet"] = []any{map[string]any{
			"groupName": consumers, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING", "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "subscriptionDataSet": subscriptions,
		}}
	}
	answer := c.call(remoting.HeartBeat, nil, rocketJSON(beat))
	return answer != nil && answer.Code == remoting.Success
}

// rocketPlace is a queue.
type rocketPlace struct {
	topic string
	queue int
}

// offset asks where a group goes on: 0 when it never was there. ok is false when the connection has ended.
func (c *rocketConn) offset(group string, at rocketPlace) (next int64, ok bool) {
	answer := c.call(remoting.QueryConsumerOffset, rocketFields("consumerGroup", group, "topic", at.topic, "queueId", at.queue), nil)
	if answer == nil {
		return 0, false
	}
	next, _ = strconv.ParseInt(answer.Ext.Get("offset"), 10, 64)
	return next, answer.Code == remoting.Success || answer.Code == remoting.QueryNotFound
}

// pull asks for messages, which are nil when there are none, and gives where to go on.
func (c *rocketConn) pull(group string, at rocketPlace, from int64, flags int, wait int, commit int64) (list []remoting.Stored, next int64, answer *remoting.Command) {
	answer = c.call(remoting.PullMessage, rocketFields("consumerGroup", group, "topic", at.topic, "queueId", at.queue, "queueOffset", from, "maxMsgNums", 32,
		"sysFlag", flags, "commitOffset", commit, "suspendTimeoutMillis", wait, "subscription", "*", "subVersion", 1), nil)
	if answer == nil {
		return nil, from, nil
	}
	next, err := strconv.ParseInt(answer.Ext.Get("nextBeginOffset"), 10, 64)
	if err != nil {
		next = from
	}
	return rocketMessages(answer.Body), next, answer
}

// rocketMessages takes an answer's body apart, as far as it can be read.
func rocketMessages(body []byte) (list []remoting.Stored) {
	for len(body) > 0 {
		m, rest, err := remoting.ParseStored(body)
		if err != nil {
			return list
		}
		list, body = append(list, m), rest
	}
	return list
}
