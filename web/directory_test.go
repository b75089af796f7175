package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestLongListsAreAnsweredInParts(t *testing.T) {
	gateway := newFakeGateway()
	gateway.messages.many = 10_000
	s := newServer(t, gateway, signedUp(t))
	for query, want := range map[string]struct {
		first, last string
		n, total    int
	}{
		"limit=50": {"%RETRY%billing", "line-00048", 50, 10_002},
		"limit=50&next=" + place{Name: "line-09998"}.String():             {"line-09999", "orders", 2, 10_002},
		"limit=50&internal=false":                                         {"line-00000", "line-00049", 50, 10_001},
		"search=ORDER":                                                    {"orders", "orders", 1, 1},
		"search=-0999&limit=3&next=" + place{Name: "line-09991"}.String(): {"line-09992", "line-09994", 3, 10},
		"search=billing&internal=false":                                   {"", "", 0, 0},
		"limit=50&next=" + place{Name: "zzz"}.String():                    {"", "", 0, 10_002},
		"search=nothing&limit=200":                                        {"", "", 0, 0},
	} {
		before := gateway.messages.looked
		page := decode[directory[Topic]](t, ask(s, "GET", "/api/v1/topics?"+query, "", bearer(s)...))
		if looked := gateway.messages.looked - before; looked != want.n {
			t.Errorf("%s looks into the queues of %d topics to show %d", query, looked, want.n)
		}
		if page.Items == nil || len(page.Items) != want.n || page.Total != want.total {
			t.Errorf("%s gives %d of %d, want %d of %d", query, len(page.Items), page.Total, want.n, want.total)
			continue
		}
		if n := len(page.Items); n > 0 && (page.Items[0].Name != want.first || page.Items[n-1].Name != want.last) {
			t.Errorf("%s gives %s to %s, want %s to %s", query, page.Items[0].Name, page.Items[n-1].Name, want.first, want.last)
		}
	}
	for _, query := range []string{"limit=0", "limit=201"} {
		if p := wantProblem(t, ask(s, "GET", "/api/v1/groups?"+query, "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != "limit" {
			t.Errorf("%s: the refusal names %q", query, p.Field)
		}
	}
	byName, byLag := place{Name: "billing"}.String(), place{"billing", 2, "lag"}.String()
	for _, query := range []string{"next=!", "next=bm8", "next=bnVsbA", "next=e30", "order=lag&next=" + byName, "next=" + byLag, "next=" + byName[:7]} {
		if p := wantProblem(t, ask(s, "GET", "/api/v1/groups?"+query, "", bearer(s)...), http.StatusBadRequest); p.Field != "next" {
			t.Errorf("%s: the refusal names %q", query, p.Field)
		}
	}
	rest := decode[directory[Group]](t, ask(s, "GET", "/api/v1/groups?order=lag&next="+byLag, "", bearer(s)...))
	if len(rest.Items) != 1 || rest.Items[0].Name == "billing" {
		t.Errorf("behind billing by lag come %+v", rest)
	}
	page := decode[directory[Group]](t, ask(s, "GET", "/api/v1/groups?order=lag", "", bearer(s)...))
	if len(page.Items) != 2 || page.Items[0].Name != "billing" || *page.Items[0].Clients != 2 {
		t.Errorf("by lag groups are %+v", page)
	}
}

// Whoever turns the pages sees every entry once that is there all the time, whatever comes and goes meanwhile.
func TestPagesHoldWhileEntriesComeAndGo(t *testing.T) {
	gateway := newFakeGateway()
	gateway.messages.many = 100
	s := newServer(t, gateway, signedUp(t))
	seen := map[string]int{}
	next := ""
	for turn := range 20 {
		page := decode[directory[Topic]](t, ask(s, "GET", "/api/v1/topics?internal=false&limit=30"+next, "", bearer(s)...))
		for _, topic := range page.Items {
			seen[topic.Name]++
		}
		if page.Next == "" {
			break
		}
		next = "&next=" + page.Next
		gateway.messages.many = 100 - 10*turn // the last ones go
	}
	for name, times := range seen {
		if times != 1 {
			t.Errorf("%s comes %d times", name, times)
		}
	}
	for i := range 80 {
		if name := fmt.Sprintf("line-%05d", i); seen[name] != 1 {
			t.Errorf("%s comes %d times", name, seen[name])
		}
	}
	// The entry that a page ended with has gone, and one before it is new.
	items := []string{"a", "aa", "c", "d"}
	behind := place{Name: "b"}
	if from := slices.IndexFunc(items, func(name string) bool { return byName(place{Name: name}, behind) > 0 }); from != 2 {
		t.Errorf("behind b it goes on at %d", from)
	}
}

func FuzzPlace(f *testing.F) {
	f.Add(place{Name: "line-1"}.String())
	f.Add(place{"billing", 1 << 63, "lag"}.String())
	f.Add("bnVsbA")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlace(text)
		if err != nil {
			return
		}
		if again, err := parsePlace(p.String()); err != nil || again != p {
			t.Errorf("%q does not survive a round trip: %+v, %v", text, again, err)
		}
	})
}

func TestATopicIsShownWithItsReaders(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	got := decode[TopicDetail](t, ask(s, "GET", "/api/v1/topics/orders", "", bearer(s)...))
	if len(got.Queues) != 1 || !slices.Equal(got.Groups, []TopicGroup{{"billing", 2}}) || got.Last == nil || !got.Last.Equal(fakeBorn) {
		t.Errorf("the topic is %+v", got)
	}
	got = decode[TopicDetail](t, ask(s, "GET", "/api/v1/topics/%25RETRY%25billing", "", bearer(s)...))
	if !got.Internal || got.Groups == nil || len(got.Groups) != 0 || got.Last != nil {
		t.Errorf("a topic that nobody reads is %+v", got)
	}
	if g := decode[Group](t, ask(s, "GET", "/api/v1/groups/billing", "", bearer(s)...)); g.Lag != 2 || g.Mode != "clustering" {
		t.Errorf("the group is %+v", g)
	}
	for _, path := range []string{"topics/none", "groups/none"} {
		wantProblem(t, ask(s, "GET", "/api/v1/"+path, "", bearer(s)...), http.StatusNotFound)
	}
}

// sameMoment is Messages whose messages were all stored in one of two milliseconds. It cannot read from the
// end of a topic.
type sameMoment struct {
	Messages
	messages uint64
}

func (m sameMoment) at(position uint64) MessageHead {
	stored := fakeBorn
	if position > m.messages/2 {
		stored = fakeBorn.Add(time.Millisecond)
	}
	return MessageHead{Position: position, Topic: "orders", Stored: stored}
}

func (m sameMoment) Message(position uint64) (Message, error) {
	if position > m.messages {
		return Message{}, fmt.Errorf("%w: %d", ErrUnknown, position)
	}
	return Message{MessageHead: m.at(position)}, nil
}

func (m sameMoment) Search(_ context.Context, wanted Search) (found []MessageHead, err error) {
	for i := range m.messages {
		head := m.at(i + 1)
		if wanted.Key != "" {
			head = m.at(m.messages - i)
		}
		if len(found) < wanted.Limit && !head.Stored.Before(wanted.From) && (wanted.To.IsZero() || !head.Stored.After(wanted.To)) {
			found = append(found, head)
		}
	}
	return found, nil
}

func TestSearchesArePagedThroughMessagesOfOneMoment(t *testing.T) {
	gateway := newFakeGateway()
	for query, order := range map[string]string{"topic=orders": oldest, "topic=orders&order=newest": oldest, "key=k1": newest} {
		s := newServer(t, gateway, signedUp(t))
		s.options.Messages = sameMoment{&gateway.messages, 500}
		var all []uint64
		next := ""
		for range 20 {
			page := decode[foundPage](t, ask(s, "GET", "/api/v1/messages?limit=60&"+query+next, "", bearer(s)...))
			if page.Order != order {
				t.Fatalf("%s is answered %s first", query, page.Order)
			}
			for _, head := range page.Items {
				all = append(all, head.Position)
			}
			if page.Next == 0 {
				break
			}
			next = fmt.Sprintf("&next=%d", page.Next)
		}
		if order == newest {
			slices.Reverse(all)
		}
		for i, position := range all {
			if position != uint64(i+1) {
				t.Fatalf("%s: place %d has message %d", query, i, position)
			}
		}
		if len(all) != 500 {
			t.Errorf("%s: pages show %d messages", query, len(all))
		}
	}
}

func TestATopicIsPagedFromItsEnd(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	page := decode[foundPage](t, ask(s, "GET", "/api/v1/messages?topic=orders&order=newest&limit=2", "", bearer(s)...))
	if len(page.Items) != 2 || page.Items[0].Position != 3 || page.Order != newest || page.Next != 2 {
		t.Errorf("the first page is %+v", page)
	}
	page = decode[foundPage](t, ask(s, "GET", "/api/v1/messages?topic=orders&order=newest&limit=2&next=2", "", bearer(s)...))
	if len(page.Items) != 1 || page.Items[0].Position != 1 || page.Next != 0 {
		t.Errorf("the second page is %+v", page)
	}
	if p := wantProblem(t, ask(s, "GET", "/api/v1/messages?topic=orders&next=x", "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != "next" {
		t.Errorf("the refusal names %q", p.Field)
	}
}
