package rocketmq_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"sluice/gateway/remoting"
)

// patience is how long an answer that must come may take.
const patience = 20 * time.Second

// hush is how long nothing comes when nothing shall come.
const hush = 700 * time.Millisecond

// unique tells apart what tests make at one broker.
var unique atomic.Int64

func ownName(what string) string {
	return fmt.Sprintf("probe-%s-%d-%d", what, os.Getpid(), unique.Add(1))
}

// caller is a client that sends any bytes.
type caller struct {
	t      *testing.T
	conn   net.Conn
	r      *bufio.Reader
	opaque int32
}

func call(t *testing.T, address string) *caller {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &caller{t: t, conn: conn, r: bufio.NewReader(conn), opaque: 100}
}

func (c *caller) write(b []byte) {
	c.t.Helper()
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(b); err != nil {
		c.t.Logf("write: %v", err) // the other side may have closed already, which reading says
	}
}

// read waits for a frame. It returns what came instead as text.
func (c *caller) read(most time.Duration) (got *remoting.Command, otherwise string) {
	c.conn.SetReadDeadline(time.Now().Add(most))
	got = &remoting.Command{}
	err := remoting.Read(c.r, remoting.MaxFrame, got)
	var timeout net.Error
	switch {
	case err == nil:
		return got, ""
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, "silence"
	default:
		return nil, "closed"
	}
}

// outcome is what an answer comes down to. Requests of the other side are passed over.
func (c *caller) outcome(most time.Duration) string {
	for {
		got, otherwise := c.read(most)
		if got == nil {
			return otherwise
		}
		if got.Response() {
			return fmt.Sprintf("code %d", got.Code)
		}
	}
}

// ask sends a request and waits for its answer, past requests of the other side.
func (c *caller) ask(request *remoting.Command) *remoting.Command {
	c.t.Helper()
	c.opaque++
	request.Opaque = c.opaque
	c.write(frame(request))
	for {
		got, otherwise := c.read(patience)
		if got == nil {
			c.t.Fatalf("request %d to %s: %s", request.Code, c.conn.RemoteAddr(), otherwise)
		}
		if got.Response() && got.Opaque == request.Opaque {
			return got
		}
	}
}

// must is for requests that only prepare the test.
func (c *caller) must(request *remoting.Command) *remoting.Command {
	c.t.Helper()
	got := c.ask(request)
	if got.Code != remoting.Success {
		c.t.Fatalf("request %d: code %d, %s", request.Code, got.Code, got.Remark)
	}
	return got
}

// request makes one of name and value pairs.
func request(code int, pairs ...string) *remoting.Command {
	c := &remoting.Command{Code: code, Language: remoting.LanguageJava, Version: 479, Opaque: 1}
	for pair := range slices.Chunk(pairs, 2) {
		c.Ext.Set(pair[0], pair[1])
	}
	return c
}

func frame(c *remoting.Command) []byte {
	b, err := c.Append(nil)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return b
}

// with changes a request, or leaves a field out where the value is absent.
func with(c *remoting.Command, name, value string) *remoting.Command {
	if value == absentField {
		c.Ext = slices.DeleteFunc(c.Ext, func(f remoting.Field) bool { return f.Name == name })
		return c
	}
	c.Ext.Set(name, value)
	return c
}

const absentField = "\x00absent"

func withBody(c *remoting.Command, body []byte) *remoting.Command {
	c.Body = body
	return c
}

func inBinary(c *remoting.Command) *remoting.Command {
	c.Binary = true
	return c
}

// rawFrame has lengths that are right around a header that need not be.
func rawFrame(serialisation byte, header, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(body)))
	b = append(b, serialisation, byte(len(header)>>16), byte(len(header)>>8), byte(len(header)))
	return append(append(b, header...), body...)
}

// sending is a good request 10.
func sending(topic, body string) *remoting.Command {
	return withBody(request(remoting.SendMessage, "producerGroup", "probe-producers", "topic", topic, "defaultTopic", "TBW102", "defaultTopicQueueNums", "4",
		"queueId", "0", "sysFlag", "0", "bornTimestamp", strconv.FormatInt(time.Now().UnixMilli(), 10), "flag", "0", "properties", "",
		"reconsumeTimes", "0", "unitMode", "false", "batch", "false"), []byte(body))
}

// pulling is a good request 11 that is not held and brings its own subscription.
func pulling(group, topic string, offset int64) *remoting.Command {
	return request(remoting.PullMessage, "consumerGroup", group, "topic", topic, "queueId", "0", "queueOffset", strconv.FormatInt(offset, 10),
		"maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0", "suspendTimeoutMillis", "1000", "subscription", "*", "subVersion", "0", "expressionType", "TAG")
}

// makeTopic makes a topic of 4 queues with a message, as producers do, and waits until the name server knows.
func makeTopic(t *testing.T, at target) string {
	t.Helper()
	topic := ownName("topic")
	call(t, at.broker).must(sending(topic, "first"))
	names := call(t, at.nameServer)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if names.ask(request(remoting.GetRouteInfoByTopic, "topic", topic)).Code == remoting.Success {
			return topic
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no route to %s", topic)
		}
	}
}
