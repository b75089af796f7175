// Package rocketmq is the uplink to a cluster of Apache RocketMQ. It speaks the classic remoting
// protocol with gateway/remoting. It hides name servers and routes, which queue a message belongs to,
// what a broker's codes mean for the message and the line, and how an MQTT message looks to RocketMQ.
package rocketmq

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"sluice/bridge/dial"
	"sluice/gateway/message"
)

// Options are the uplink's part of the configuration.
type Options struct {
	NameServers   []string `yaml:"name_servers" required:"true" doc:"the cluster's name servers, host:port, each tried in turn when the one before does not work"`
	Secured       bool     `yaml:"secured" doc:"whether name servers and brokers are spoken to over TLS"`
	AccessKey     string   `yaml:"access_key" doc:"the access key (ACL 1.0) or user name (ACL 2.0), if the cluster wants one"`
	SecretKeyFile string   `yaml:"secret_key_file" path:"secret" doc:"file that holds the secret key that requests are signed with; read at every connection"`
	Group         string   `yaml:"group" doc:"the producer group, and the consumer group of what is received; default: sluice- and the gateway's name"`
	dial.Options  `yaml:",inline"`
	SendTimeout   time.Duration `yaml:"send_timeout" doc:"how long a broker may take for its answer to a batch that has arrived"`
	Batch         Batch         `yaml:"batch" doc:"how many messages share a request"`
	TestTopic     string        `yaml:"test_topic" doc:"where a test of the uplink publishes its message; default: sluice/test/ and the gateway's name"`
}

// Batch says how messages are gathered.
type Batch struct {
	Count    int           `yaml:"count" min:"1" max:"10000" doc:"messages of one request at most"`
	Bytes    int           `yaml:"bytes" min:"1024" max:"3145728" doc:"bytes of one request at most, but for a larger message, which goes alone; brokers take 4 MiB"`
	Linger   time.Duration `yaml:"linger" doc:"how long a message may wait for company"`
	Parallel int           `yaml:"parallel" min:"1" max:"64" doc:"requests under way at most; messages of one topic are never in two of them"`
}

const (
	longestGroup = 120 // characters, as Java's CLIGroup validates
	longestTopic = 127 // characters that every broker takes
)

// DefaultOptions is what a configuration begins with.
func DefaultOptions() Options {
	return Options{
		Options: dial.Default(), SendTimeout: 10 * time.Second,
		Batch: Batch{Count: 500, Bytes: 1 << 20, Linger: 2 * time.Millisecond, Parallel: 8},
	}
}

// Validate reports every mistake that can be seen without a network or a file.
func (o *Options) Validate(report func(path, problem string)) {
	if len(o.NameServers) == 0 {
		report("name_servers", "is missing: write host:port of at least one")
	}
	for i, address := range o.NameServers {
		if err := checkAddress(address); err != nil {
			report(fmt.Sprintf("name_servers[%d]", i), err.Error())
		}
	}
	if o.TLS.Given() && !o.Secured {
		report("tls", "is of no use without secured: true")
	}
	if (o.AccessKey == "") != (o.SecretKeyFile == "") {
		report("access_key", "and secret_key_file belong together")
	}
	if o.Group != "" && (len(o.Group) > longestGroup || topicName(o.Group) != o.Group) {
		report("group", fmt.Sprintf("is %q; letters, digits, _, -, | and %% are possible, %d of them at most", o.Group, longestGroup))
	}
	o.Options.Validate(report)
	if o.SendTimeout <= 0 {
		report("send_timeout", fmt.Sprintf("is %s; it must be longer than 0s", o.SendTimeout))
	}
	if o.Batch.Count < 1 || o.Batch.Count > 10_000 {
		report("batch.count", fmt.Sprintf("is %d; from 1 to 10000 is possible", o.Batch.Count))
	}
	if o.Batch.Bytes < 1024 || o.Batch.Bytes > 3<<20 {
		report("batch.bytes", fmt.Sprintf("is %d; from 1024 to 3145728 is possible", o.Batch.Bytes))
	}
	if o.Batch.Linger < 0 || o.Batch.Linger > time.Minute {
		report("batch.linger", fmt.Sprintf("is %s; from 0s to 1m is possible", o.Batch.Linger))
	}
	if o.Batch.Parallel < 1 || o.Batch.Parallel > 64 {
		report("batch.parallel", fmt.Sprintf("is %d; from 1 to 64 is possible", o.Batch.Parallel))
	}
	if o.TestTopic != "" {
		if err := message.CheckTopic(o.TestTopic); err != nil {
			report("test_topic", err.Error())
		}
	}
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return fmt.Errorf("is %q; write host:port", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("has the port %q; write a number from 1 to 65535", port)
	}
	return nil
}
