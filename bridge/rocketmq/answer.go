package rocketmq

import (
	"fmt"
	"slices"
	"strings"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/gateway/remoting"
)

// verdict is what an answer to a message means for it.
type verdict int

const (
	unwanted  verdict = iota // this message, for now: what else a broker says may be about it alone
	taken                    // the broker has taken responsibility
	illegal                  // this message, for ever
	busy                     // asking again soon helps
	elsewhere                // the broker takes nothing now
)

var verdicts = map[int]struct {
	verdict verdict
	hint    string
}{
	remoting.Success: {taken, ""},
	// The broker has the message as safely as it keeps any by itself; a replica that was not there, or
	// was slow, copies it from the broker's log when it comes back. Sending it again would change
	// nothing but the number of copies.
	remoting.SlaveNotAvailable: {taken, ""},
	remoting.FlushSlaveTimeout: {taken, ""},
	// It is in the broker's memory and nobody knows when it will be on its disk.
	remoting.FlushDiskTimeout:    {elsewhere, "its disk is too slow: the message is sent again, with the same UNIQ_KEY"},
	remoting.SystemBusy:          {busy, "it has more to do than it can"},
	remoting.FlowControl:         {busy, "it lets us send less"},
	remoting.ServiceNotAvailable: {elsewhere, "it is ending, its disk is full, or it is a replica"},
	remoting.GoAway:              {elsewhere, "it is ending"},
	remoting.NotLeaderForQueue:   {elsewhere, "another broker has that queue now"},
	remoting.MessageIllegal:      {illegal, "it is too large, or its topic or properties are"},
	remoting.NoPermission:        {unwanted, "may access_key publish to that topic, and is the topic writable?"},
	remoting.TopicNotExist:       {unwanted, "make it (mqadmin updateTopic), or let brokers make topics (autoCreateTopicEnable)"},
}

// judge says what the answer to a batch means: nil, a *bridge.RefusedError, or that the line is of no
// use. again is true when the same batch may be taken in a moment.
func judge(answer *remoting.Command, broker, topic string) (again bool, err error) {
	known := verdicts[answer.Code]
	if answer.Code == remoting.SystemError && strings.Contains(answer.Remark, "busy") {
		known.verdict = busy // how older brokers say it
	}
	if isLogin(answer) {
		known.verdict, known.hint = elsewhere, "see access_key and secret_key_file"
	}
	says := fmt.Sprintf("%s answers %s to a message for %s", broker, describe(answer), topic)
	if known.hint != "" {
		says += "; " + known.hint
	}
	switch known.verdict {
	case taken:
		return false, nil
	case busy:
		return true, &dial.Error{Text: says}
	case elsewhere:
		return false, &dial.Error{Text: says}
	default:
		return false, &bridge.RefusedError{Reason: says, Retry: known.verdict != illegal}
	}
}

// stranger are the words, in lower case, by which brokers say that they do not know who asks: those of
// ACL 1.0 under the code of any error, those of 2.0 under that of a missing permission.
var stranger = []string{"check signature failed", "no acl config for", "accesskey", "access key", "user:", "username can"}

// isLogin says whether an answer is about the key, and so about every message: none of them pays for it.
func isLogin(answer *remoting.Command) bool {
	if answer.Code != remoting.SystemError && answer.Code != remoting.NoPermission {
		return false
	}
	remark := strings.ToLower(answer.Remark)
	return !strings.Contains(remark, "has no permission") && slices.ContainsFunc(stranger, func(words string) bool { return strings.Contains(remark, words) })
}

// longestRemark is as much as we repeat of what a broker says: Java appends whole stack traces.
const longestRemark = 200

// describe is a code with the remark's first line.
func describe(answer *remoting.Command) string {
	text := remoting.ResponseName(answer.Code)
	remark, _, _ := strings.Cut(strings.TrimSpace(answer.Remark), "\n")
	if len(remark) > longestRemark {
		remark = strings.ToValidUTF8(remark[:longestRemark], "") + "…"
	}
	if remark != "" {
		text += " (" + remark + ")"
	}
	return text
}
