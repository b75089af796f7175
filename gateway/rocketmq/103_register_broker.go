package rocketmq

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"strconv"
	"sync"
	"time"

	"sluice/gateway/remoting"
)

// 103 REGISTER_BROKER, 104 UNREGISTER_BROKER, 322 QUERY_DATA_VERSION
//
// Supported: sent to the name servers of a cluster that the gateway joins: all topics when the connection is made, when one of
// them changes and every ten minutes, otherwise every 30 s whether they are still known; taken back at a clean stop.
// Left out: compressed bodies, slaves and acting masters, static topics; the order configuration and the addresses for
// replicas in the answer are of no use here. Other brokers cannot register with the gateway.

// nameServer is the connection to one name server, used by one goroutine.
type nameServer struct {
	cluster *cluster
	broker  string // our address, as clients are told
	conn    net.Conn
	opaque  int32
	answers chan *remoting.Command
	reading sync.WaitGroup
	gone    chan struct{} // closed when the connection has ended
	wrong   error         // why, once gone is closed
	closed  chan struct{}
}

// errTaken is a broker's name that somebody else has in the cluster.
var errTaken = errors.New("each broker of a cluster needs a name of its own")

// talk reads from a connection until it is closed.
func talk(c *cluster, conn net.Conn, broker string) *nameServer {
	n := &nameServer{
		cluster: c, broker: broker, conn: conn,
		answers: make(chan *remoting.Command), gone: make(chan struct{}), closed: make(chan struct{}),
	}
	n.reading.Go(n.read)
	return n
}

func (n *nameServer) close() {
	close(n.closed)
	n.conn.Close()
	n.reading.Wait()
}

// read passes answers on. That name servers ask as well, about acting masters, is nothing for us.
func (n *nameServer) read() {
	defer close(n.gone)
	for in := bufio.NewReader(n.conn); ; {
		answer := new(remoting.Command)
		if n.wrong = remoting.Read(in, remoting.MaxFrame, answer); n.wrong != nil {
			n.wrong = fmt.Errorf("the name server ended the connection: %w", n.wrong)
			return
		}
		if !answer.Response() {
			continue
		}
		select {
		case n.answers <- answer:
		case <-n.closed:
			return
		}
	}
}

// ask sends a request and waits for its answer, which may say no.
func (n *nameServer) ask(ctx context.Context, code int, fields remoting.Fields, body []byte) (*remoting.Command, error) {
	n.opaque++
	if account := n.cluster.join.Account; account.AccessKey != "" {
		fields.Set("AccessKey", account.AccessKey)
		fields.Set("Signature", account.Sign(fields.All(), body))
	}
	frame, err := (&remoting.Command{
		Code: code, Language: remoting.LanguageJava, Version: brokerVersion, Opaque: n.opaque, Ext: fields, Body: body,
	}).Append(nil)
	if err == nil && len(frame) > remoting.MaxFrame {
		err = fmt.Errorf("%s: %w: %d bytes, a name server takes %d", remoting.RequestName(code), remoting.ErrTooLarge, len(frame), remoting.MaxFrame)
	}
	if err != nil {
		return nil, err
	}
	n.conn.SetWriteDeadline(time.Now().Add(askLimit))
	if _, err := n.conn.Write(frame); err != nil {
		return nil, err
	}
	late := time.NewTimer(askLimit)
	defer late.Stop()
	for {
		select {
		case answer := <-n.answers:
			if answer.Opaque == n.opaque {
				return answer, nil
			}
		case <-n.gone:
			return nil, n.wrong
		case <-late.C:
			return nil, fmt.Errorf("no answer to %s within %v", remoting.RequestName(code), askLimit)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// must is ask where only success will do.
func (n *nameServer) must(ctx context.Context, code int, fields remoting.Fields, body []byte) (*remoting.Command, error) {
	answer, err := n.ask(ctx, code, fields, body)
	if err == nil && answer.Code != remoting.Success {
		err = refuse(answer.Code, "the name server answers %s with %s: %.200s",
			remoting.RequestName(code), remoting.ResponseName(answer.Code), answer.Remark)
	}
	return answer, err
}

// identity are the fields by which a name server tells brokers apart.
func (n *nameServer) identity() remoting.Fields {
	return remoting.Fields{
		{Name: "brokerName", Value: n.cluster.broker}, {Name: "brokerAddr", Value: n.broker},
		{Name: "clusterName", Value: n.cluster.name}, {Name: "brokerId", Value: "0"},
	}
}

func (n *nameServer) register(ctx context.Context, r roll) error {
	var all struct {
		Filters []string `json:"filterServerList"`
		Topics  struct {
			Version        dataVersion     `json:"dataVersion"`
			MappingVersion dataVersion     `json:"mappingDataVersion"`
			Topics         json.RawMessage `json:"topicConfigTable"`
			Details        struct{}        `json:"topicQueueMappingDetailMap"`
			Infos          struct{}        `json:"topicQueueMappingInfoMap"`
		} `json:"topicConfigSerializeWrapper"`
	}
	all.Filters, all.Topics.Version, all.Topics.Topics = []string{}, r.version, r.topics
	body, err := jsonBody(all)
	if err != nil {
		return err
	}
	fields := n.identity()
	for name, value := range map[string]string{
		"haServerAddr": n.broker, // it has to be there; nobody replicates from us
		"compressed":   "false", "enableActingMaster": "false",
		"bodyCrc32": strconv.Itoa(int(crc32.ChecksumIEEE(body) & 0x7fffffff)), // Java has no unsigned numbers
	} {
		fields.Set(name, value)
	}
	_, err = n.must(ctx, remoting.RegisterBroker, fields, body)
	return err
}

// unregister takes the registration back. That the connection ends says the same to a name server that does not
// answer.
func (n *nameServer) unregister(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveLimit)
	defer cancel()
	if _, err := n.must(ctx, remoting.UnregisterBroker, n.identity(), nil); err != nil {
		n.cluster.log.Warn("could not take the registration back", "name_server", n.conn.RemoteAddr().String(), "err", inWords(err))
	}
}

// knows says whether the name server has what was registered with a version. Asking keeps it there.
func (n *nameServer) knows(ctx context.Context, version dataVersion) (bool, error) {
	body, err := jsonBody(version)
	if err != nil {
		return false, err
	}
	answer, err := n.ask(ctx, remoting.QueryDataVersion, n.identity(), body)
	if err != nil {
		return false, err
	}
	// Name servers before 4.3 do not know the question: they are told everything.
	return answer.Code == remoting.Success && answer.Ext.Get("changed") == "false", nil
}

// unclaimed finds out whether another broker has our name, which shows in the route of the topic of that name.
// A name server would take the registration and send the clients of one to the other.
func (n *nameServer) unclaimed(ctx context.Context) error {
	answer, err := n.ask(ctx, remoting.GetRouteInfoByTopic, remoting.Fields{
		{Name: "topic", Value: n.cluster.broker}, {Name: "acceptStandardJsonOnly", Value: "true"},
	}, nil)
	if err != nil || answer.Code != remoting.Success {
		return err
	}
	if at := brokerAt(answer.Body, n.cluster.broker); at != "" && at != n.broker {
		return fmt.Errorf("the name %q belongs to %.100q in this cluster: %w", n.cluster.broker, at, errTaken)
	}
	return nil
}

// brokerAt gives the address of a broker in a route. Name servers before 4.9.4 write what is no JSON: then it is
// not known.
func brokerAt(body []byte, broker string) string {
	var route struct {
		Brokers []struct {
			Name  string            `json:"brokerName"`
			Addrs map[string]string `json:"brokerAddrs"`
		} `json:"brokerDatas"`
	}
	if json.Unmarshal(body, &route) != nil {
		return ""
	}
	for _, one := range route.Brokers {
		if one.Name == broker {
			return one.Addrs["0"]
		}
	}
	return ""
}
