package collectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

var errKilled = errors.New("killed")

// plant is the durable side of the commands and the device; it outlives the gateway. step counts
// down to the moment at which the gateway is killed: every effect has one moment before and one behind.
type plant struct {
	records []message.Record
	begun   message.Position
	replied message.Position
	replies []string
	writes  map[string]int
	refuse  map[string]string
	step    int  // 0: never
	dead    bool // nothing has an effect any more
}

// moment says whether the gateway is killed now.
func (p *plant) moment() error {
	if p.step > 0 {
		p.step--
		p.dead = p.step == 0
	}
	if p.dead {
		return errKilled
	}
	return nil
}

func (p *plant) add(payload string, change func(*message.Record)) {
	r := message.Record{Position: message.Position(10 + 3*len(p.records)), Message: message.Message{
		Topic: "commands/line-3/press", Payload: []byte(payload), Time: time.Now().UnixMilli()}}
	if change != nil {
		change(&r)
	}
	p.records = append(p.records, r)
}

func (p *plant) Next(ctx context.Context) (message.Record, bool, error) {
	for _, r := range p.records {
		if r.Position > p.replied {
			return r, r.Position <= p.begun, p.moment()
		}
	}
	<-ctx.Done()
	return message.Record{}, false, ctx.Err()
}

func (p *plant) Begin(_ context.Context, at message.Position) error {
	if err := p.moment(); err != nil {
		return err
	}
	p.begun = at
	return p.moment()
}

func (p *plant) Finish(_ context.Context, at message.Position, reply *message.Message) error {
	if err := p.moment(); err != nil {
		return err
	}
	p.replied = at
	p.replies = append(p.replies, string(reply.Payload))
	return p.moment()
}

func (p *plant) Recent(_ context.Context, give func([]byte)) error {
	for _, r := range p.records {
		if r.Position <= p.replied {
			give(r.Payload)
		}
	}
	return nil
}

func (p *plant) Read(context.Context, *message.Reading) error { return nil }
func (p *plant) Close() error                                 { return nil }
func (p *plant) Points() []Spec                               { return nil }

func (p *plant) Write(_ context.Context, point string, value json.RawMessage) (message.Value, error) {
	if err := p.moment(); err != nil {
		return message.Value{}, err
	}
	if why := p.refuse[point]; why != "" {
		return message.Value{}, errors.New(why)
	}
	p.writes[point+"="+string(value)]++
	if err := p.moment(); err != nil {
		return message.Value{}, err
	}
	return message.Text("now " + string(value)), nil
}

// run carries out what is there, and says whether the gateway was killed.
func (p *plant) run(t *testing.T, device Device) (killed bool) {
	t.Helper()
	c := &Commander{Gateway: "line-3", Name: "press", Device: device, Commands: p}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := c.Run(ctx)
	if err != nil && !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	p.dead = false
	return err != nil
}

func newPlant() *plant { return &plant{writes: map[string]int{}, refuse: map[string]string{}} }

func TestCommandsAreWrittenReadBackAndAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant()
		p.refuse["locked"] = "point locked is read-only; its access is not rw"
		old := func(r *message.Record) { r.Time -= 31_000 }
		p.add(`{"id":"a1","write":{"speed":42,"acceleration":1.5}}`, nil)
		p.add(`{"id":"a2","write":{"b":1,"locked":2,"c":3}}`, nil)
		p.add(`{"id":"a1","write":{"speed":42}}`, nil)
		p.add(`{"id":"a3","write":{"speed":43}}`, old)
		p.add(`{"id":"a4","write":{"speed":44}}`, func(r *message.Record) { r.Retain = true })
		p.add(`{"id":"a5","write":{"speed":45}}`, func(r *message.Record) {
			r.Properties = []message.Property{{Name: message.WasRetained, Value: "true"}}
		})
		p.add(`{"id":"a6","write":{"speed":46},"expires":500}`, func(r *message.Record) { r.Time -= 600 })
		p.add(`{"id":"a7","write":{"speed":47}}`, func(r *message.Record) {
			r.Time -= 2000
			r.Properties = []message.Property{{Name: message.Expiry, Value: "1"}}
		})
		p.add(`{"write":{"speed":48}}`, nil)
		p.add(`{"id":"a9","write":{}}`, nil)
		p.add(`go`, nil)
		p.run(t, p)
		for i, want := range []string{
			`{"id":"a1","ok":true,"values":{"speed":"now 42","acceleration":"now 1.5"}}`,
			`{"id":"a2","ok":false,"values":{"b":"now 1"},"error":"point locked is read-only; its access is not rw"}`,
			`{"id":"a1","ok":false,"error":"not written: a command with this id was received before"}`,
			`{"id":"a3","ok":false,"error":"not written: it is 31s old and was good for 30s"}`,
			`{"id":"a4","ok":false,"error":"not written: a retained command would be carried out again and again"}`,
			`{"id":"a5","ok":false,"error":"not written: a retained command would be carried out again and again"}`,
			`{"id":"a6","ok":false,"error":"not written: it is 1s old and was good for 500ms"}`,
			`{"id":"a7","ok":false,"error":"not written: it is 2s old and was good for 1s"}`,
			`{"id":"","ok":false,"error":"not written: the command needs an id of up to 128 bytes, by which its reply is known"}`,
			`{"id":"a9","ok":false,"error":"not written: write is no object of points and values: it is empty"}`,
		} {
			if p.replies[i] != want {
				t.Errorf("reply %d is\n%s, want\n%s", i, p.replies[i], want)
			}
		}
		if last := p.replies[len(p.replies)-1]; len(p.replies) != 11 || !strings.Contains(last, "the command is no JSON") {
			t.Errorf("%d replies, the last is %s", len(p.replies), last)
		}
		if want := "map[acceleration=1.5:1 b=1:1 speed=42:1]"; fmt.Sprint(p.writes) != want {
			t.Errorf("written: %v, want %s", p.writes, want)
		}
	})
}

// silent is a device that cannot be written.
type silent struct{ Device }

func TestADeviceThatCannotBeWrittenSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant()
		p.add(`{"id":"a1","write":{"speed":42}}`, nil)
		p.run(t, silent{p})
		if len(p.replies) != 1 || !strings.Contains(p.replies[0], "cannot be written") || len(p.writes) != 0 {
			t.Errorf("replies %q, writes %v", p.replies, p.writes)
		}
	})
}

// TestAKillAtAnyStepWritesAtMostOnce kills the gateway before and behind every effect of three
// commands, restarts it, and counts what the device saw and what was answered.
func TestAKillAtAnyStepWritesAtMostOnce(t *testing.T) {
	kills, unknown := 0, 0
	for step := 1; ; step++ {
		killed := false
		synctest.Test(t, func(t *testing.T) {
			p := newPlant()
			p.step = step
			for i := range 3 {
				p.add(fmt.Sprintf(`{"id":"a%d","write":{"speed":%d}}`, i, i), nil)
			}
			killed = p.run(t, p)
			if p.run(t, p) {
				t.Fatal("killed twice")
			}
			if len(p.replies) != 3 {
				t.Fatalf("killed at step %d: %d replies: %q", step, len(p.replies), p.replies)
			}
			for i, reply := range p.replies {
				n := p.writes[fmt.Sprintf("speed=%d", i)]
				var r struct {
					ID    string
					OK    bool
					Error string
				}
				if err := json.Unmarshal([]byte(reply), &r); err != nil || r.ID != fmt.Sprintf("a%d", i) {
					t.Errorf("killed at step %d: reply %d is %s", step, i, reply)
				}
				if strings.HasPrefix(r.Error, "outcome unknown") {
					unknown++
				}
				switch {
				case n > 1:
					t.Errorf("killed at step %d: command %d was written %d times", step, i, n)
				case r.OK && n != 1:
					t.Errorf("killed at step %d: command %d is said to be done and was written %d times", step, i, n)
				case strings.HasPrefix(r.Error, "not written") && n != 0:
					t.Errorf("killed at step %d: command %d is said to be not written and was", step, i)
				}
			}
		})
		if !killed {
			break
		}
		kills++
	}
	if kills < 15 || unknown < 3 {
		t.Errorf("%d kills, %d of them with an unknown outcome: the test has lost its steps", kills, unknown)
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add([]byte(`{"id":"a1","write":{"setpoint":42,"b":[1,{}]},"expires":5000}`))
	f.Add([]byte(`{"id":1}`))
	f.Add([]byte(`{"id":"x","write":{"a":1}} {`))
	f.Add([]byte(`{"id":"x","write":{"a":1,"a":2}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, problem := parseCommand(payload)
		if problem == "" && (c.ID == "" || len(c.Write) == 0 || len(c.Write) > maxWrites) {
			t.Errorf("accepted %+v", c)
		}
		r := reply{ID: c.ID, Error: problem}
		if !json.Valid(r.appendJSON(nil)) {
			t.Errorf("the reply to %q is no JSON", payload)
		}
	})
}
