package rocketmq

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
	"sluice/gateway/rocketmq/acl"
)

// brokerVersion is what we say that we are: 5.3.3. Java consumers look at it before they use SQL92.
const (
	brokerVersion     = 479
	brokerVersionName = "V5_3_3"
)

// request is a client's request. Its frame is valid only until the handler returns: what is needed later
// is copied out of it.
type request struct {
	*conn
	frame   *remoting.Command
	account *acl.Account
	reply   reply
}

// reply is what an answer needs to find its request.
type reply struct {
	conn   *conn
	opaque int32
	binary bool
	oneway bool
}

// answer is what a request is answered with.
type answer struct {
	code   int
	remark string
	fields remoting.Fields
	body   []byte
	lent   *[]byte // nil, or what the body lies in: others may have it once the answer is written down
}

// send answers the request, unless the client does not want to hear it. It may be called from any
// goroutine and never blocks.
func (r reply) send(a answer) {
	defer r.conn.server.bodies.takeBack(a.lent)
	if r.oneway {
		return
	}
	r.conn.put(&remoting.Command{
		Code: a.code, Language: remoting.LanguageJava, Version: brokerVersion, Opaque: r.opaque, Flag: remoting.FlagResponse,
		Remark: a.remark, Ext: a.fields, Body: a.body, Binary: r.binary,
	})
}

// fail answers with what an error means.
func (r reply) fail(err error) { r.send(failed(err)) }

// refusal is an error that has a response code of its own.
type refusal struct {
	code int
	text string
}

func (r refusal) Error() string { return r.text }

func refuse(code int, format string, args ...any) error {
	return refusal{code, fmt.Sprintf(format, args...)}
}

// failed says what an error means to a client.
func failed(err error) answer {
	if own, ok := errors.AsType[refusal](err); ok {
		return answer{code: own.code, remark: own.text}
	}
	code := remoting.SystemError
	for _, known := range []struct {
		err  error
		code int
	}{
		{queue.ErrNoTopic, remoting.TopicNotExist},
		{queue.ErrNoGroup, remoting.SubscriptionGroupNotExist},
		{queue.ErrNoQueue, remoting.InvalidParameter},
		{queue.ErrName, remoting.InvalidParameter},
		{queue.ErrForbidden, remoting.NoPermission},
		{queue.ErrIllegal, remoting.MessageIllegal},
		{message.ErrTooLarge, remoting.MessageIllegal},
		{message.ErrTopic, remoting.MessageIllegal},
		{message.ErrFull, remoting.SystemBusy},
		{message.ErrClosed, remoting.ServiceNotAvailable},
		{message.ErrFailed, remoting.ServiceNotAvailable},
	} {
		if errors.Is(err, known.err) {
			code = known.code
			break
		}
	}
	if code == remoting.SystemBusy {
		return answer{code: code, remark: "broker busy: " + err.Error()} // clients look for these words
	}
	return answer{code: code, remark: err.Error()}
}

// errLater is what a handler gives that answers by itself.
var errLater = errors.New("answered later")

// handle begins a request; it is answered at once or later.
func (c *conn) handle(frame *remoting.Command) {
	r := request{conn: c, frame: frame, reply: reply{c, frame.Opaque, frame.Binary, frame.Oneway()}}
	h, known := handlers[frame.Code]
	admin := false
	if !known {
		h, known = administration[frame.Code]
		admin = known
	}
	if !known {
		r.reply.send(answer{code: remoting.RequestCodeNotSupported, remark: fmt.Sprintf("request code %d is not supported", frame.Code)})
		return
	}
	var a answer
	account, err := c.server.authenticate(frame)
	switch {
	case err != nil:
		err = refusal{remoting.NoPermission, err.Error()}
	case admin && !account.Admin:
		err = refuse(remoting.NoPermission, "%s is for administrators", remoting.RequestName(frame.Code))
	default:
		r.account = account
		a, err = h.run(c.server, &r)
	}
	switch {
	case err == nil:
		r.reply.send(a)
	case errors.Is(err, errLater):
	default:
		if a = failed(err); a.code == remoting.NoPermission {
			c.server.stats.unwelcome.Add(1)
		}
		r.reply.send(a)
	}
}

// authenticate finds out who asks. Routes are for everybody, as with a name server: clients do not sign
// what they ask those.
func (s *Server) authenticate(frame *remoting.Command) (*acl.Account, error) {
	if frame.Code == remoting.GetRouteInfoByTopic {
		return &acl.Account{}, nil
	}
	return s.options.Access.Authenticate(frame.Ext.All(), frame.Body, frame.Version)
}

// text gives a field that must be there.
func (r *request) text(name string) (string, error) {
	value, ok := r.frame.Ext.Lookup(name)
	if !ok || value == "" {
		return "", refuse(remoting.InvalidParameter, "%s needs the field %s", remoting.RequestName(r.frame.Code), name)
	}
	return value, nil
}

// number gives a field that must be there and be a number.
func (r *request) number(name string) (int64, error) {
	value, err := r.text(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, refuse(remoting.InvalidParameter, "%s: the field %s is no number: %.40q", remoting.RequestName(r.frame.Code), name, value)
	}
	return n, nil
}

// numberOr gives a field's number, or another when it is missing or none.
func (r *request) numberOr(name string, otherwise int64) int64 {
	n, err := strconv.ParseInt(r.frame.Ext.Get(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// optional gives a field's number, or another when it is missing; one that is no number is refused.
func (r *request) optional(name string, otherwise int64) (int64, error) {
	if value, given := r.frame.Ext.Lookup(name); !given || value == "" {
		return otherwise, nil
	}
	n, err := r.number(name)
	if err != nil {
		return 0, refuse(remoting.SystemError, "%v", err)
	}
	return n, nil
}

// flag gives a field that is a boolean.
func (r *request) flag(name string) bool { return r.frame.Ext.Get(name) == "true" }

// queue gives the topic and the number of the queue that a request is about.
func (r *request) queue() (topic string, number int, err error) {
	if topic, err = r.text("topic"); err != nil {
		return "", 0, err
	}
	n, err := r.number("queueId")
	if err == nil && (n < -1 || n > message.MaxQueues) {
		err = fmt.Errorf("%w: %s has no queue %d", queue.ErrNoQueue, topic, n)
	}
	return topic, int(n), err
}

// jsonBody writes a body as Java's clients read it: compact, and without escapes for HTML.
func jsonBody(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write a body: %w", err)
	}
	return b, nil
}

// decode reads a JSON body.
func (r *request) decode(into any) error {
	if err := json.Unmarshal(r.frame.Body, into); err != nil {
		return refuse(remoting.InvalidParameter, "%s: the body cannot be read: %v", remoting.RequestName(r.frame.Code), err)
	}
	return nil
}

// field makes one field of an answer.
func field[T ~int | ~int32 | ~int64 | ~uint64](name string, n T) remoting.Field {
	return remoting.Field{Name: name, Value: strconv.FormatInt(int64(n), 10)}
}
