package kafka

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/bridge"
	"sluice/bridge/dial"
)

// refusals are the answers of a broker that does not want a record. One that is about is meant for
// some record of a batch, nobody knows which; the others are meant for the topic.
var refusals = []struct {
	code  *kerr.Error
	retry bool // asking again later may help
	some  bool // it may be another record's fault
	text  string
}{
	{kerr.MessageTooLarge, false, true, "it is larger than the broker takes; see message.max.bytes of the topic %s"},
	{kerr.RecordListTooLarge, false, true, "it is larger than the broker takes; see segment.bytes of the topic %s"},
	{kerr.InvalidRecord, false, true, "the broker finds the record not valid for the topic %s"},
	{kerr.PolicyViolation, false, true, "a policy of the broker forbids it in the topic %s"},
	{kerr.InvalidTimestamp, true, true, "the broker finds its time not valid for the topic %s; is the gateway's clock right?"},
	{kerr.CorruptMessage, true, true, "it came to the broker damaged, for the topic %s"},
	{kerr.InvalidTopicException, false, false, "%s is no name for a topic there"},
	{kerr.TopicAuthorizationFailed, true, false, "the gateway may not write to the topic %s; it needs the right WRITE there"},
	{kerr.UnknownTopicOrPartition, true, false, "there is no topic %s; create it there, or set create_topics"},
	{kerr.UnknownTopicID, true, false, "the topic %s was deleted there"},
}

// refusal says what err, the outcome of a record for topic, means if it is about records and not
// about the line.
func refusal(topic string, err error) (refused *bridge.RefusedError, some bool) {
	for _, known := range refusals {
		if errors.Is(err, known.code) {
			return &bridge.RefusedError{Reason: fmt.Sprintf(known.text, topic) + " (" + known.code.Message + ")", Retry: known.retry}, known.some
		}
	}
	code, ok := errors.AsType[*kerr.Error](err)
	if !ok || breaks(code) {
		return nil, false
	}
	// What nobody has thought of is tried again and then set aside, instead of blocking for ever.
	return &bridge.RefusedError{Reason: "the broker answers " + code.Error(), Retry: true}, true
}

// broken are the answers of a broker that end the connection.
var broken = []struct {
	code *kerr.Error
	text string
}{
	{kerr.OutOfOrderSequenceNumber, "the broker has lost track of what was sent; a new connection begins anew"},
	{kerr.UnknownProducerID, "the broker has forgotten this connection; a new one begins anew"},
	{kerr.InvalidProducerIDMapping, "the broker has forgotten this connection; a new one begins anew"},
	{kerr.InvalidProducerEpoch, "the broker has forgotten this connection; a new one begins anew"},
	{kerr.ProducerFenced, "the broker has given this connection's place to another"},
	{kerr.ClusterAuthorizationFailed, "the gateway may not write without repetitions; it needs the right IDEMPOTENT_WRITE on the cluster"},
	{kerr.SaslAuthenticationFailed, "the broker does not accept the user name or password; see sasl"},
	{kerr.UnsupportedSaslMechanism, "the broker does not offer this way to log in; see sasl.mechanism"},
	{kerr.IllegalSaslState, "the broker wants another way to log in; see sasl.mechanism"},
	{kerr.UnsupportedCompressionType, "the broker does not know this compression; see compression"},
	{kerr.NotEnoughReplicas, "too few of the topic's replicas are there; see min.insync.replicas"},
	{kerr.NotEnoughReplicasAfterAppend, "too few of the topic's replicas are there; see min.insync.replicas"},
}

func breaks(code *kerr.Error) bool {
	for _, known := range broken {
		if known.code == code {
			return true
		}
	}
	return kerr.IsRetriable(code) // franz-go would have gone on trying
}

// plain is an error that has been put in plain words.
type plain struct {
	text  string
	cause error
}

func (p *plain) Error() string { return p.text + " (" + p.cause.Error() + ")" }
func (p *plain) Unwrap() error { return p.cause }

// plainWords puts what somebody at the gateway's page can act on in front of an error, once.
func plainWords(err error) error {
	if _, done := errors.AsType[*plain](err); done {
		return err
	}
	// What franz-go puts around it says nothing more.
	if known, ok := errors.AsType[*dial.Error](err); ok {
		return known
	}
	if secret, ok := errors.AsType[*secretError](err); ok {
		return secret
	}
	for _, known := range broken {
		if errors.Is(err, known.code) {
			return &plain{known.text, known.code}
		}
	}
	if _, ok := errors.AsType[*kgo.ErrFirstReadEOF](err); ok {
		return &plain{"the broker has closed the connection at once; does it want ssl:// or a login (sasl)?", err}
	}
	if strings.Contains(err.Error(), "plaintext connection speaking to a tls endpoint") {
		return &plain{"the broker speaks TLS there: write ssl://", err}
	}
	return dial.Explain(err)
}

// loginWords adds what an end of the connection means while a login is going on.
func (o *Options) loginWords(err error) error {
	if o.SASL.mechanism() != nil && errors.Is(err, io.EOF) {
		return &plain{"the broker has closed the connection during the login; are the user name and password right? See sasl", err}
	}
	return plainWords(err)
}

// secretError is a password that cannot be read.
type secretError struct{ cause error }

func (e *secretError) Error() string { return "cannot read sasl.password_file: " + e.cause.Error() }
func (e *secretError) Unwrap() error { return e.cause }
