// Package kafka is the uplink to Apache Kafka and what speaks its protocol. It hides franz-go: which
// of its errors are about one record and which about the line, and how its batches are kept from
// overtaking one that the broker refuses.
package kafka

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/bridge/dial"
	"sluice/gateway/config"
)

// What Options.Key may be.
const (
	keyTopic  = "topic"
	keyDevice = "device"
)

const (
	// smallestBatch is the least that max_batch may be.
	smallestBatch = 16 << 10
	// largestBatch is the most: a broker takes no request above socket.request.max.bytes.
	largestBatch = 64 << 20
	defaultPort  = "9092"
)

// Options are the uplink's part of the configuration.
type Options struct {
	Address      string        `yaml:"address" required:"true" doc:"some of the brokers, separated by commas: tcp://host:port or ssl://host:port; they tell where the others are"`
	ClientID     string        `yaml:"client_id" doc:"how the gateway calls itself there; default: the gateway's name"`
	Key          string        `yaml:"key" enum:"topic,device" doc:"what becomes the record's key, and so decides about its partition: the topic that the message has in the gateway, or its device (a message of no device: its topic)"`
	SASL         SASL          `yaml:"sasl" doc:"login, if the brokers want one"`
	Compression  string        `yaml:"compression" enum:"none,gzip,snappy,lz4,zstd" doc:"of a batch"`
	Linger       time.Duration `yaml:"linger" doc:"how long a message waits for others that share its batch"`
	MaxBatch     config.Size   `yaml:"max_batch" doc:"the largest batch, and so the largest message; the brokers' message.max.bytes must allow it"`
	CreateTopics bool          `yaml:"create_topics" doc:"ask the brokers to create topics that do not exist"`
	TestTopic    string        `yaml:"test_topic" doc:"topic that a test of this uplink writes to"`
	AckTimeout   time.Duration `yaml:"ack_timeout" doc:"how long acknowledgements may stay out before the connection counts as lost; until then what is sent again is recognised by the brokers"`
	KeepAlive    time.Duration `yaml:"keep_alive" doc:"how often a connection that is idle is tested"`

	dial.Options `yaml:",inline"`
}

// SASL is a login.
type SASL struct {
	Mechanism    string `yaml:"mechanism" enum:"none,plain,scram-sha-256,scram-sha-512" doc:"how the password is shown; plain only with ssl://"`
	Username     string `yaml:"username" doc:"user name"`
	PasswordFile string `yaml:"password_file" path:"secret" doc:"file that holds the password; read at every login"`
}

// DefaultOptions is what a configuration begins with.
func DefaultOptions() Options {
	return Options{
		Key: keyTopic, SASL: SASL{Mechanism: "none"}, Compression: "snappy",
		Linger: 5 * time.Millisecond, MaxBatch: 1_000_000, TestTopic: "sluice-test",
		AckTimeout: 25 * time.Second, KeepAlive: 30 * time.Second,
		Options: dial.Default(),
	}
}

// Validate reports every mistake that can be seen without a network or a file.
func (o *Options) Validate(report func(path, problem string)) {
	_, secured, err := o.seeds()
	if err != nil {
		report("address", err.Error())
	} else if !secured && o.TLS.Given() {
		report("tls", "is of no use with tcp://: write ssl://")
	}
	if o.Key != keyTopic && o.Key != keyDevice {
		report("key", fmt.Sprintf("is %q; write topic or device", o.Key))
	}
	if _, err := o.codec(); err != nil {
		report("compression", err.Error())
	}
	o.SASL.validate(secured || err != nil, report)
	if o.MaxBatch < smallestBatch || o.MaxBatch > largestBatch {
		report("max_batch", fmt.Sprintf("is %d; from %d to %d bytes are possible", o.MaxBatch, smallestBatch, largestBatch))
	}
	if o.Linger < 0 || o.Linger > time.Minute {
		report("linger", fmt.Sprintf("is %s; from 0s to 1m is possible", o.Linger))
	}
	if _, err := topicName(o.TestTopic); err != nil {
		report("test_topic", err.Error())
	}
	if o.AckTimeout <= 0 {
		report("ack_timeout", fmt.Sprintf("is %s; it must be longer than 0s", o.AckTimeout))
	}
	if o.KeepAlive < time.Second {
		report("keep_alive", fmt.Sprintf("is %s; it must be at least 1s", o.KeepAlive))
	}
	o.Options.Validate(report)
}

func (s *SASL) validate(secured bool, report func(path, problem string)) {
	switch s.Mechanism {
	case "none", "":
		if s.Username != "" || s.PasswordFile != "" {
			report("sasl.mechanism", "is none, but there is a username or password_file: write plain, scram-sha-256 or scram-sha-512")
		}
		return
	case "plain":
		if !secured {
			report("sasl.mechanism", "plain would show the password to everybody on the line: write ssl:// or a scram mechanism")
		}
	case "scram-sha-256", "scram-sha-512":
	default:
		report("sasl.mechanism", fmt.Sprintf("is %q; write none, plain, scram-sha-256 or scram-sha-512", s.Mechanism))
	}
	if s.Username == "" || s.PasswordFile == "" {
		report("sasl", "needs username and password_file")
	}
}

// seeds gives host:port of the brokers that are configured, and whether they want TLS.
func (o *Options) seeds() (seeds []string, secured bool, err error) {
	for i, text := range strings.Split(o.Address, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			return nil, false, errors.New("is missing: write tcp://host:port, several separated by commas")
		}
		u, err := url.Parse(text)
		if err != nil {
			return nil, false, fmt.Errorf("%q is no address; write tcp://host:port", text)
		}
		switch {
		case u.Scheme != "tcp" && u.Scheme != "ssl":
			return nil, false, fmt.Errorf("begins with %q; write tcp:// or ssl://", u.Scheme)
		case u.User != nil:
			return nil, false, errors.New("has a user in it: that belongs in sasl")
		case u.Path != "" && u.Path != "/":
			return nil, false, fmt.Errorf("has a path (%s), which %s:// has not", u.Path, u.Scheme)
		case u.Hostname() == "":
			return nil, false, errors.New("has no host")
		case i > 0 && secured != (u.Scheme == "ssl"):
			return nil, false, errors.New("mixes tcp:// and ssl://: a cluster has one of them")
		}
		secured = u.Scheme == "ssl"
		port := u.Port()
		if port == "" {
			port = defaultPort
		}
		if seed := net.JoinHostPort(u.Hostname(), port); !slices.Contains(seeds, seed) {
			seeds = append(seeds, seed)
		}
	}
	return seeds, secured, nil
}

func (o *Options) codec() (kgo.CompressionCodec, error) {
	switch o.Compression {
	case "none", "":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("is %q; write none, gzip, snappy, lz4 or zstd", o.Compression)
}
