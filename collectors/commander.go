package collectors

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sluice/gateway/message"
)

// Commands is where the commands for one device come from, oldest first, each once. One goroutine
// uses it.
type Commands interface {
	// Next waits for a command. begun says that an earlier run had begun with it and did not live
	// to say what became of it.
	Next(ctx context.Context) (command message.Record, begun bool, err error)
	// Begin makes durable that the command is being carried out.
	Begin(ctx context.Context, at message.Position) error
	// Finish publishes the reply and makes durable that the command has it, both or neither.
	Finish(ctx context.Context, at message.Position, reply *message.Message) error
	// Recent gives the payloads of the commands before those that Next will give, as far back as
	// they are known.
	Recent(ctx context.Context, give func(payload []byte)) error
}

const (
	// freshness is how long after its durable arrival a command is carried out.
	freshness = 30 * time.Second
	// oneWrite bounds the writing and reading back of a command's points.
	oneWrite = 30 * time.Second
)

// Commander carries out the commands for one device: each is written at most once, whatever
// happens, read back, and answered on replies/{gateway}/{device}. What is expired, retained,
// repeated or not understood is not written, and the reply says so.
type Commander struct {
	Gateway  string
	Name     string
	Device   Device // as a Writer; else every command is refused
	Commands Commands
	Log      *slog.Logger
}

// Run carries out commands until ctx ends. One that is being written then is finished first.
func (c *Commander) Run(ctx context.Context) error {
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("device", c.Name)
	seen := &seen{known: make(map[string]bool)}
	err := c.Commands.Recent(ctx, func(payload []byte) {
		if old, _ := parseCommand(payload); old.ID != "" {
			seen.add(old.ID)
		}
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("commands of %s: %w", c.Name, err)
	}
	for ctx.Err() == nil {
		record, begun, err := c.Commands.Next(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return fmt.Errorf("commands of %s: %w", c.Name, err)
		}
		r, err := c.carryOut(context.WithoutCancel(ctx), &record, begun, seen)
		if err != nil {
			return fmt.Errorf("command %d of %s: %w", record.Position, c.Name, err)
		}
		if r.OK {
			log.Info("command carried out", "id", r.ID, "client", record.Client)
		} else {
			log.Warn("command not carried out", "id", r.ID, "client", record.Client, "err", r.Error)
		}
	}
	return nil
}

// carryOut ends with a durable reply. An error is the log's; then nobody knows what became of the
// command, and the next run says so.
func (c *Commander) carryOut(ctx context.Context, record *message.Record, begun bool, seen *seen) (reply, error) {
	command, problem := parseCommand(record.Payload)
	r := reply{ID: command.ID}
	repeated := command.ID != "" && seen.add(command.ID)
	age := time.Since(time.UnixMilli(record.Time))
	_, writable := c.Device.(Writer)
	_, kept := record.Property(message.WasRetained)
	switch {
	case begun:
		r.Error = "outcome unknown: the gateway stopped while it carried out the command"
	case problem != "":
		r.Error = "not written: " + problem
	case record.Retain || kept:
		r.Error = "not written: a retained command would be carried out again and again"
	case repeated:
		r.Error = "not written: a command with this id was received before"
	case age > command.lifetime(record):
		r.Error = fmt.Sprintf("not written: it is %s old and was good for %s", age.Round(time.Second), command.lifetime(record))
	case !writable:
		r.Error = "not written: this kind of device cannot be written"
	default:
		if err := c.Commands.Begin(ctx, record.Position); err != nil {
			return r, err
		}
		writing, cancel := context.WithTimeout(ctx, oneWrite)
		r.Values, r.Error = write(writing, c.Device.(Writer), command.Write)
		cancel()
		r.OK = r.Error == ""
	}
	return r, c.Commands.Finish(ctx, record.Position, r.to(record, c.Gateway, c.Name))
}

// NoSuchDevice is the reply to a command for a device that the gateway does not have.
func NoSuchDevice(gateway, device string, command *message.Record) *message.Message {
	asked, _ := parseCommand(command.Payload)
	r := reply{ID: asked.ID, Error: "not written: the gateway has no device of this name"}
	return r.to(command, gateway, device)
}

// write writes one point after the other and stops at the first that fails.
func write(ctx context.Context, device Writer, points []assignment) (values []message.Point, problem string) {
	for _, p := range points {
		v, err := device.Write(ctx, p.point, p.value)
		if err != nil {
			return values, err.Error()
		}
		values = append(values, message.Point{Name: p.point, Value: v})
	}
	return values, ""
}

// maxSeen is how many ids of earlier commands are remembered.
const maxSeen = 1000

// seen remembers the newest ids of commands.
type seen struct {
	known map[string]bool
	order []string // a ring once it is full
	next  int
}

// add says whether the id was known, and remembers it.
func (s *seen) add(id string) (known bool) {
	if s.known[id] {
		return true
	}
	s.known[id] = true
	if len(s.order) < maxSeen {
		s.order = append(s.order, id)
		return false
	}
	delete(s.known, s.order[s.next])
	s.order[s.next] = id
	s.next = (s.next + 1) % maxSeen
	return false
}
