// Command clients plays a stock MQTT 5 client against a broker: eclipse/paho.golang. It is a module of
// its own so that the product does not depend on it. The test that starts it is in the folder above.
//
//	clients HOST:PORT PREFIX
//
// It ends with 0 when everything came as it should, and else says what did not.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: clients HOST:PORT PREFIX")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	s := script{ctx: ctx, address: os.Args[1], prefix: os.Args[2]}
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"messages of every QoS", s.everyQoS}, {"retained messages", s.retained}, {"a will", s.will},
		{"a session over two connections", s.session}, {"properties", s.properties}, {"aliases", s.aliases},
		{"a refusal", s.refusal}, {"a shared subscription", s.shared},
	} {
		if err := step.run(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", step.name, err)
			os.Exit(1)
		}
		fmt.Println("ok:", step.name)
	}
}

type script struct {
	ctx             context.Context
	address, prefix string
}

// client is a connection and what came over it.
type client struct {
	*paho.Client
	s        *script
	conn     net.Conn
	messages chan *paho.Publish
	connack  *paho.Connack
}

func (s *script) connect(edit func(*paho.Connect, *paho.ClientConfig)) (*client, error) {
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		return nil, err
	}
	c := &client{s: s, conn: conn, messages: make(chan *paho.Publish, 100)}
	config := paho.ClientConfig{Conn: conn, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(got paho.PublishReceived) (bool, error) {
			c.messages <- got.Packet
			return true, nil
		},
	}}
	connect := &paho.Connect{CleanStart: true, KeepAlive: 30, Properties: &paho.ConnectProperties{RequestProblemInfo: true}}
	if edit != nil {
		edit(connect, &config)
	}
	c.Client = paho.NewClient(config)
	if c.connack, err = c.Connect(s.ctx, connect); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return c, nil
}

func (c *client) subscribe(filter string, qos byte, edit ...func(*paho.Subscribe)) error {
	request := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}}
	for _, e := range edit {
		e(request)
	}
	got, err := c.Subscribe(c.s.ctx, request)
	if err == nil && !bytes.Equal(got.Reasons, []byte{qos}) {
		err = fmt.Errorf("the reasons are %x", got.Reasons)
	}
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", filter, err)
	}
	return nil
}

func (c *client) publish(topic, payload string, qos byte, edit ...func(*paho.Publish)) error {
	p := &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: qos}
	for _, e := range edit {
		e(p)
	}
	if _, err := c.Publish(c.s.ctx, p); err != nil {
		return fmt.Errorf("publish on %s: %w", topic, err)
	}
	return nil
}

func (c *client) expect(payload string, qos byte) (*paho.Publish, error) {
	select {
	case got := <-c.messages:
		if string(got.Payload) != payload || got.QoS != qos {
			return got, fmt.Errorf("got %q with QoS %d, want %q with %d", got.Payload, got.QoS, payload, qos)
		}
		return got, nil
	case <-time.After(10 * time.Second):
		return nil, fmt.Errorf("%q did not come", payload)
	}
}

func (s *script) everyQoS() error {
	c, err := s.connect(nil)
	if err != nil {
		return err
	}
	if c.connack.Properties.AssignedClientID == "" {
		return fmt.Errorf("no client identifier was assigned")
	}
	if err := c.subscribe(s.prefix+"/qos/#", 2); err != nil {
		return err
	}
	for i := range 30 {
		if err := c.publish(fmt.Sprint(s.prefix, "/qos/", i%2), fmt.Sprint(i), byte(i%3)); err != nil {
			return err
		}
		if _, err := c.expect(fmt.Sprint(i), byte(i%3)); err != nil {
			return err
		}
	}
	if got, err := c.Unsubscribe(s.ctx, &paho.Unsubscribe{Topics: []string{s.prefix + "/qos/#"}}); err != nil || got.Reasons[0] != 0 {
		return fmt.Errorf("unsubscribe: %v, %w", got, err)
	}
	return c.Disconnect(&paho.Disconnect{})
}

func (s *script) retained() error {
	c, err := s.connect(nil)
	if err != nil {
		return err
	}
	topic := s.prefix + "/retained"
	keep := func(p *paho.Publish) { p.Retain = true }
	if err := c.publish(topic, "kept", 1, keep); err != nil {
		return err
	}
	if err := c.subscribe(topic, 1, func(r *paho.Subscribe) { r.Subscriptions[0].RetainAsPublished = true }); err != nil {
		return err
	}
	if got, err := c.expect("kept", 1); err != nil || !got.Retain {
		return fmt.Errorf("RETAIN is %v: %w", got != nil && got.Retain, err)
	}
	if err := c.publish(topic, "", 1, keep); err != nil {
		return err
	}
	_, err = c.expect("", 1)
	return err
}

func (s *script) will() error {
	watch, err := s.connect(nil)
	if err != nil {
		return err
	}
	topic := s.prefix + "/will"
	if err := watch.subscribe(topic, 2); err != nil {
		return err
	}
	lost, err := s.connect(func(c *paho.Connect, _ *paho.ClientConfig) {
		c.WillMessage = &paho.WillMessage{Topic: topic, Payload: []byte("gone"), QoS: 2}
		c.WillProperties = &paho.WillProperties{User: paho.UserProperties{{Key: "a", Value: "b"}}} // it drops others
	})
	if err != nil {
		return err
	}
	lost.conn.Close()
	got, err := watch.expect("gone", 2)
	if err == nil && got.Properties.User.Get("a") != "b" {
		err = fmt.Errorf("the will's user properties are %v", got.Properties.User)
	}
	return err
}

func (s *script) session() error {
	kept := state.NewInMemory()
	resume := func(c *paho.Connect, config *paho.ClientConfig) {
		expiry := uint32(60)
		c.ClientID, c.CleanStart = s.prefix+"-session", false
		c.Properties.SessionExpiryInterval = &expiry
		config.Session = kept
	}
	c, err := s.connect(resume)
	if err != nil {
		return err
	}
	if err := c.subscribe(s.prefix+"/session", 2); err != nil {
		return err
	}
	if err := c.Disconnect(&paho.Disconnect{}); err != nil {
		return err
	}
	other, err := s.connect(nil)
	if err != nil {
		return err
	}
	for i := range 20 {
		if err := other.publish(s.prefix+"/session", fmt.Sprint(i), byte(1+i%2)); err != nil {
			return err
		}
	}
	if c, err = s.connect(resume); err != nil {
		return err
	}
	if !c.connack.SessionPresent {
		return fmt.Errorf("the session is gone")
	}
	next := map[byte]int{1: 0, 2: 1} // each QoS has its own order
	for range 20 {
		select {
		case got := <-c.messages:
			if string(got.Payload) != fmt.Sprint(next[got.QoS]) {
				return fmt.Errorf("got %q with QoS %d, want %d", got.Payload, got.QoS, next[got.QoS])
			}
			next[got.QoS] += 2
		case <-time.After(10 * time.Second):
			return fmt.Errorf("they did not all come")
		}
	}
	end := uint32(0)
	return c.Disconnect(&paho.Disconnect{Properties: &paho.DisconnectProperties{SessionExpiryInterval: &end}})
}

func (s *script) properties() error {
	c, err := s.connect(nil)
	if err != nil {
		return err
	}
	number := 300
	if err := c.subscribe(s.prefix+"/properties", 1, func(r *paho.Subscribe) {
		r.Properties = &paho.SubscribeProperties{SubscriptionIdentifier: &number}
	}); err != nil {
		return err
	}
	expiry, format := uint32(100), byte(1)
	pairs := paho.UserProperties{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "a", Value: "3"}}
	if err := c.publish(s.prefix+"/properties", "x", 1, func(p *paho.Publish) {
		p.Properties = &paho.PublishProperties{ResponseTopic: "answers", CorrelationData: []byte{0, 255}, ContentType: "text",
			MessageExpiry: &expiry, PayloadFormat: &format, User: pairs}
	}); err != nil {
		return err
	}
	got, err := c.expect("x", 1)
	if err != nil {
		return err
	}
	p := got.Properties
	if p.ResponseTopic != "answers" || !bytes.Equal(p.CorrelationData, []byte{0, 255}) || p.ContentType != "text" || p.MessageExpiry == nil ||
		*p.MessageExpiry > 100 || p.PayloadFormat == nil || *p.PayloadFormat != 1 || !slices.Equal(p.User, pairs) ||
		p.SubscriptionIdentifier == nil || *p.SubscriptionIdentifier != 300 {
		return fmt.Errorf("the properties came as %+v", p)
	}
	return nil
}

func (s *script) aliases() error {
	c, err := s.connect(nil)
	if err != nil {
		return err
	}
	if err := c.subscribe(s.prefix+"/alias", 1); err != nil {
		return err
	}
	alias := uint16(1)
	for i, topic := range []string{s.prefix + "/alias", "", ""} {
		if err := c.publish(topic, fmt.Sprint(i), 1, func(p *paho.Publish) { p.Properties = &paho.PublishProperties{TopicAlias: &alias} }); err != nil {
			return err
		}
		if got, err := c.expect(fmt.Sprint(i), 1); err != nil || got.Topic != s.prefix+"/alias" {
			return fmt.Errorf("it came on %v: %w", got, err)
		}
	}
	return nil
}

func (s *script) refusal() error {
	c, err := s.connect(nil)
	if err != nil {
		return err
	}
	got, err := c.Subscribe(s.ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "test/nosubscribe", QoS: 1}}})
	if got == nil || len(got.Reasons) != 1 || got.Reasons[0] < 0x80 {
		return fmt.Errorf("a denied filter was answered with %+v, %v", got, err)
	}
	return nil
}

func (s *script) shared() error {
	counts := make(chan string, 100)
	for range 2 {
		c, err := s.connect(nil)
		if err != nil {
			return err
		}
		if err := c.subscribe("$share/group/"+s.prefix+"/shared", 1); err != nil {
			return err
		}
		go func() {
			for m := range c.messages {
				counts <- string(m.Payload)
			}
		}()
	}
	c, err := s.connect(nil)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for i := range 20 {
		if err := c.publish(s.prefix+"/shared", fmt.Sprint(i), 1); err != nil {
			return err
		}
		select {
		case got := <-counts:
			seen[got]++
		case <-time.After(10 * time.Second):
			return fmt.Errorf("message %d did not come", i)
		}
	}
	if len(seen) != 20 {
		return fmt.Errorf("20 messages came as %v", seen)
	}
	return nil
}
