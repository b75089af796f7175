// Package remote is a RocketMQ client for those who measure.
package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"sluice/gateway/remoting"
)

// Conn is a connection to a broker or a name server, for those who measure. It does what Apache's tools cannot:
// create a topic, count what is stored, send at a given rate and pull as fast as it goes. Its methods may be called from
// several goroutines.
type Conn struct {
	conn net.Conn
	gone chan struct{} // closed when nothing is read any longer

	mu      sync.Mutex // guards what follows, and writing
	last    int32
	waiting map[int32]func(*remoting.Command, error)
	out     []byte
	broken  error
}

// javaVersion is the ordinal of release 5.5.0.
const javaVersion = 493

// Dial connects within 5 s.
func Dial(address string) (*Conn, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn, gone: make(chan struct{}), waiting: make(map[int32]func(*remoting.Command, error))}
	go c.read()
	return c, nil
}

// Close ends the connection and waits for its reader.
func (c *Conn) Close() {
	c.conn.Close()
	<-c.gone
}

func (c *Conn) read() {
	defer close(c.gone)
	r := bufio.NewReaderSize(c.conn, 256<<10)
	for {
		answer := new(remoting.Command)
		if err := remoting.Read(r, remoting.MaxFrame, answer); err != nil {
			c.fail(err)
			return
		}
		if !answer.Response() {
			continue // what a server asks of consumers
		}
		c.mu.Lock()
		done := c.waiting[answer.Opaque]
		delete(c.waiting, answer.Opaque)
		c.mu.Unlock()
		if done != nil {
			done(answer, nil)
		}
	}
}

// fail tells everybody who waits.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	waiting := c.waiting
	c.waiting, c.broken = nil, err
	c.mu.Unlock()
	for _, done := range waiting {
		done(nil, err)
	}
}

// Send writes a request; done is called once, with the answer.
func (c *Conn) Send(code int, body []byte, fields remoting.Fields, done func(*remoting.Command, error)) {
	c.mu.Lock()
	if c.broken != nil {
		err := c.broken
		c.mu.Unlock()
		done(nil, err)
		return
	}
	c.last++
	request := remoting.Command{Code: code, Language: remoting.LanguageJava, Version: javaVersion, Opaque: c.last, Ext: fields, Body: body, Binary: true}
	frame, err := request.Append(c.out[:0])
	if err == nil {
		c.out = frame
		c.waiting[c.last] = done
		_, err = c.conn.Write(frame)
		if err != nil {
			delete(c.waiting, c.last)
		}
	}
	c.mu.Unlock()
	if err != nil {
		done(nil, err)
	}
}

// Call waits for the answer, whose code must be 0, for 30 s at most.
func (c *Conn) Call(ctx context.Context, code int, body []byte, fields remoting.Fields) (*remoting.Command, error) {
	type result struct {
		answer *remoting.Command
		err    error
	}
	got := make(chan result, 1)
	c.Send(code, body, fields, func(answer *remoting.Command, err error) { got <- result{answer, err} })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(30 * time.Second):
		return nil, fmt.Errorf("%s: no answer in 30 s", remoting.RequestName(code))
	case r := <-got:
		if r.err == nil && r.answer.Code != 0 {
			r.err = fmt.Errorf("%s: code %d: %s", remoting.RequestName(code), r.answer.Code, r.answer.Remark)
		}
		return r.answer, r.err
	}
}

// CreateTopic makes a topic at a broker, and returns once the name server tells producers about it.
func CreateTopic(ctx context.Context, broker, nameServer, topic string, queues int) error {
	c, err := Dial(broker)
	if err != nil {
		return err
	}
	defer c.Close()
	count := strconv.Itoa(queues)
	_, err = c.Call(ctx, remoting.UpdateAndCreateTopic, nil, remoting.Fields{{Name: "topic", Value: topic}, {Name: "defaultTopic", Value: "TBW102"},
		{Name: "readQueueNums", Value: count}, {Name: "writeQueueNums", Value: count}, {Name: "perm", Value: "6"},
		{Name: "topicFilterType", Value: "SINGLE_TAG"}, {Name: "topicSysFlag", Value: "0"}, {Name: "order", Value: "false"}})
	if err != nil {
		return err
	}
	names, err := Dial(nameServer)
	if err != nil {
		return err
	}
	defer names.Close()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, err := names.Call(ctx, remoting.GetRouteInfoByTopic, nil, remoting.Fields{{Name: "topic", Value: topic}})
		if err == nil || ctx.Err() != nil {
			return err
		}
		if time.Since(began) > 30*time.Second {
			return fmt.Errorf("nobody learns of topic %s: %w", topic, err)
		}
	}
}

// Stored counts the messages of a topic's queues.
func (c *Conn) Stored(ctx context.Context, topic string, queues int) (total int64, err error) {
	for queue := range queues {
		answer, err := c.Call(ctx, remoting.GetMaxOffset, nil, remoting.Fields{{Name: "topic", Value: topic}, {Name: "queueId", Value: strconv.Itoa(queue)}})
		if err != nil {
			return 0, err
		}
		next, err := strconv.ParseInt(answer.Ext.Get("offset"), 10, 64)
		if err != nil {
			return 0, errors.Join(fmt.Errorf("queue %d of %s", queue, topic), err)
		}
		total += next
	}
	return total, nil
}

// Rewind makes a group that begins with the first message of a topic's queues.
func (c *Conn) Rewind(ctx context.Context, group, topic string, queues int) error {
	made := fmt.Sprintf(`{"groupName":%q,"consumeEnable":true,"consumeFromMinEnable":true,"consumeBroadcastEnable":true,"retryQueueNums":1,"retryMaxTimes":16,"brokerId":0}`, group)
	if _, err := c.Call(ctx, remoting.UpdateAndCreateSubscriptionGroup, []byte(made), nil); err != nil {
		return err
	}
	for queue := range queues {
		if _, err := c.Call(ctx, remoting.UpdateConsumerOffset, nil, remoting.Fields{{Name: "consumerGroup", Value: group}, {Name: "topic", Value: topic},
			{Name: "queueId", Value: strconv.Itoa(queue)}, {Name: "commitOffset", Value: "0"}}); err != nil {
			return err
		}
	}
	return nil
}
