package crashtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/message"
	"sluice/store"
)

// The small state: sessions with their filters, what is under way in both directions, retained messages.
// Its model is a value for every key. A worker says what it will set before it does, and when that has
// become durable; after a kill a value is the one that was durable for certain, or one set since.
//
//	w KEY VALUE   will be set     d KEY VALUE   is durable     D CLIENT   all of the client's is durable
//	N CLIENT      begins anew     U CLIENT n    moves its cursor up to n     L CLIENT n   that is durable
//	p CLIENT n    publishes its message n with QoS 2     b CLIENT n position   that was acknowledged
//	z CLIENT      gives up what it was publishing
//	f KEY VALUE   found at open   F             all that was found
//
// Fields are parted by tabs.
const (
	clients  = 4
	packets  = 50 // ids in use
	topics   = 12
	nothing  = "nothing"
	anywhere = message.Position(math.MaxInt64)
)

// mortal is the client whose session ends with its connection, and so with every kill.
const mortal = clients - 1

func clientName(c int) string { return fmt.Sprint("client-", c) }

// packet is the id under which a client publishes its message n.
func packet(n uint64) uint16 { return uint16(1 + n%packets) }

func expiry(c int) time.Duration {
	switch c {
	case 0:
		return store.NeverExpires
	case mortal:
		return 0
	}
	return time.Hour
}

func sessionKey(client string) string { return client + " session" }
func receivedKey(client string, id uint16) string {
	return fmt.Sprint(client, " received ", id)
}
func filterKey(client, filter string) string { return client + " filter " + filter }
func flightsKey(client string) string        { return client + " flights" }
func upToKey(client string) string           { return client + " up to" }
func retainedKey(topic string) string        { return "retained " + topic }

func filterValue(sub store.Subscription) string {
	return fmt.Sprint(sub.Options, ",", sub.Identifier)
}

func flightsValue(upTo message.Position, under []store.Flight) string {
	if len(under) == 0 {
		return nothing
	}
	return fmt.Sprint(upTo, under)
}

// inbound tells the log which of the clients' messages is whose.
func inbound(m *message.Message) (session string, id uint16, ok bool) {
	for _, p := range m.Properties {
		if p.Name == "from" {
			session, number, _ := strings.Cut(p.Value, ":")
			n, err := strconv.ParseUint(number, 10, 16)
			return session, uint16(n), err == nil
		}
	}
	return "", 0, false
}

// found gives the small state of a log.
func found(s *store.Store) (map[string]string, error) {
	state := make(map[string]string)
	for _, status := range s.Sessions() {
		x, _, err := s.OpenSession(status.ID, status.Limit, false)
		if err != nil {
			return nil, err
		}
		state[sessionKey(x.ID())] = status.Limit.String()
		filters := x.Subscriptions()
		for _, sub := range filters {
			state[filterKey(x.ID(), sub.Filter)] = filterValue(sub)
		}
		upTo, under := x.Flights()
		if len(under) > 0 {
			state[flightsKey(x.ID())] = flightsValue(upTo, under)
		}
		if x.Cursor() != nil {
			state[upToKey(x.ID())] = fmt.Sprint(upTo)
		} else if len(filters) > 0 {
			return nil, fmt.Errorf("%s has filters and no cursor", x.ID())
		}
		for _, id := range x.ReceivedIDs() {
			state[receivedKey(x.ID(), id)] = "yes"
		}
		x.Close(status.Limit)
	}
	err := s.EachRetained("#", func(r *message.Record) error {
		version, _, _ := strings.Cut(string(r.Payload), " ")
		state[retainedKey(r.Topic)] = version
		if string(r.Payload) != string(retainedPayload(version)) {
			return fmt.Errorf("the retained message of %s is not what was published as %s", r.Topic, version)
		}
		return nil
	})
	return state, err
}

// small is the model of the small state.
type small struct {
	values  map[string][]string // what each key may be: first what is durable for certain
	lowest  [clients]message.Position
	highest [clients]message.Position
	sent    [clients]uint64          // the highest number that a client has published or tried to
	open    [clients]map[uint64]bool // published, not known to be acknowledged
	finding map[string]string
	checked int // values that were compared
}

func newSmall() small {
	m := small{values: make(map[string][]string)}
	for c := range clients {
		m.open[c] = make(map[uint64]bool)
		m.highest[c] = anywhere
	}
	return m
}

func (m *small) copy() small {
	c := *m
	c.values = make(map[string][]string, len(m.values))
	for key, values := range m.values {
		c.values[key] = slices.Clone(values)
	}
	for i := range clients {
		c.open[i] = maps.Clone(m.open[i])
	}
	c.finding = maps.Clone(m.finding)
	return c
}

func (m *small) candidates(key string) []string {
	if values := m.values[key]; values != nil {
		return values
	}
	return []string{nothing}
}

func (m *small) will(key, value string) { m.values[key] = append(m.candidates(key), value) }

// durable drops what a key was before value.
func (m *small) durable(key, value string) {
	values := m.candidates(key)
	if i := slices.Index(values[1:], value); i >= 0 {
		m.settle(key, slices.Clone(values[i+1:]))
	}
}

func (m *small) settle(key string, values []string) {
	if len(values) == 1 && values[0] == nothing {
		delete(m.values, key)
	} else {
		m.values[key] = values
	}
}

func (m *small) of(client string) (keys []string) {
	for key := range m.values {
		if strings.HasPrefix(key, client+" ") {
			keys = append(keys, key)
		}
	}
	return keys
}

// number gives the client's number.
func number(client string) (c int, err error) {
	c, err = strconv.Atoi(strings.TrimPrefix(client, "client-"))
	if err == nil && (c < 0 || c >= clients) {
		err = fmt.Errorf("there is no %s", client)
	}
	return c, err
}

// foresee takes what a worker says that it will do, and nothing that it was promised.
func (m *small) foresee(line string) error {
	switch word, _, _ := strings.Cut(line, "\t"); word {
	case "w", "N", "U", "p":
		return m.hear(line)
	}
	return nil
}

// hear takes a line about the small state.
func (m *small) hear(line string) error {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	fields = append(fields, "", "", "")
	word, key, value := fields[0], fields[1], fields[2]
	switch word {
	case "w":
		m.will(key, value)
		return nil
	case "d":
		m.durable(key, value)
		return nil
	case "f":
		if m.finding == nil {
			m.finding = make(map[string]string)
		}
		m.finding[key] = value
		return nil
	case "F":
		state := m.finding
		m.finding = nil
		return m.compare(state)
	}
	c, err := number(key)
	if err != nil {
		return err
	}
	n, _ := strconv.ParseUint(value, 10, 64)
	switch word {
	case "D":
		for _, key := range m.of(key) {
			m.settle(key, m.values[key][len(m.values[key])-1:])
		}
	case "N":
		for _, key := range m.of(key) {
			m.will(key, nothing)
		}
		m.lowest[c], m.highest[c] = 0, anywhere
	case "U":
		m.highest[c] = max(m.highest[c], message.Position(n))
	case "L":
		m.lowest[c], m.highest[c] = message.Position(n), message.Position(n)
	case "p":
		m.sent[c] = max(m.sent[c], n)
		m.open[c][n] = true
		if c != mortal {
			m.will(receivedKey(key, packet(n)), "yes")
		}
	case "b":
		delete(m.open[c], n)
		m.durable(receivedKey(key, packet(n)), "yes")
	case "z":
		clear(m.open[c])
	default:
		return fmt.Errorf("the worker says %q", line)
	}
	return nil
}

// compare holds what was found against what may be, and goes on from what was found.
func (m *small) compare(state map[string]string) error {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(state)), maps.Keys(m.values))
	for _, key := range keys {
		got, known := state[key]
		if !known {
			got = nothing
		}
		if client, is := strings.CutSuffix(key, " up to"); is {
			if err := m.compareUpTo(client, got); err != nil {
				return err
			}
			continue
		}
		if !slices.Contains(m.candidates(key), got) {
			return fmt.Errorf("%s is %s, may be %s", key, got, strings.Join(m.candidates(key), " or "))
		}
		m.checked++
		m.settle(key, []string{got})
	}
	for c := range clients {
		if _, stands := state[upToKey(clientName(c))]; stands {
			continue
		}
		if _, known := state[sessionKey(clientName(c))]; known && m.lowest[c] > 0 {
			return fmt.Errorf("%s has no cursor, it stood at %d", clientName(c), m.lowest[c])
		}
		m.lowest[c], m.highest[c] = 0, anywhere
	}
	return nil
}

func (m *small) compareUpTo(client, value string) error {
	c, err := number(client)
	if err != nil {
		return err
	}
	at, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return err
	}
	if p := message.Position(at); p < m.lowest[c] || p > m.highest[c] {
		return fmt.Errorf("%s stands at %d, must be within %d and %d", client, p, m.lowest[c], m.highest[c])
	}
	m.lowest[c], m.highest[c] = message.Position(at), message.Position(at)
	return nil
}

// resume tells the next worker where the clients are: for each the number of its last message, then those
// of which it does not know whether they were acknowledged.
func (m *small) resume() string {
	var text strings.Builder
	for c := range clients {
		fmt.Fprint(&text, m.sent[c])
		for _, n := range slices.Sorted(maps.Keys(m.open[c])) {
			fmt.Fprint(&text, ",", n)
		}
		text.WriteString(";")
	}
	return text.String()
}

// readResume gives what resume says about one client.
func readResume(text string, c int) (sent uint64, open []uint64, err error) {
	if text == "" {
		return 0, nil, nil
	}
	all := strings.Split(text, ";")
	if c >= len(all) {
		return 0, nil, fmt.Errorf("%q says nothing about client %d", text, c)
	}
	for i, number := range strings.Split(all[c], ",") {
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return 0, nil, err
		}
		if i == 0 {
			sent = n
		} else {
			open = append(open, n)
		}
	}
	return sent, open, nil
}
