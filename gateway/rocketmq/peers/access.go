package main

import (
	"os"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// signedRequests is for a broker that lets in who has the keys of the environment, and nobody else.
func signedRequests(p *play) {
	right := primitive.Credentials{AccessKey: os.Getenv("ACCESS_KEY"), SecretKey: os.Getenv("SECRET_KEY")}
	keys = right
	topic := p.own("topic") // made by the first sending: the admin client does not sign what it asks a name server
	for _, s := range []struct {
		name string
		keys primitive.Credentials
	}{
		{"the right keys", right}, {"a wrong secret", primitive.Credentials{AccessKey: right.AccessKey, SecretKey: "not the secret"}},
		{"an unknown access key", primitive.Credentials{AccessKey: "nobody at all", SecretKey: right.SecretKey}}, {"no keys", primitive.Credentials{}},
	} {
		// The other clients of this process give a route to those that get none from a name server that asks
		// for keys as well, so each has its own words.
		c := p.producer(producer.WithCredentials(s.keys), producer.WithRetry(0), producer.WithGroupName(p.own("producers")), producer.WithDefaultTopicQueueNums(1))
		r, err := c.SendSync(background, primitive.NewMessage(topic, []byte(s.name)).WithTag("t"))
		p.saw("sent with "+s.name, p.outcome(s.name, r, err))
	}
	time.Sleep(quiet) // for the name server to hear of the topic
	b := newInbox()
	p.push(p.own("consumers"), topic, everything, into(b))
	p.saw("consumed", bodies(b.await(1)))
	other := newInbox()
	keys = primitive.Credentials{AccessKey: right.AccessKey, SecretKey: "not the secret"}
	p.push(p.own("intruders"), topic, everything, into(other))
	p.saw("consumed with a wrong secret", bodies(other.awaitFor(1, quiet, quiet)))
}
