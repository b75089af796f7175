package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
	"sluice/web"
)

// asked asks the API and reads its answer.
func asked[T any](t *testing.T, c *client, method, path, body string) (answer T) {
	t.Helper()
	status, text := c.ask(method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s answers %d: %s", method, path, status, text)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s answers %s: %v", method, path, text, err)
	}
	return answer
}

type items[T any] struct{ Items []T }

// sent sends a message as a RocketMQ producer does.
func sent(t *testing.T, g *Gateway, m queue.Message) queue.Sent {
	t.Helper()
	type outcome struct {
		sent queue.Sent
		err  error
	}
	heard := make(chan outcome, 1)
	if err := g.queues.Send(t.Context(), &m, 0, func(sent queue.Sent, err error) { heard <- outcome{sent, err} }); err != nil {
		t.Fatal(err)
	}
	o := <-heard
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.sent
}

func withMessages(t *testing.T) (*Gateway, *client) {
	t.Helper()
	address := freePort(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf("{store: {dir: ./data}, web: {listen: \"%s\"}}", address)))
	start(t, g.Run)
	return g, signIn(t, address)
}

func TestMessagesAreSearchedOverTheAPI(t *testing.T) {
	g, c := withMessages(t)
	published(t, g, 3) // over MQTT
	heard := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { heard <- err })
	reading := &message.Message{Topic: "readings/g/press", Device: "press", Seq: 1, Payload: []byte("{}"), QoS: 1}
	if err := g.broker.Publish(t.Context(), reading, ack, 0); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; err != nil {
		t.Fatal(err)
	}
	before := time.Now().UTC()
	var last queue.Sent
	for i := range 5 {
		last = sent(t, g, queue.Message{Topic: "orders", Queue: i % 2, Body: fmt.Append(nil, "order ", i), BornTime: 1_700_000_000_000, Properties: []message.Property{
			{Name: queue.Keys, Value: fmt.Sprintf("o%d all", i)}, {Name: queue.UniqueKey, Value: fmt.Sprintf("U%d", i)}, {Name: queue.Tags, Value: "new"}}})
	}
	if err := g.queues.Commit("billing", "orders", 0, 2); err != nil {
		t.Fatal(err)
	}
	find := func(query string) []web.MessageHead {
		t.Helper()
		return asked[items[web.MessageHead]](t, c, "GET", "/messages?"+query, "").Items
	}
	for query, want := range map[string]int{
		"key=o3": 1, "key=all": 5, "key=all&limit=2": 2, "key=U4": 1, "key=all&topic=readings": 0, "key=nothing": 0,
		"key=press": 1, "key=press&topic=readings": 1, "key=press&topic=orders": 0,
		"topic=orders": 5, "topic=orders&limit=3": 3, "topic=readings": 4,
		"topic=orders&from=" + url.QueryEscape(time.Now().Add(time.Hour).UTC().Format(time.RFC3339)):       0,
		"topic=orders&to=" + url.QueryEscape(before.Add(-time.Hour).Format(time.RFC3339)):                  0,
		"id=" + remoting.OffsetID(netip.MustParseAddrPort("127.0.0.1:10911"), uint64(last.Position)):       1,
		"id=" + remoting.OffsetID(netip.MustParseAddrPort("127.0.0.1:10911"), uint64(last.Position)+1_000): 0,
		"id=nonsense": 0,
	} {
		if found := find(query); len(found) != want {
			t.Errorf("%s finds %+v, want %d", query, found, want)
		}
	}
	if found := find("topic=orders"); found[0].Keys != "o0 all" || found[4].Keys != "o4 all" {
		t.Errorf("by time they come as %+v", found)
	}
	if status, _ := c.ask("GET", "/messages?topic=nowhere", ""); status != http.StatusOK {
		t.Errorf("a topic that is not there answers %d", status)
	}

	m := asked[web.Message](t, c, "GET", fmt.Sprintf("/messages/%d", last.Position), "")
	if m.Text != "order 4" || m.UniqueKey != "U4" || m.Tags != "new" || m.Queue != 0 || m.Offset != 2 || m.MQTTTopic != "orders" || !m.Born.Equal(time.UnixMilli(1_700_000_000_000)) {
		t.Errorf("the message is %+v", m)
	}
	if len(m.Track) != 1 || m.Track[0] != (web.Track{Group: "billing", State: "waiting", Next: 2}) {
		t.Errorf("its track is %+v", m.Track)
	}
	first := find("key=o0")[0]
	if m := asked[web.Message](t, c, "GET", fmt.Sprintf("/messages/%d", first.Position), ""); len(m.Track) != 1 || m.Track[0].State != "consumed" {
		t.Errorf("the track of the first is %+v", m.Track)
	}
	if status, _ := c.ask("GET", "/messages/100000", ""); status != http.StatusNotFound {
		t.Errorf("a message that is not there answers %d", status)
	}

	topics := asked[items[web.Topic]](t, c, "GET", "/topics", "").Items
	counted := map[string]uint64{}
	for _, topic := range topics {
		for _, q := range topic.Queues {
			counted[topic.Name] += q.Next - q.First
		}
	}
	if counted["orders"] != 5 || counted["readings"] != 4 {
		t.Errorf("topics are %+v", topics)
	}
	groups := asked[items[web.Group]](t, c, "GET", "/groups", "").Items
	if len(groups) != 1 || groups[0].Name != "billing" || groups[0].Lag != 1 || groups[0].MaxRetries != queue.DefaultRetries || groups[0].Queues[0].End != 3 {
		t.Errorf("groups are %+v", groups)
	}
}

func TestMessagesAreSentAgainOverTheAPI(t *testing.T) {
	g, c := withMessages(t)
	body := make([]byte, 70_000)
	for i := range body {
		body[i] = byte(i)
	}
	dead := sent(t, g, queue.Message{Topic: "%DLQ%billing", Queue: 0, Reconsumed: 17, Body: body, Properties: []message.Property{
		{Name: queue.Keys, Value: "k"}, {Name: queue.RetryTopicName, Value: "orders"}, {Name: "1ST_POP_TIME", Value: "5"}}})
	path := fmt.Sprintf("/messages/%d", dead.Position)
	if m := asked[web.Message](t, c, "GET", path, ""); len(m.Binary) != 64<<10 || !m.Cut || m.Text != "" || m.Retries != 17 {
		t.Errorf("a binary message is shown with %d bytes, cut %v", len(m.Binary), m.Cut)
	}
	if status, _ := c.ask("POST", path+"/resend", `{"group":"billing"}`); status != http.StatusNotFound {
		t.Errorf("sending to a group that is not there answers %d", status)
	}
	if _, err := g.queues.UseGroup(t.Context(), "billing"); err != nil {
		t.Fatal(err)
	}
	check := func(request, topic string) {
		t.Helper()
		resent := asked[web.Resent](t, c, "POST", path+"/resend", request)
		m, err := g.queues.At(message.Position(resent.Position))
		if err != nil || m.Topic != topic || resent.Topic != topic || m.Reconsumed != 0 || m.Property(queue.Keys) != "k" || m.Property("1ST_POP_TIME") != "" || len(m.Body) != len(body) {
			t.Errorf("%s sends %+v to %+v, %v", request, m, resent, err)
		}
	}
	check(`{}`, "orders")
	check(`{"group":"billing"}`, "%RETRY%billing")
	if _, err := g.queues.Pop(queue.PopRequest{Group: "billing", Topic: "orders", Queue: -1}); err != nil {
		t.Fatal(err)
	}
	check(`{"group":"billing"}`, "%RETRY%billing_orders") // where a group looks that pops

	half := sent(t, g, queue.Message{Topic: "orders", Queue: 0, Properties: []message.Property{{Name: queue.Transaction, Value: "true"}, {Name: queue.ProducerGroup, Value: "p"}}})
	if status, _ := c.ask("POST", fmt.Sprintf("/messages/%d/resend", half.Position), `{}`); status != http.StatusConflict {
		t.Errorf("sending a half message again answers %d", status)
	}
	if list := asked[items[web.Audit]](t, c, "GET", "/audit", "").Items; len(list) != 4 || list[0].Action != "message resent" || list[0].User != Administrator {
		t.Errorf("audit is %+v", list)
	}
}

func TestGroupsAreResetOverTheAPI(t *testing.T) {
	g, c := withMessages(t)
	for range 3 {
		sent(t, g, queue.Message{Topic: "orders", Queue: 0})
	}
	if err := g.queues.Commit("billing", "orders", 0, 3); err != nil {
		t.Fatal(err)
	}
	reset := func(to time.Time) []web.Reset {
		t.Helper()
		return asked[items[web.Reset]](t, c, "POST", "/groups/billing/reset", fmt.Sprintf(`{"topic":"orders","to":%q}`, to.Format(time.RFC3339Nano))).Items
	}
	var told []queue.Place
	g.queues.SetMover(func(group string, places []queue.Place) {
		if group != "billing" {
			t.Errorf("consumers of %s are told", group)
		}
		told = append(told, places...)
	})
	list := reset(time.Now().Add(-time.Hour))
	if len(told) != 4 || told[3] != (queue.Place{Topic: "orders", Queue: 3, Next: 0}) {
		t.Errorf("consumers are told %+v", told)
	}
	if len(list) != 4 || list[0].After != 0 || list[0].Before == nil || *list[0].Before != 3 || list[1].Before != nil {
		t.Errorf("reset gives %+v", list)
	}
	if next, _ := g.queues.Offset("billing", "orders", 0); next != 0 {
		t.Errorf("the group is at %d", next)
	}
	if list := reset(time.Now().Add(time.Hour)); list[0].After != 3 || *list[0].Before != 0 {
		t.Errorf("reset to what is to come gives %+v", list)
	}
	reset(time.Time{}.AddDate(1969, 0, 0)) // 1970: all
	if groups := asked[items[web.Group]](t, c, "GET", "/groups", "").Items; groups[0].Lag != 3 {
		t.Errorf("groups are %+v", groups)
	}
	for _, path := range []string{"/groups/nobody/reset orders", "/groups/billing/reset nowhere"} {
		var at, topic string
		if _, err := fmt.Sscan(path, &at, &topic); err != nil {
			t.Fatal(err)
		}
		if status, _ := c.ask("POST", at, fmt.Sprintf(`{"topic":%q,"to":"2026-11-23T08:00:00Z"}`, topic)); status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, status)
		}
	}
}

func TestATopicIsReadFromItsEnd(t *testing.T) {
	g, c := withMessages(t)
	var all []uint64
	for i := range 30 {
		all = append(all, uint64(sent(t, g, queue.Message{Topic: "orders", Queue: i % 3, Body: []byte("x")}).Position))
	}
	next := ""
	for len(all) > 0 {
		page := asked[struct {
			Items []web.MessageHead
			Order string
			Next  uint64
		}](t, c, "GET", "/messages?topic=orders&order=newest&limit=7"+next, "")
		if page.Order != "newest" || len(page.Items) != min(7, len(all)) {
			t.Fatalf("with %d to come, %d are found, the %s first", len(all), len(page.Items), page.Order)
		}
		for _, head := range page.Items {
			if last := all[len(all)-1]; head.Position != last {
				t.Fatalf("message %d comes where %d belongs", head.Position, last)
			}
			all = all[:len(all)-1]
		}
		next = fmt.Sprintf("&next=%d", page.Next)
	}
	detail := asked[web.TopicDetail](t, c, "GET", "/topics/orders", "")
	if detail.Last == nil || time.Since(*detail.Last) > time.Hour || len(detail.Queues) < 3 {
		t.Errorf("the topic is %+v", detail)
	}
}

func TestSparkplugPayloadsAreShownInWords(t *testing.T) {
	g, c := withMessages(t)
	shown := func(topic string) web.Message {
		t.Helper()
		heard := make(chan error, 1)
		ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { heard <- err })
		// The alias 3 as an Int64 of -9, and the alias 4 without a value.
		payload := []byte("\x08\xf0\xbe\xc3\x97\xa0\x34\x12\x0f\x10\x03\x20\x04\x58\xf7\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x04\x10\x04\x38\x01\x18\x05")
		if err := g.broker.Publish(t.Context(), &message.Message{Topic: topic, Payload: payload, QoS: 1}, ack, 0); err != nil {
			t.Fatal(err)
		}
		if err := <-heard; err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(topic, "/")
		found := asked[items[web.MessageHead]](t, c, "GET", "/messages?topic="+first, "").Items
		return asked[web.Message](t, c, "GET", fmt.Sprint("/messages/", found[len(found)-1].Position), "")
	}
	m := shown("spBv1.0/plant/DDATA/line-3/press")
	s := m.Sparkplug
	if s == nil || s.Kind != "DDATA" || s.Group != "plant" || s.Node != "line-3" || s.Device != "press" || *s.Seq != 5 || s.Time.UnixMilli() != 1795345670000 || s.Count != 2 || len(s.Metrics) != 2 {
		t.Fatalf("it is shown as %+v", s)
	}
	if one := s.Metrics[0]; one.Alias != "3" || one.Type != "Int64" || one.Value == nil || *one.Value != "-9" {
		t.Errorf("the first metric is %+v", one)
	}
	if one := s.Metrics[1]; one.Alias != "4" || one.Value != nil {
		t.Errorf("the second metric is %+v", one)
	}
	if len(m.Binary) == 0 {
		t.Error("the bytes are not shown beside")
	}
	if m := shown("plant/press"); m.Sparkplug != nil {
		t.Errorf("on another topic it is shown as %+v", m.Sparkplug)
	}
}
