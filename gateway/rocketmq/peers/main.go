// Command peers plays the stock RocketMQ client for Go, apache/rocketmq-client-go, against a name server and
// its broker, mode by mode, and prints what it saw. It is a module of its own so that the product does not
// depend on it. The test that starts it is in the folder above.
//
//	peers NAMESRV SCENARIO[,SCENARIO...]
//	peers NAMESRV all
//
// What it prints is one JSON object a line, {"scenario":…,"saw":…,"value":…}, sorted within a scenario. Names
// that are made for the run, ids, addresses and times are replaced by what they stand for, so that two brokers
// that behave alike give the same text. A scenario that could not go on says so in a line of its own, with
// "failed" in place of what it saw. ACCESS_KEY and SECRET_KEY in the environment sign every request.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// scenarios are the modes of the client. They share nothing but the process and run at once: most of their
// time goes into waiting.
var scenarios = []struct {
	name string
	run  func(*play)
}{
	{"sync", sendSync}, {"oneway", sendOneway}, {"batch", sendBatch}, {"queue", sendToQueue},
	{"autocreate", sendToNewTopic}, {"refused", sendRefused}, {"large", sendLarge}, {"properties", sendProperties},
	{"namespace", sendInNamespace}, {"delay", sendDelayed},
	{"transaction", sendInTransaction}, {"check", checkTransaction}, {"recheck", recheckTransaction},
	{"push", consumePush}, {"orderly", consumeOrderly}, {"broadcast", consumeBroadcast}, {"share", shareQueues},
	{"pull", consumePull}, {"poll", consumePoll}, {"offsets", consumeFromWhere},
	{"retry", retryLater}, {"dlq", deadLetters}, {"orderlydlq", orderlyDeadLetters},
	{"tags", filterTags}, {"sql92", filterSQL92},
	{"admin", administer}, {"trace", traceMessages},
}

// apart are scenarios that "all" leaves out: of the first two the client ends the process when an answer is
// late, then there is one for a broker that asks for signatures, and one for several brokers.
var apart = []struct {
	name string
	run  func(*play)
}{
	{"async", sendAsync}, {"request", requestReply}, {"acl", signedRequests}, {"cluster", useCluster},
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: peers NAMESRV all|SCENARIO[,SCENARIO...]")
		os.Exit(2)
	}
	rlog.SetLogger(silence{})
	if os.Getenv("ROCKETMQ_GO_LOG_LEVEL") != "" {
		rlog.SetLogger(toStderr{})
	}
	mark := strconv.FormatInt(time.Now().UnixNano(), 36)
	var plays []*play
	known := append(scenarios, apart...)
	for _, name := range strings.Split(os.Args[2], ",") {
		found := false
		for i, s := range known {
			if s.name == name || name == "all" && i < len(scenarios) {
				plays = append(plays, newPlay(s.name, os.Args[1], mark, s.run))
				found = true
			}
		}
		if !found {
			fmt.Fprintln(os.Stderr, "there is no scenario", name)
			os.Exit(2)
		}
	}
	var running sync.WaitGroup
	for _, p := range plays {
		running.Go(p.perform)
	}
	running.Wait()
	for _, p := range plays {
		p.print(os.Stdout)
	}
}

// silence is what the client may log: nothing.
type silence struct{}

func (silence) Debug(string, map[string]any)   {}
func (silence) Info(string, map[string]any)    {}
func (silence) Warning(string, map[string]any) {}
func (silence) Error(string, map[string]any)   {}
func (silence) Fatal(string, map[string]any)   {}
func (silence) Level(string)                   {}
func (silence) OutputPath(string) error        { return nil }

// toStderr is for finding out why a scenario fails.
type toStderr struct{ silence }

func (toStderr) Warning(text string, fields map[string]any) { log(text, fields) }
func (toStderr) Error(text string, fields map[string]any)   { log(text, fields) }

func log(text string, fields map[string]any) {
	fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05.000"), text, fields)
}
