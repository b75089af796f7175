package rocketmqgrpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"sluice/gateway/message"
	"sluice/gateway/queue"
)

// Codes that clients know and the stubs have no name for.
const (
	illegalPollingTime v2.Code = 40018
	illegalOffset      v2.Code = 40019
	offsetNotFound     v2.Code = 40404
	messageBodyEmpty   v2.Code = 41302
)

// refusal is an error that has a code of its own.
type refusal struct {
	code v2.Code
	text string
}

func (r refusal) Error() string { return r.text }

func refuse(code v2.Code, format string, args ...any) error {
	return refusal{code, fmt.Sprintf(format, args...)}
}

var okStatus = &v2.Status{Code: v2.Code_OK, Message: "OK"}

// statusOf says what an error means to a client: it travels inside the answer.
func (s *Server) statusOf(err error) *v2.Status {
	if err == nil {
		return okStatus
	}
	code := codeOf(err)
	if code == v2.Code_UNAUTHORIZED || code == v2.Code_FORBIDDEN {
		s.stats.unwelcome.Add(1)
	}
	return &v2.Status{Code: code, Message: strings.ToValidUTF8(err.Error(), "?")}
}

func codeOf(err error) v2.Code {
	if own, ok := errors.AsType[refusal](err); ok {
		return own.code
	}
	for _, known := range []struct {
		err  error
		code v2.Code
	}{
		{queue.ErrNoTopic, v2.Code_TOPIC_NOT_FOUND},
		{queue.ErrNoGroup, v2.Code_CONSUMER_GROUP_NOT_FOUND},
		{queue.ErrNoQueue, v2.Code_BAD_REQUEST},
		{queue.ErrName, v2.Code_ILLEGAL_TOPIC},
		{queue.ErrForbidden, v2.Code_FORBIDDEN},
		{queue.ErrIllegal, v2.Code_BAD_REQUEST},
		{queue.ErrExpired, v2.Code_INVALID_RECEIPT_HANDLE},
		{queue.ErrNoMessage, v2.Code_MESSAGE_NOT_FOUND},
		{message.ErrTooLarge, v2.Code_MESSAGE_BODY_TOO_LARGE},
		{message.ErrTopic, v2.Code_ILLEGAL_TOPIC},
		{message.ErrFull, v2.Code_TOO_MANY_REQUESTS},
		{context.DeadlineExceeded, v2.Code_PROXY_TIMEOUT},
		{context.Canceled, v2.Code_PROXY_TIMEOUT},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return v2.Code_INTERNAL_SERVER_ERROR
}

// overall is the status of an answer whose entries have their own: theirs if they agree.
func overall(entries []*v2.Status) *v2.Status {
	for _, one := range entries[1:] {
		if one.GetCode() != entries[0].GetCode() {
			return &v2.Status{Code: v2.Code_MULTIPLE_RESULTS, Message: "the entries have different results"}
		}
	}
	return entries[0]
}
