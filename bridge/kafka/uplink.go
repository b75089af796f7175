package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	plainlogin "github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"sluice/bridge"
	"sluice/bridge/dial"
)

// metadataAge is how soon franz-go may ask again where a topic is: a leader that has moved, or a topic
// that does not exist, shall not cost seconds.
const metadataAge = 200 * time.Millisecond

// creationTries is how often a topic is asked for that the brokers are creating: about ten seconds.
const creationTries = 40

// Uplink is a configured way to one Kafka cluster.
type Uplink struct {
	options Options
	seeds   []string
	secured bool
	log     *slog.Logger
}

// New makes an uplink. It touches neither network nor files. gateway is the client id when the
// options name none.
func New(o Options, gateway string, log *slog.Logger) (*Uplink, error) {
	var problem error
	o.Validate(func(path, text string) {
		if problem == nil {
			problem = fmt.Errorf("kafka uplink: %s %s", path, text)
		}
	})
	if problem != nil {
		return nil, problem
	}
	seeds, secured, err := o.seeds()
	if err != nil {
		return nil, fmt.Errorf("kafka uplink: address %w", err)
	}
	if o.ClientID == "" {
		o.ClientID = gateway
	}
	if log == nil {
		log = slog.Default()
	}
	return &Uplink{options: o, seeds: seeds, secured: secured, log: log}, nil
}

// Connect finds a broker, logs in, and gets the producer id by which the cluster recognises what is
// sent again. Each Link has a franz-go client and a producer id of its own.
func (u *Uplink) Connect(ctx context.Context) (bridge.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, u.options.ConnectTimeout)
	defer cancel()
	l := newLink(&u.options, u.log)
	if err := u.login(ctx, l, u.dialer(l, nil)); err != nil {
		return nil, err
	}
	l.start()
	return l, nil
}

// login gives l its client. When it fails nothing is left behind.
func (u *Uplink) login(ctx context.Context, l *link, dialer dialFunc) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	settings, err := u.settings(l, dialer)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(settings...)
	if err != nil {
		return fmt.Errorf("kafka uplink: %w", err)
	}
	// Franz-go looks at ctx only between two requests.
	stop := context.AfterFunc(ctx, l.conns.cut)
	err = client.Ping(ctx)
	if err == nil {
		_, _, err = client.ProducerID(ctx)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		client.Close()
		return u.explain(ctx, l, err)
	}
	l.client = client
	return nil
}

func (u *Uplink) settings(l *link, dialer dialFunc) ([]kgo.Opt, error) {
	o := &u.options
	codec, err := o.codec()
	if err != nil {
		return nil, err
	}
	settings := []kgo.Opt{
		kgo.SeedBrokers(u.seeds...),
		kgo.ClientID(o.ClientID),
		kgo.Dialer(dialer),
		kgo.WithHooks(l),
		kgo.DisableClientMetrics(),
		kgo.ConnIdleTimeout(2 * o.KeepAlive),
		kgo.MetadataMinAge(metadataAge),
		kgo.RetryBackoffFn(func(tries int) time.Duration { return min(100*time.Millisecond<<min(tries, 5), 2*time.Second) }),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(int32(o.MaxBatch)),         // #nosec G115 -- at most largestBatch
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), // as the Java client does
		kgo.MaxBufferedRecords(maxCycle + 1),
		// A batch goes only when all records of a cycle are there: see link.produce.
		kgo.ManualFlushing(),
		// A hole in the sequence ends the link instead of being filled with whatever comes next.
		kgo.StopProducerOnDataLossDetected(),
		kgo.UnknownTopicRetries(1),
	}
	if o.CreateTopics {
		settings = append(settings, kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(creationTries))
	}
	if m := o.SASL.mechanism(); m != nil {
		settings = append(settings, kgo.SASL(m))
	}
	return settings, nil
}

// mechanism reads the password anew at every login.
func (s *SASL) mechanism() sasl.Mechanism {
	password := func() (string, error) {
		text, err := dial.Secret(s.PasswordFile)
		if err != nil {
			return "", &secretError{err}
		}
		return text, nil
	}
	shown := func(context.Context) (scram.Auth, error) {
		text, err := password()
		return scram.Auth{User: s.Username, Pass: text}, err
	}
	switch s.Mechanism {
	case "plain":
		return plainlogin.Plain(func(context.Context) (plainlogin.Auth, error) {
			text, err := password()
			return plainlogin.Auth{User: s.Username, Pass: text}, err
		})
	case "scram-sha-256":
		return scram.Sha256(shown)
	case "scram-sha-512":
		return scram.Sha512(shown)
	}
	return nil
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer opens connections to brokers; trace, if there is one, is told every step.
func (u *Uplink) dialer(l *link, trace func(dial.Step)) dialFunc {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if trace != nil {
			ctx = dial.Traced(ctx, trace)
		}
		c, err := u.open(ctx, address)
		switch {
		case err == nil:
			return l.conns.add(c)
		case slices.Contains(u.seeds, address):
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		return nil, &advertisedError{address, err}
	}
}

func (u *Uplink) open(ctx context.Context, address string) (*conn, error) {
	raw, err := u.options.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, raw: &dial.Patient{Conn: raw}}
	c.Conn = c.raw
	if !u.secured {
		return c, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		raw.Close()
		return nil, err
	}
	secured, err := u.options.Secure(ctx, c.raw, host)
	if err != nil {
		raw.Close()
		return nil, err
	}
	c.Conn = secured
	return c, nil
}

// advertisedError is the usual mistake in setting up a cluster.
type advertisedError struct {
	address string
	cause   error
}

func (e *advertisedError) Error() string {
	return "a broker says that it is at " + e.address + " (its advertised.listeners), but " + e.cause.Error()
}
func (e *advertisedError) Unwrap() error { return e.cause }

// explain says in plain words what went wrong with a connection attempt.
func (u *Uplink) explain(ctx context.Context, l *link, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return cause
	} else if cause != nil {
		if err = l.trouble(); err == nil {
			return fmt.Errorf("no answer from %s within %s", u.options.Address, u.options.ConnectTimeout)
		}
	}
	if to, ok := errors.AsType[*advertisedError](err); ok {
		return to
	}
	return fmt.Errorf("%s: %w", u.options.Address, u.options.loginWords(err))
}
