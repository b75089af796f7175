package kafka

import (
	"regexp"
	"slices"
	"testing"
	"time"
)

func TestValidateNamesTheMistake(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string // the path; empty: no mistake
	}{
		{"all is well", func(*Options) {}, ""},
		{"several brokers", func(o *Options) { o.Address = "tcp://a:9092, tcp://b,tcp://[::1]:9" }, ""},
		{"no address", func(o *Options) { o.Address = "" }, "address"},
		{"an empty one among several", func(o *Options) { o.Address = "tcp://a,,tcp://b" }, "address"},
		{"another scheme", func(o *Options) { o.Address = "kafka://a" }, "address"},
		{"two schemes", func(o *Options) { o.Address = "tcp://a,ssl://b" }, "address"},
		{"a user", func(o *Options) { o.Address = "tcp://me:secret@a" }, "address"},
		{"a path", func(o *Options) { o.Address = "tcp://a/topic" }, "address"},
		{"no host", func(o *Options) { o.Address = "tcp://:9092" }, "address"},
		{"certificates without TLS", func(o *Options) { o.TLS.CA = "/ca" }, "tls"},
		{"key", func(o *Options) { o.Key = "colour" }, "key"},
		{"compression", func(o *Options) { o.Compression = "rar" }, "compression"},
		{"plain without TLS", func(o *Options) { o.SASL = SASL{"plain", "u", "/p"} }, "sasl.mechanism"},
		{"plain with TLS", func(o *Options) { o.Address = "ssl://a"; o.SASL = SASL{"plain", "u", "/p"} }, ""},
		{"scram without a password", func(o *Options) { o.SASL = SASL{"scram-sha-256", "u", ""} }, "sasl"},
		{"a user without a mechanism", func(o *Options) { o.SASL = SASL{"none", "u", "/p"} }, "sasl.mechanism"},
		{"another mechanism", func(o *Options) { o.SASL = SASL{"gssapi", "u", "/p"} }, "sasl.mechanism"},
		{"tiny batches", func(o *Options) { o.MaxBatch = 1 }, "max_batch"},
		{"huge batches", func(o *Options) { o.MaxBatch = 1 << 40 }, "max_batch"},
		{"linger", func(o *Options) { o.Linger = time.Hour }, "linger"},
		{"test topic", func(o *Options) { o.TestTopic = "a/#" }, "test_topic"},
		{"ack timeout", func(o *Options) { o.AckTimeout = 0 }, "ack_timeout"},
		{"keep alive", func(o *Options) { o.KeepAlive = time.Millisecond }, "keep_alive"},
		{"of the connection", func(o *Options) { o.ConnectTimeout = 0 }, "connect_timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := DefaultOptions()
			o.Address = "tcp://127.0.0.1:9092"
			c.change(&o)
			var paths []string
			o.Validate(func(path, _ string) { paths = append(paths, path) })
			if c.want == "" && len(paths) == 0 {
				return
			}
			if !slices.Equal(paths, []string{c.want}) {
				t.Errorf("mistakes at %q, want %q", paths, c.want)
			}
		})
	}
}

func TestTopicNames(t *testing.T) {
	for _, c := range []struct{ topic, want string }{
		{"readings/line-3/press", "readings.line-3.press"},
		{"a_b.c-D9", "a_b.c-D9"},
		{"hall 2/grün", "hall_2.gr_n"},
		{"a/+/b", ""},
		{"", ""},
		{".", ""},
		{"/.", ".."[:0]},
	} {
		got, err := topicName(c.topic)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q becomes %q, %v, want %q", c.topic, got, err, c.want)
		}
	}
}

// FuzzTopicName: whatever comes out is a name that Kafka takes.
func FuzzTopicName(f *testing.F) {
	legal := regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	for _, seed := range []string{"readings/line-3/press", "..", "/", "a\x00b", "\xff", "ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		name, err := topicName(topic)
		if err != nil {
			return
		}
		if !legal.MatchString(name) || name == "." || name == ".." {
			t.Errorf("%q becomes %q", topic, name)
		}
	})
}
