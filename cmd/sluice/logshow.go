package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"sluice/gateway/message"
	"sluice/store"
)

func logStat(args []string) (err error) {
	flags := newLogFlags("stat", "what is in the log, and what keeps it there")
	asJSON := flags.Bool("json", false, "for programs")
	dir, err := parseDir(flags, args)
	if err != nil {
		return err
	}
	log, err := openLog(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	sum, err := log.Summary()
	if err != nil {
		return err
	}
	if *asJSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(sum)
	}
	return writeSummary(os.Stdout, sum)
}

func writeSummary(to io.Writer, sum store.Summary) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "epoch\t%d\n", sum.Epoch)
	fmt.Fprintf(t, "positions\t%d to %d\n", sum.First, sum.Last)
	fmt.Fprintf(t, "messages\t%d in %d blocks of %s\n", sum.Messages, sum.Blocks, size(sum.BlockBytes))
	if sum.OldestMessage != nil {
		fmt.Fprintf(t, "oldest\t%s\n", sum.OldestMessage.Format(time.RFC3339))
	}
	fmt.Fprintf(t, "on disk\t%s\n", size(sum.DiskBytes))
	fmt.Fprintf(t, "dropped\t%d messages, ever\n", sum.Dropped)
	if len(sum.Cursors) > 0 {
		fmt.Fprint(t, "\ncursor\tposition\tkeeps\tbytes\tunused\texpires after\n")
		for _, c := range sum.Cursors {
			limit := "never"
			if c.LimitSeconds > 0 {
				limit = seconds(c.LimitSeconds)
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\n", printable(c.Name), c.Position, c.Messages, size(c.Bytes), seconds(c.UnusedSeconds), limit)
		}
	}
	if len(sum.Devices) > 0 {
		fmt.Fprint(t, "\ndevice\tlast seq\tat position\n")
		for _, d := range sum.Devices {
			fmt.Fprintf(t, "%s\t%d\t%d\n", printable(d.Name), d.Seq, d.Position)
		}
	}
	if len(sum.Damage) > 0 {
		fmt.Fprint(t, "\ndamaged from\tto\tcause\n")
		for _, d := range sum.Damage {
			fmt.Fprintf(t, "%d\t%d\t%s\n", d.First, d.Last, printable(d.Cause))
		}
	}
	return t.Flush()
}

func seconds(n int64) string { return (time.Duration(n) * time.Second).String() }

func size(bytes int64) string {
	switch {
	case bytes >= 10<<20:
		return strconv.FormatInt(bytes>>20, 10) + " MiB"
	case bytes >= 10<<10:
		return strconv.FormatInt(bytes>>10, 10) + " KiB"
	}
	return strconv.FormatInt(bytes, 10) + " B"
}

func logDump(ctx context.Context, args []string) (err error) {
	flags := newLogFlags("dump", "the messages of the log")
	from := flags.Uint64("from", 0, "first `position`; 0: the oldest")
	to := flags.Uint64("to", 0, "last `position`; 0: the newest")
	topic := flags.String("topic", "#", "only topics that this MQTT `filter` matches")
	most := flags.Uint64("count", 0, "stop after so many `messages`; 0: after all")
	asJSON := flags.Bool("json", false, "one JSON object a line")
	dir, err := parseDir(flags, args)
	if err != nil {
		return err
	}
	if err := message.CheckFilter(*topic); err != nil {
		return usageErrorf("--topic %q: %w", *topic, err)
	}
	if *to == 0 {
		*to = 1<<63 - 1
	}
	log, err := openLog(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	write := writeText
	if *asJSON {
		write = writeJSON
	}
	written := uint64(0)
	err = log.Records(message.Position(*from), message.Position(*to), func(r *message.Record) error {
		if !message.Match(*topic, r.Topic) {
			return ctx.Err()
		}
		if err := write(out, r); err != nil {
			return err
		}
		if written++; written == *most {
			return errEnough
		}
		return ctx.Err()
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("dump the log in %s: %w", dir, err)
	}
	for _, d := range log.Damage() {
		fmt.Fprintf(os.Stderr, "positions %d to %d cannot be read: %s\n", d.First, d.Last, d.Cause)
	}
	return nil
}

var errEnough = errors.New("enough")

// dumped is a record as a line of JSON. The payload is text where it is text, else base64.
type dumped struct {
	Position   uint64      `json:"position"`
	Time       time.Time   `json:"time"`
	Topic      string      `json:"topic"`
	QoS        byte        `json:"qos"`
	Retain     bool        `json:"retain,omitempty"`
	Device     string      `json:"device,omitempty"`
	Seq        uint64      `json:"seq,omitempty"`
	Properties [][2]string `json:"properties,omitempty"` // name and value
	Payload    *string     `json:"payload,omitempty"`
	Base64     []byte      `json:"payload_base64,omitempty"`
}

func writeJSON(out *bufio.Writer, r *message.Record) error {
	d := dumped{
		Position: uint64(r.Position), Time: time.UnixMilli(r.Time).UTC(), Topic: r.Topic, QoS: r.QoS, Retain: r.Retain,
		Device: r.Device, Seq: r.Seq,
	}
	for _, p := range r.Properties {
		d.Properties = append(d.Properties, [2]string{p.Name, p.Value})
	}
	if utf8.Valid(r.Payload) {
		text := string(r.Payload)
		d.Payload = &text
	} else {
		d.Base64 = r.Payload
	}
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

func writeText(out *bufio.Writer, r *message.Record) error {
	fmt.Fprintf(out, "%d  %s  %s", r.Position, time.UnixMilli(r.Time).UTC().Format("2006-01-02T15:04:05.000Z"), printable(r.Topic))
	if r.Device != "" {
		fmt.Fprintf(out, "  %s #%d", printable(r.Device), r.Seq)
	}
	_, err := fmt.Fprintf(out, "  %s\n", printable(string(r.Payload)))
	return err
}

// printable quotes what would move the cursor of a terminal or make more than one line.
func printable(s string) string {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
